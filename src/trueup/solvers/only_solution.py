"""Proves that a box holds no solution but the one that was found.

Branch and prune (Van Hentenryck, McAllester and Kapur 1997, SIAM J. Numer. Anal. 34): a box in which a constraint
cannot hold is dropped, others shrink by an interval Newton step (Krawczyk 1969) and are halved. Around the solution
lies a box in which the equations can hold only once, since no slope in it turns them back. A proof up to rounding,
which two solutions closer than `APART` fall under; where it does not come to an end nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.csp.program import Expr
from trueup.solvers.clock import Clock
from trueup.solvers.intervals import Interval, UndefinedError, bounds_and_slopes

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
APART = 1e-6
MOST_BOXES = 3_000
GROWTH = 2.0
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Box:
    """A value of each variable from `low` to `high`."""

    low: Vector
    high: Vector

    @property
    def middle(self) -> Vector:
        """Its centre."""
        return (self.low + self.high) / 2

    @property
    def radius(self) -> Vector:
        """From its centre to its sides."""
        return (self.high - self.low) / 2 * (1 + ROUNDING)

    def is_within(self, other: Box) -> bool:
        """Whether no point of it is outside another."""
        return bool((self.low >= other.low).all() and (self.high <= other.high).all())

    def overlap(self, other: Box) -> Box | None:
        """What two boxes share."""
        shared = Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high))
        return shared if (shared.low <= shared.high).all() else None

    def halves(self, around: Box) -> tuple[Box, Box]:
        """Two boxes that make it up, split at a side of another box that crosses it, else along the middle."""
        width = self.high - self.low
        below = np.where((around.low > self.low) & (around.low < self.high), around.low - self.low, 0.0)
        above = np.where((around.high < self.high) & (around.high > self.low), self.high - around.high, 0.0)
        place = int(np.argmax(np.maximum(below, above)))
        at = around.low[place] if below[place] >= above[place] else around.high[place]
        if self.overlap(around) is None or not below[place] + above[place]:
            place = int(np.argmax(width))
            at = self.middle[place]
        left, right = self.high.copy(), self.low.copy()
        left[place] = right[place] = at
        return Box(self.low, left), Box(right, self.high)


@dataclass(frozen=True, slots=True)
class System:
    """What must come to 0 and what must not fall below it, in the order of the variables."""

    names: tuple[str, ...]
    zeros: tuple[Expr, ...]
    floors: tuple[Expr, ...]

    def shrunk(self, box: Box) -> Box | None:
        """What is left of a box when some of what holds no solution is taken away; None where it holds none."""
        try:
            level, slope, spread = self._bounds(self.zeros, box)
            floors = self._bounds(self.floors, box)[0]
            if (level[:, 0] > 0).any() or (level[:, 1] < 0).any() or (floors[:, 1] < 0).any():
                return None
            if not self.zeros or not np.isfinite(spread).all():
                return box
            inverse = _inverse(slope)
            here = self._bounds(self.zeros, Box(box.middle, box.middle))[0]
        except UndefinedError:
            return None
        blur = np.abs(inverse) @ (here[:, 1] - here[:, 0]) / 2 + ROUNDING * np.abs(box.middle)
        middle = box.middle - inverse @ here.mean(1)
        reach = self._turned(inverse, slope, spread) @ box.radius + blur
        return box.overlap(Box(middle - reach, middle + reach)) if np.isfinite(reach).all() else box

    def is_single(self, box: Box) -> bool:
        """Whether the equations hold in no more than one point of a box."""
        try:
            _, slope, spread = self._bounds(self.zeros, box)
        except UndefinedError:
            return True
        if not self.zeros or not np.isfinite(spread).all():
            return False
        left = self._turned(_inverse(slope), slope, spread) @ box.radius
        return bool(((left < box.radius) | (box.radius == 0)).all())

    def _turned(self, inverse: Matrix, slope: Matrix, spread: Matrix) -> Matrix:
        """How much of a step the equations, made upright by an inverse of their slopes, can leave of it at most."""
        upright = np.abs(np.eye(len(self.names)) - inverse @ slope)
        return upright + np.abs(inverse) @ spread + ROUNDING * (1 + np.abs(inverse) @ np.abs(slope))

    def _bounds(self, expressions: tuple[Expr, ...], box: Box) -> tuple[Matrix, Matrix, Matrix]:
        """The bounds of each expression, the middles of its slopes and how far they spread from these."""
        pairs = zip(box.low.tolist(), box.high.tolist(), strict=True)
        at: dict[str, Interval] = dict(zip(self.names, pairs, strict=True))
        place = {name: i for i, name in enumerate(self.names)}
        level, slopes = np.zeros((len(expressions), 2)), np.zeros((2, len(expressions), len(self.names)))
        for i, expr in enumerate(expressions):
            level[i], found = bounds_and_slopes(expr, at)
            for name, bounds in found.items():
                slopes[:, i, place[name]] = bounds
        low, high = slopes
        with np.errstate(invalid="ignore"):
            return level, np.nan_to_num((low + high) / 2), (high - low) / 2 * (1 + ROUNDING)


def _inverse(slope: Matrix) -> Matrix:
    return np.asarray(np.linalg.pinv(slope), np.float64)


def is_only_solution(system: System, whole: Box, found: Vector, clock: Clock) -> bool:
    """Whether it is proved that all solutions in a box are the one that was found."""
    near, boxes = _alone(system, whole, found), [whole]
    for _ in range(MOST_BOXES):
        if not boxes or not clock.left:
            break
        left = system.shrunk(boxes.pop())
        if left is not None and not left.is_within(near):
            boxes += left.halves(near)
    return not boxes


def _alone(system: System, whole: Box, found: Vector) -> Box:
    """The largest box around a solution in which there can be no second one, at least as large as rounding."""
    radius = APART * np.maximum(1.0, np.abs(found))
    near = Box(found - radius, found + radius)
    while not whole.is_within(near):
        radius = GROWTH * radius
        wider = Box(found - radius, found + radius).overlap(whole)
        if wider is None or not system.is_single(wider):
            break
        near = wider
    return near
