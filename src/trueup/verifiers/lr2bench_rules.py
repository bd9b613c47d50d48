"""Whether an LR²Bench reply leaves alone what its puzzle gives and keeps its rules.

The published scorer asks neither: a sudoku whose givens were altered can be an exact match there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from trueup.core.grid import units_of
from trueup.core.puzzles.crossword import read_crossword
from trueup.core.puzzles.drop import read_drop
from trueup.core.puzzles.logic import read_logic
from trueup.core.types import Json
from trueup.verifiers.lr2bench_score import at, entries


def broken_rule(answer: Json, family: str, gold: Json, puzzle: str) -> str:
    """The first rule that an answer breaks, in words, empty where there is none; `puzzle` is the text stating it."""
    return _BROKEN[family](answer, gold, puzzle)


def _sudoku(answer: Json, gold: Json, puzzle: str) -> str:
    grid, size = gold["grid"], len(gold["grid"])
    if any(given and at(answer, r, c) != given for r, row in enumerate(grid) for c, given in enumerate(row)):
        return "changes a given"
    units = ([at(answer, r, c) for r, c in cells] for _, cells in units_of(size))
    return "" if all(_is_whole(unit, size) for unit in units) else "repeats a number"


def _is_whole(unit: list[Any], size: int) -> bool:
    return all(isinstance(cell, int) for cell in unit) and set(unit) == set(range(1, size + 1))


def _drop(answer: Json, gold: Json, puzzle: str) -> str:
    stated = read_drop(puzzle)
    if stated is None:
        return ""
    columns: list[list[str]] = [[] for _ in stated.letters]
    for r, row in enumerate(stated.grid):
        for c, cell in enumerate(row):
            if cell.isdecimal():
                columns[c].append(str(at(answer, r, c)))
            elif at(answer, r, c) != cell:
                return "changes what is printed"
    kept = all(Counter(said) == Counter(given) for said, given in zip(columns, stated.letters, strict=True))
    return "" if kept else "uses other letters than a column has"


def _crossword(answer: Json, gold: Json, puzzle: str) -> str:
    stated, said = read_crossword(puzzle), {key.upper(): value for key, value in entries(answer)}
    letters: dict[tuple[int, int], str] = {}
    for slot in stated.slots if stated else ():
        word = said.get(slot.name, "")
        if len(word) != len(slot.cells):
            return f"{slot.name} has {len(slot.cells)} cells"
        if any(letters.setdefault(cell, letter) != letter for cell, letter in zip(slot.cells, word, strict=True)):
            return f"{slot.name} does not cross"
    return ""


def _cryptogram(answer: Json, gold: Json, puzzle: str) -> str:
    values = [value for _, value in entries(answer)]
    return "" if len(set(values)) == len(values) else "two letters stand for one"


def _logic(answer: Json, gold: Json, puzzle: str) -> str:
    stated, rows = read_logic(puzzle), [row for row in answer if isinstance(row, dict)]
    for category, values in stated.categories.items() if stated else ():
        if sorted(str(row.get(category)).lower() for row in rows) != sorted(value.lower() for value in values):
            return f"does not use each of {category} once"
    return ""


def _nothing(answer: Json, gold: Json, puzzle: str) -> str:
    return ""


_BROKEN: Mapping[str, Callable[[Json, Json, str], str]] = {
    "crossword": _crossword, "acrostic": _nothing, "cryptogram": _cryptogram, "logic": _logic, "sudoku": _sudoku,
    "drop": _drop,
}  # fmt: skip
