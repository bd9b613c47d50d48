"""Power flows and quadratic programs solved from their statement, beside the back-end below.

A row of ours: from a problem to an answer through a warm worker, right where every equation holds to `TOLERANCE` and
every bound is kept. `bare` is HiGHS or SciPy alone on the same program, read before the clock starts; `reference` the
method written for the family (Newton, or the active set), which knows its form.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import numpy as np

from trueup.bench.bare import LIMIT_SECONDS, MILLI, bare_continuous, beside, figures
from trueup.core.csp import parse
from trueup.core.numerical import stated
from trueup.core.roles import Solver
from trueup.core.types import Item, Json, last_asked
from trueup.solvers import numerical as solver_of
from trueup.tasks import power_flow, quadratic
from trueup.verifiers import numerical as verifier_of

BUSES, SIZES = (3, 5, 9, 14, 30), (2, 4, 8, 16)
AMOUNT, TOLERANCE = 10, 1e-3


def solve_numerical(*, amount: int = AMOUNT) -> Iterator[dict[str, Json]]:
    """A row per case of a power flow, with and without the direct-current model, and per size of a program."""
    for buses in BUSES:
        for model in ("ac", "dc"):
            words = f"{buses} model={model}"
            yield _row("power_flow", words, power_flow(words, stratum="bench", limit=amount))
    for size in SIZES:
        yield _row("quadratic", str(size), quadratic(str(size), stratum="bench", limit=amount))


def _row(family: str, words: str, items: tuple[Item, ...]) -> dict[str, Json]:
    told = asyncio.run(_all(family, items))
    exact, decided, seconds, alone, reference = zip(*told, strict=True)
    return {
        "family": f"{family}:{words}",
        **figures(exact, decided, seconds),
        **beside(seconds, alone),
        "reference_median_ms": float(np.median(reference) * MILLI),
    }


async def _all(family: str, items: tuple[Item, ...]) -> list[tuple[bool, bool, float, float, float]]:
    solver = solver_of(limit_seconds=LIMIT_SECONDS)
    try:
        await solver.solve(items[0].problem)  # warm from here on
        return [await _one(solver, family, item) for item in items]  # in turn: a busy machine then slows all three
    finally:
        await solver.close()


async def _one(solver: Solver, family: str, item: Item) -> tuple[bool, bool, float, float, float]:
    """Whether an answer is right, whether there is one, its seconds, and those of the back-end and of the reference."""
    started = time.perf_counter()
    solution = await solver.solve(item.problem)
    seconds = time.perf_counter() - started
    verifier = verifier_of(family=family, tolerance=TOLERANCE)
    answer = verifier.read(solution.text)
    is_right = answer is not None and verifier.check(answer, item.problem, None).is_right
    question = stated(last_asked(item.problem.prompt))
    assert question is not None
    alone = bare_continuous(parse(question.constraints()))
    started = time.perf_counter()
    question.solution()
    return is_right, solution.status == "solved", seconds, alone, time.perf_counter() - started
