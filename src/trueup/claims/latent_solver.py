"""The constraint solver's route: every test item, and AC power flows of three buses beside them.

An item is written down as its equations or its quadratic program, with its limits; what comes back is judged as a
model's answer is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.core.csp import parse
from trueup.core.numerical import Quadratic
from trueup.core.quadratic import BoxQuadratic, box_quadratic
from trueup.core.types import Json
from trueup.solvers import program
from trueup.tasks.power_flow import drawn_power_flow

if TYPE_CHECKING:
    from trueup.train.laboratory.tasks.coupled import Systems

BUSES = 3
BOUND_TOLERANCE = 1e-6
SECONDS = 10.0
Found = Mapping[str, float] | None


def solved(items: Systems) -> NDArray[np.float64]:
    """Every item's values, NaN where none were found; axes M2."""
    replies = solve_texts([stated(items.taken(np.array([i]))) for i in range(len(items))])
    return np.array([[np.nan, np.nan] if found is None else [found["x1"], found["x2"]] for found in replies])


def ac_power_flows(n: int, seed: int, tolerance: float) -> Json:
    """How many of n AC power flows have all equations within tolerance, how many keep all bounds, how many do both."""
    dice = random.Random(seed)
    questions = [drawn_power_flow(dice, BUSES) for _ in range(n)]
    held = []
    for question, found in zip(questions, solve_texts([q.constraints() for q in questions]), strict=True):
        left = None if found is None else question.residuals(found)
        equal = left is not None and left.equations_held(tolerance) == len(left.equations)
        bounded = left is not None and left.bounds_held(BOUND_TOLERANCE) == len(left.bounds)
        held.append((equal, bounded, equal and bounded))
    return np.array(held).sum(0).tolist()


def solve_texts(texts: Sequence[str]) -> list[Found]:
    """The values that each program has, None where none were found."""
    return asyncio.run(_solve(texts))


async def _solve(texts: Sequence[str]) -> list[Found]:
    solver = program(limit_seconds=SECONDS)
    try:
        return [(await solver.decide(parse(text), unique=False)).get("values") for text in texts]
    finally:
        await solver.close()


def stated(system: Systems) -> str:
    """One problem in the constraint language."""
    if system.held_B[0]:
        return Quadratic(quadratic_of(system)).constraints()
    (c, d), (a, b) = (system.share_B2[0] / 10).tolist(), (system.given_B2[0] / 100).tolist()
    bounds = f"0.0..{float(system.limit_B[0]) / 100!r}"
    equations = (f"con x1 - {c!r}*x2 == {a!r} #bus2", f"con x2 - {d!r}*x1 == {b!r} #bus3")
    return "\n".join([f"float x1 in {bounds}", f"float x2 in {bounds}", *equations])


def quadratic_of(system: Systems) -> BoxQuadratic:
    """The quadratic program whose gradient, each line divided by its curvature, is one system that is held."""
    (c, d), given_2 = system.share_B2[0] / 10, system.given_B2[0] / 100
    curvature = np.array([[d, c * d], [c * d, c]])
    limit = float(system.limit_B[0]) / 100
    return box_quadratic(curvature, -np.array([d, c]) * given_2, np.zeros(2), np.full(2, limit))
