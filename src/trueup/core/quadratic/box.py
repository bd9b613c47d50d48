"""Least value of x'Hx/2 + c'x where every variable has bounds; H positive definite, so that there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.core.types import Json

Vector = NDArray[np.float64]
MOST_VARIABLES, LARGEST = 64, 1e6


@dataclass(frozen=True, slots=True, eq=False)
class BoxQuadratic:
    """The curvature H, the slope c at the origin, and the bounds of every variable."""

    H: Vector
    c: Vector
    low: Vector
    high: Vector

    @property
    def size(self) -> int:
        """How many variables there are."""
        return len(self.c)

    def value(self, x: Vector) -> float:
        """What is to be made least."""
        return float(x @ self.H @ x / 2 + self.c @ x)

    def slope(self, x: Vector) -> Vector:
        """Its gradient."""
        return np.asarray(self.H @ x + self.c)

    def inside(self, x: Vector) -> Vector:
        """The nearest point within the bounds."""
        return np.clip(x, self.low, self.high)

    def residual(self, x: Vector) -> Vector:
        """How far each variable is from stationary: x less the point that a step of 1 downhill within the box reaches.

        It is 0 exactly at the solution (the conditions of Karush, Kuhn and Tucker).
        """
        return np.asarray(x - self.inside(x - self.slope(x)))


def box_quadratic(H: Json, c: Json, low: Json, high: Json) -> BoxQuadratic:
    """The problem of these rows of numbers, or arrays.

    Raises BadInput where sizes differ, bounds cross, a number is not finite, or H is not symmetric positive definite.
    """
    try:
        parts = [np.asarray(part, float) for part in (H, c, low, high)]
    except (TypeError, ValueError, OverflowError):
        raise BadInput("a quadratic program is made of numbers, its matrix row by row") from None
    size = parts[1].size
    if not 0 < size <= MOST_VARIABLES or [part.shape for part in parts] != [(size, size), *((size,),) * 3]:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise BadInput(
            f"H, c, low and high have shapes {shapes}; give n x n and three times n, n up to {MOST_VARIABLES}"
        )
    if not all(np.abs(part).max() <= LARGEST for part in parts):
        raise BadInput(f"a quadratic program takes finite numbers up to {LARGEST:g}")
    if not np.array_equal(parts[0], parts[0].T) or np.linalg.eigvalsh(parts[0])[0] <= 0:
        raise BadInput("H must be symmetric and positive definite, or there is no single least value")
    if not (parts[2] < parts[3]).all():
        raise BadInput(
            f"variable {int(np.argmin(parts[2] < parts[3])) + 1} has its lower bound not below its upper one"
        )
    return BoxQuadratic(*parts)
