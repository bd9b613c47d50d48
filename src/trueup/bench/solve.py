"""How often, how surely and how fast puzzles are solved without a language model.

LR²Bench where it is at hand; then generated puzzles beside the solver below and beside peers, see `solve_generated.py`.
LR²Bench (Chen et al. 2025, arXiv:2502.17848) is read where it lies and is never part of this project. `exact_match` is
over all puzzles, `decided` the share that was answered at all, `wrong_decided` those answered wrongly, of all; `s_acc`
and `pm_half` are the benchmark's other two measures. `by` says what solved a family.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trueup.bench.crosswords import crosswords
from trueup.bench.solve_generated import solve_generated
from trueup.core.roles import Solver
from trueup.core.types import Item, Json
from trueup.solvers import lr2bench as puzzle_solver
from trueup.tasks import lr2bench as puzzles
from trueup.verifiers.lr2bench_score import Score, extract, score

BY = {
    "sudoku": "cp-sat",
    "logic": "clues read by rules, cp-sat",
    "cryptogram": "beam search over a lexicon",
    "drop": "beam search over a lexicon",
}
MILLI = 1000.0


def solve(*, lr2bench: Path | None = None, generated: bool = True, peers: bool = True) -> list[dict[str, Json]]:
    """Rows of LR²Bench below a folder, then of generated puzzles; `peers` installs other solvers and asks them too."""
    rows = [] if lr2bench is None else _of_lr2bench(lr2bench)
    return [*rows, *solve_generated(peers=peers)] if generated else rows


def _of_lr2bench(folder: Path) -> list[dict[str, Json]]:
    """A row per family below a folder, and their mean."""
    by_family: dict[str, list[Item]] = {}
    for item in puzzles(str(folder), stratum="lr2bench"):
        by_family.setdefault(item.reference["family"], []).append(item)
    rows = [asyncio.run(_family(family, items)) for family, items in by_family.items()]
    mean = sum(row["exact_match"] for row in rows) / len(rows)
    whole = {"family": "mean of families", "n": sum(row["n"] for row in rows), "exact_match": mean}
    return [*rows, whole, *crosswords(by_family.get("crossword", ()))]


async def _family(family: str, items: Sequence[Item]) -> dict[str, Json]:
    solver = puzzle_solver()
    try:
        await solver.solve(items[0].problem)  # the worker and its lexicon are warm from here on
        told = [await _timed(solver, item) for item in items]
    finally:
        await solver.close()
    scores, decided, seconds = (np.array(column) for column in zip(*told, strict=True))
    exact = np.array([one.is_exact for one in scores])
    return {
        "family": family,
        "by": BY.get(family, "nothing: its answers are knowledge, which a model has to propose"),
        "n": len(items),
        "exact_match": float(exact.mean()),
        "decided": float(decided.mean()),
        "wrong_decided": float((decided & ~exact).mean()),
        "s_acc": sum(one.right for one in scores) / sum(one.total for one in scores),
        "pm_half": float(np.mean([one.is_half for one in scores])),
        "median_ms": float(np.median(seconds) * MILLI),
        "p99_ms": float(np.quantile(seconds, 0.99) * MILLI),
    }


async def _timed(solver: Solver, item: Item) -> tuple[Score, bool, float]:
    """The score of one puzzle's answer, whether it has one, and its seconds from ask to answer."""
    started = time.perf_counter()
    solution = await solver.solve(item.problem)
    seconds = time.perf_counter() - started
    family, gold = item.reference["family"], item.reference["answer"]
    return score(extract(solution.text, family), family, gold), solution.status == "solved", seconds
