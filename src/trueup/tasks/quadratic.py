"""Quadratic programs in a box: `quadratic:4 condition=100 active=1 iterations=200..400`.

The dial that matters is `iterations`: how many steps projected gradient takes at the same size of the text. It follows
from how many variables are free at the end: 2 of them at a condition of 100 take from 1 to 1,400.
"""

from __future__ import annotations

import random

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.numerical import Quadratic
from trueup.core.quadratic import BoxQuadratic, active_set, box_quadratic, projected_gradient
from trueup.core.quadratic.box import Vector
from trueup.core.types import Item
from trueup.tasks.csp.dials import Band, band, tried, within
from trueup.tasks.numerical import numerical_items, split_size

TRIES, MOST_STEPS = 400, 20_000
LARGEST_SIZE, LARGEST_CONDITION = 30, 1_000.0
BOX, DECIMALS, MARGIN = 1.0, 4, 0.05
"""Every variable lies between -BOX and BOX; how numbers are printed; how far a free variable stays from its bounds."""


def quadratic(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The first `limit` programs (100 unless said) of a size; program i depends on the seed, the dials and i alone.

    Raises BadInput for a size that is not taken, or dials that no draw meets.
    """
    size, dials = split_size("quadratic", argument, drawn_quadratic)
    return numerical_items(f"quadratic-{size}", stratum, limit, seed, lambda rng: drawn_quadratic(rng, size, **dials))


def drawn_quadratic(
    rng: random.Random, size: int, *, condition: float = 10.0, active: int | None = None, iterations: str = ""
) -> Quadratic:
    """A program of so many variables whose matrix has this condition number; `active` of them end at a bound.

    `iterations` is how many steps of projected gradient reach a residual of 1e-6, as 40 or 40..80.
    """
    name = f"quadratic:{size}"
    within(name, "size", size, 1, LARGEST_SIZE)
    within(name, "condition", condition, 1.0, LARGEST_CONDITION)
    within(name, "active", active or 0, 0, size)
    wanted = band(name, iterations, "iterations", MOST_STEPS)
    dials = f"condition={condition:g} active={'any' if active is None else active}"
    dials += f" iterations={iterations}" * bool(iterations)
    return tried(name, dials, lambda: _made(rng, size, condition, active, wanted), TRIES)


def _made(rng: random.Random, size: int, condition: float, active: int | None, wanted: Band) -> Quadratic | None:
    chosen = rng.randint(0, size) if active is None else active
    problem = _problem(np.random.default_rng(rng.getrandbits(64)), size, condition, chosen)
    if problem is None:
        return None
    solution = active_set(problem)
    room = BOX - np.abs(solution)
    is_bound = room < 1e-9
    if is_bound.sum() != chosen or (room[~is_bound] < MARGIN).any():
        return None
    if wanted.is_open:
        return Quadratic(problem)
    try:
        steps = projected_gradient(problem, most=wanted.high + 1).iterations
    except BadInput:
        return None
    return Quadratic(problem) if wanted.holds(steps) else None


def _problem(rng: np.random.Generator, size: int, condition: float, active: int) -> BoxQuadratic | None:
    """Eigenvalues from 1 to the condition number under a drawn rotation, and a slope that makes a drawn point the best.

    The best point has `active` variables at a bound, held there by a drawn multiplier.
    """
    rotation, _ = np.linalg.qr(rng.normal(size=(size, size)))
    H = rotation @ np.diag(np.geomspace(1.0, condition, size)) @ rotation.T
    H = np.round((H + H.T) / 2, DECIMALS) + 0.0
    best: Vector = rng.uniform(-BOX + 2 * MARGIN, BOX - 2 * MARGIN, size)
    held = rng.permutation(size)[:active]
    side = np.where(rng.random(active) < 0.5, -BOX, BOX)
    best[held] = side
    slope = np.zeros(size)
    slope[held] = -np.sign(side) * rng.uniform(0.1, 1.0, active) * np.sqrt(condition)
    c = np.round(slope - H @ best, DECIMALS) + 0.0
    try:
        return box_quadratic(H, c, np.full(size, -BOX), np.full(size, BOX))
    except BadInput:
        return None
