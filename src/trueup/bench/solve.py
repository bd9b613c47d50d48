"""How often, how surely and how fast puzzles are solved without a language model.

LR²Bench where it is at hand; then generated puzzles beside the solver below and beside peers (`solve_generated.py`),
power flows and quadratic programs (`solve_numerical.py`), stored programs and puzzles of reasoning-gym by how they end
(`solve_ends.py`). LR²Bench (Chen et al. 2025, arXiv:2502.17848) is read where it lies and is never part of this
project. `exact_match` is over all puzzles, `decided` the share that was answered at all, `wrong_decided` those answered
wrongly, of all; `s_acc` and `pm_half` are the benchmark's other two measures. `by` says what solved a family, `bare` is
CP-SAT alone on the same programs, read before the clock starts. With a model logic puzzles get a row more, in which it
reads the clues and not the rules (`solve_model.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from trueup.bench.bare import bare, beside, figures
from trueup.bench.crosswords import acrostics, crosswords
from trueup.bench.solve_ends import solve_gym, solve_stored
from trueup.bench.solve_generated import solve_generated
from trueup.bench.solve_model import solve_with_model
from trueup.bench.solve_numerical import solve_numerical
from trueup.core.csp import Program
from trueup.core.puzzles.logic import read_logic
from trueup.core.roles import Solver
from trueup.core.types import Item, Json, last_asked
from trueup.solvers import lr2bench as puzzle_solver
from trueup.solvers.logic_clues import Reader
from trueup.solvers.puzzle import read_listed_sudoku
from trueup.solvers.sudoku import program_of
from trueup.tasks import lr2bench as puzzles
from trueup.verifiers.lr2bench_score import Score, extract, score

BY = {
    "sudoku": "cp-sat",
    "logic": "clues read by rules, cp-sat",
    "cryptogram": "beam search over a lexicon",
    "drop": "beam search over a lexicon",
}
Told = tuple[Score, bool, float]
"""The score of one puzzle's answer, whether it has one, and its seconds from ask to answer."""


def solve(
    *,
    lr2bench: Path | None = None,
    generated: bool = True,
    peers: bool = True,
    stored: Path | None = None,
    model: str | None = None,
    model_limit: int | None = None,
) -> list[dict[str, Json]]:
    """Rows of LR²Bench below a folder, then of generated puzzles; `peers` installs other solvers and asks them too.

    `stored` is a file of programs in Logic-LM's layout; `model` reads the clues of so many logic puzzles of LR²Bench.
    """
    rows = [] if lr2bench is None else _of_lr2bench(lr2bench, model, model_limit)
    if generated:
        rows += [*solve_generated(peers=peers), *solve_numerical(), *solve_stored(stored), *solve_gym()]
    return rows


def _of_lr2bench(folder: Path, model: str | None, model_limit: int | None) -> list[dict[str, Json]]:
    """A row per family below a folder, and their mean; then what a model or simulated candidates come to."""
    by_family: dict[str, list[Item]] = {}
    for item in puzzles(str(folder), stratum="lr2bench"):
        by_family.setdefault(item.reference["family"], []).append(item)
    rows = [asyncio.run(_family(family, items)) for family, items in by_family.items()]
    mean = sum(row["exact_match"] for row in rows) / len(rows)
    rows.append({"family": "mean of families", "n": sum(row["n"] for row in rows), "exact_match": mean})
    if model is not None and "logic" in by_family:
        rows.append(solve_with_model(by_family["logic"], model, limit=model_limit))
    return [*rows, *crosswords(by_family.get("crossword", ())), *acrostics(by_family.get("acrostic", ()))]


async def _family(family: str, items: Sequence[Item]) -> dict[str, Json]:
    solver = puzzle_solver()
    programs = [_program(family, item) for item in items]
    told: list[Told] = []
    alone: list[float] = []
    try:
        await solver.solve(items[0].problem)  # the worker and its lexicon are warm from here on
        for item, program in zip(items, programs, strict=True):
            told.append(await _timed(solver, item))
            alone += [] if program is None else [bare(program)]  # in turn: a busy machine then slows both
    finally:
        await solver.close()
    scores, decided, seconds = zip(*told, strict=True)
    return {
        "family": family,
        "by": BY.get(family, "nothing: its answers are knowledge, which a model has to propose"),
        **figures([one.is_exact for one in scores], decided, seconds),
        "s_acc": sum(one.right for one in scores) / sum(one.total for one in scores),
        "pm_half": sum(one.is_half for one in scores) / len(scores),
        **(beside(seconds, alone) if len(alone) == len(seconds) else {}),
    }


def _program(family: str, item: Item) -> Program | None:
    """What CP-SAT is given of a puzzle; None for families that it does not solve."""
    text = last_asked(item.problem.prompt)
    grid = read_listed_sudoku(text) if family == "sudoku" else None
    if grid is not None:
        return program_of(grid)
    clued = read_logic(text) if family == "logic" else None
    return None if clued is None else Reader(clued).program()[0]


async def _timed(solver: Solver, item: Item) -> Told:
    started = time.perf_counter()
    solution = await solver.solve(item.problem)
    seconds = time.perf_counter() - started
    family, gold = item.reference["family"], item.reference["answer"]
    return score(extract(solution.text, family), family, gold), solution.status == "solved", seconds
