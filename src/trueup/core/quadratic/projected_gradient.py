"""Box-constrained quadratic program by projected gradient steps.

Levitin and Polyak 1966: x <- P(x - (Hx + c) / L), L the largest eigenvalue of H, P the nearest point in the box. The
error shrinks at least by 1 - 1/condition a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.quadratic.box import BoxQuadratic, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """A point that was found, the largest residual at the start and after each step, and the points of the way."""

    x: Vector
    errors: tuple[float, ...]
    path: tuple[Vector, ...]

    @property
    def iterations(self) -> int:
        """How many steps it took."""
        return len(self.errors) - 1


def projected_gradient(
    problem: BoxQuadratic, *, tolerance: float = 1e-6, most: int = 200_000, start: Vector | None = None
) -> Descent:
    """Steps from the middle of the box, unless told otherwise, until the largest residual is within the tolerance.

    Raises BadInput where it is not reached.
    """
    x = (problem.low + problem.high) / 2 if start is None else problem.inside(start)
    step = 1 / float(np.linalg.eigvalsh(problem.H)[-1])
    errors, path = [float(np.abs(problem.residual(x)).max())], [x]
    while errors[-1] > tolerance:
        if len(errors) > most:
            raise BadInput(f"a residual of {errors[-1]:.2g} is left after {most:,} steps; lower the condition number")
        x = problem.inside(x - step * problem.slope(x))
        errors.append(float(np.abs(problem.residual(x)).max()))
        path.append(x)
    return Descent(x, tuple(errors), tuple(path))
