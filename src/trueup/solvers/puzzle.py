"""Reads which puzzle a text states, and solves it without a language model.

Runs in the child process only. Sudoku is a constraint program; the clues of a logic puzzle are read by rules into one;
drop quotes and cryptograms are filled from a lexicon, whose answer is the likeliest and not a proved one.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

from trueup.core.csp.program import Program
from trueup.core.grid import BOXES, Grid
from trueup.core.puzzles.cryptogram import Cryptogram, read_cryptogram
from trueup.core.puzzles.drop import DropQuote, read_drop
from trueup.core.puzzles.logic import LogicPuzzle, read_logic
from trueup.core.types import Json
from trueup.solvers.cryptogram import solve_cryptogram
from trueup.solvers.drop_quote import solve_drop
from trueup.solvers.finite import solve_finite
from trueup.solvers.logic_clues import Reader
from trueup.solvers.sudoku import cell_name, program_of

SUDOKU = re.compile(r"sudoku puzzle:\n(\[\[[\d,\s\[\]]+?\]\])")
Reply = dict[str, Any]


def solve_puzzle(text: str, limit_seconds: float) -> Reply:
    """The status, the answer between its tags, and by what it was found; `unreadable` where no puzzle is stated."""
    for read, solve in _FAMILIES:
        puzzle = read(text)
        if puzzle is not None:
            return solve(puzzle, limit_seconds)
    return {"status": "unreadable", "text": "", "reason": "the text states no puzzle of a form that is known"}


def read_listed_sudoku(text: str) -> Grid | None:
    """The last sudoku written as a list of rows, 0 for a blank."""
    found = SUDOKU.findall(text)
    try:
        rows = ast.literal_eval(found[-1]) if found else None
    except (ValueError, SyntaxError):
        return None
    if not rows or len(rows) not in BOXES or any(len(row) != len(rows) or max(row) > len(rows) for row in rows):
        return None
    return tuple(tuple(row) for row in rows)


def _sudoku(grid: Grid, limit_seconds: float) -> Reply:
    reply = _solved(program_of(grid), limit_seconds)
    values, size = reply.pop("values", {}), len(grid)
    if reply["status"] == "solved":
        answer = [[values[cell_name(r, c)] for c in range(size)] for r in range(size)]
        reply["text"] = tagged(answer)
    return reply


def _logic(puzzle: LogicPuzzle, limit_seconds: float) -> Reply:
    program, unread = Reader(puzzle).program()
    reply = _solved(program, limit_seconds)
    values = reply.pop("values", {})
    reply["reason"] = f"clues not read: {', '.join(unread)}" if unread else ""
    if reply["status"] == "solved":
        key, *others = puzzle.categories
        rows = []
        for i, name in enumerate(puzzle.categories[key], 1):
            found = {c: next(v for v in puzzle.categories[c] if values[f"{c}: {v}"] == i) for c in others}
            rows.append({key: name, **found})
        reply["text"] = tagged(rows)
    return reply


def _drop(puzzle: DropQuote, limit_seconds: float) -> Reply:
    grid = solve_drop(puzzle)
    return {"status": "undecided", "text": ""} if grid is None else {"status": "solved", "text": tagged(grid)}


def _cryptogram(puzzle: Cryptogram, limit_seconds: float) -> Reply:
    return {"status": "solved", "text": tagged(solve_cryptogram(puzzle), "Mapping")}


def _solved(program: Program, limit_seconds: float) -> Reply:
    return {"text": "", **solve_finite(program, limit_seconds)}


def tagged(answer: Json, tag: str = "Answer") -> str:
    """An answer as the benchmark wants it, between its tags."""
    return f"<{tag}>\n{json.dumps(answer)}\n</{tag}>"


_FAMILIES: tuple[tuple[Callable[[str], Any], Callable[[Any, float], Reply]], ...] = (
    (read_logic, _logic),
    (read_drop, _drop),
    (read_cryptogram, _cryptogram),
    (read_listed_sudoku, _sudoku),
)
