"""Box-constrained quadratic program by an active set, exact up to rounding.

Nocedal and Wright 2006, Numerical Optimization, algorithm 16.3, for bounds alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.core.quadratic.box import BoxQuadratic, Vector

ROUNDING = 1e-10


def active_set(problem: BoxQuadratic) -> Vector:
    """The one solution: bounds are taken up where a step meets them, and let go where their multiplier is negative."""
    x = problem.inside(np.zeros(problem.size))
    at_low, at_high = x <= problem.low, x >= problem.high
    for _ in range(100 * problem.size):
        free = ~(at_low | at_high)
        step, blocking = _step(problem, x, free)
        x = x + step
        if blocking is not None:
            x[blocking] = problem.low[blocking] if step[blocking] < 0 else problem.high[blocking]
            (at_low if step[blocking] < 0 else at_high)[blocking] = True
            continue
        slope = problem.slope(x)
        multiplier = np.where(at_low, slope, np.where(at_high, -slope, 0.0))
        worst = int(np.argmin(multiplier))
        if multiplier[worst] >= -ROUNDING * max(1.0, float(np.abs(problem.c).max())):
            return x
        at_low[worst] = at_high[worst] = False
    raise BadInput("the active set does not settle; H is too close to singular, so lower its condition number")


def _step(problem: BoxQuadratic, x: Vector, free: NDArray[np.bool_]) -> tuple[Vector, int | None]:
    """The step to the least value over the free variables, cut at the first bound, and whose bound that is."""
    step = np.zeros(problem.size)
    if free.any():
        step[free] = np.linalg.solve(problem.H[np.ix_(free, free)], -problem.slope(x)[free])
    room = np.where(step < 0, problem.low - x, np.where(step > 0, problem.high - x, np.inf))
    share = np.divide(room, step, out=np.full(problem.size, np.inf), where=step != 0)
    first = int(np.argmin(share))
    return (step, None) if share[first] >= 1 else (share[first] * step, first)
