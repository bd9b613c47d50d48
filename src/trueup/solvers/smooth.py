"""Solves nonlinear equations, inequalities and objectives in fractions, by SciPy from several starts.

Runs in the child process only. A solution that is found satisfies the program to a tolerance. That none was found
proves nothing: the status is then `undecided`, as it is for one solution that is not proved to be the only one where
that is asked, and for the least value of all starts where the program is not convex: it may be a local one. Without an
objective it is Levenberg and Marquardt's least squares within bounds (SciPy's trust region), with one sequential
quadratic programming (Kraft 1988).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from trueup.core.csp.program import FLOAT, MAXIMIZE, Expr, Node, Objective, Program, conjuncts
from trueup.core.csp.values import value_of
from trueup.core.errors import BadInput
from trueup.solvers.backends import UNREACHED
from trueup.solvers.clock import Clock
from trueup.solvers.convex import degree, is_convex
from trueup.solvers.gradient import value_and_slopes
from trueup.solvers.only_solution import Box, System, is_only_solution

Vector = NDArray[np.float64]
STARTS = 24
TOLERANCE = 1e-6
ROOM = 1e-5
"""By how much a strict comparison is made to hold, so that no rounding undoes it."""
FAR, SHARE = 1e-4, 0.01
"""Two solutions are two where they lie so far apart, and what each may be off is less than this share of it."""
NEAR, RESOLVED = 1e-3, 1e-9
UNPROVED = "one solution was found, which is not proved to be the only one; take any, or use z3"
LOCAL = "the best of several starts, which is not proved to be the best of all"
SEED = 0


@dataclass(frozen=True, slots=True)
class Smooth:
    """What must come to 0 and what must not fall below it, or strictly above, in the order of the variables."""

    names: tuple[str, ...]
    low: Vector
    high: Vector
    zeros: tuple[Expr, ...]
    floors: tuple[Expr, ...]
    is_strict: NDArray[np.bool_]

    @property
    def is_linear(self) -> bool:
        """Whether all of them are."""
        return all(degree(expr) <= 1 for expr in (*self.zeros, *self.floors))

    def values(self, expressions: tuple[Expr, ...], x: Vector) -> tuple[Vector, NDArray[np.float64]]:
        """The value of each expression, and a row of slopes each."""
        at = dict(zip(self.names, x.tolist(), strict=True))
        place = {name: i for i, name in enumerate(self.names)}
        found, jacobian = np.zeros(len(expressions)), np.zeros((len(expressions), len(self.names)))
        for i, expr in enumerate(expressions):
            found[i], slopes = value_and_slopes(expr, at)
            for name, slope in slopes.items():
                jacobian[i, place[name]] = slope
        return np.nan_to_num(found, nan=1e6), np.nan_to_num(jacobian)

    def above(self, x: Vector) -> tuple[Vector, NDArray[np.float64]]:
        """How far each is above its floor, strict ones above one that is raised, and a row of slopes each."""
        level, slopes = self.values(self.floors, x)
        return level - ROOM * self.is_strict, slopes

    def violation(self, x: Vector) -> float:
        """How far the worst of all is from holding; a strict one holds within the tolerance of its raised floor."""
        return float(max(np.abs(self.values(self.zeros, x)[0]).max(initial=0.0), (-self.above(x)[0]).max(initial=0.0)))

    def named(self, x: Vector) -> dict[str, float]:
        """A point as the value of each variable."""
        return dict(zip(self.names, x.tolist(), strict=True))


def solve_smooth(program: Program, limit_seconds: float, *, unique: bool = True) -> dict[str, Any]:
    """The status and the best solution that was found within the time; without an objective, another one.

    Raises BadInput for a program with whole numbers, or with logic in it.
    """
    smooth, clock = _split(program), Clock(limit_seconds)
    if program.objective is not None:
        return _best(smooth, program.objective, clock)
    first: Vector | None = None
    sure: list[Vector] = []
    for start in _starts(smooth):
        x = _feasible(smooth, start)
        if smooth.violation(x) <= TOLERANCE:
            first = x if first is None else first
            if not unique:
                return {"status": "solved", "values": smooth.named(x)}
            sure = _with(smooth, sure, x)
        if len(sure) > 1 or not clock.left:
            break
    if len(sure) > 1:
        return {"status": "not_unique", "values": smooth.named(sure[0]), "other": smooth.named(sure[1])}
    if first is None:
        return {"status": "undecided" if clock.left else "timeout"}
    return _alone(smooth, first, clock)


def _alone(smooth: Smooth, found: Vector, clock: Clock) -> dict[str, Any]:
    """The reply where one solution was found and no other: it is `solved` where it is proved that there is none."""
    system = System(smooth.names, smooth.zeros, smooth.floors)
    values = smooth.named(found)
    if is_only_solution(system, Box(smooth.low, smooth.high), found, clock):
        return {"status": "solved", "values": values}
    return {"status": "undecided" if clock.left else "timeout", "values": values, "reason": UNPROVED}


def _with(smooth: Smooth, sure: list[Vector], x: Vector) -> list[Vector]:
    """Solutions that are surely two, with a further one if it is surely another, or the first."""
    here = _off_by(smooth, x)
    if not sure:
        return [x] if np.isfinite(here) else []
    gap = float((np.abs(x - sure[0]) / np.maximum(1.0, np.abs(sure[0]))).max())
    is_another = gap > FAR and here + _off_by(smooth, sure[0]) < SHARE * float(np.linalg.norm(x - sure[0]))
    return [*sure, x] if is_another else sure


def _off_by(smooth: Smooth, x: Vector) -> float:
    """How far the next exact solution is, by Newton's step, in which floors that are nearly met are kept to."""
    zeros, slopes = smooth.values(smooth.zeros, x)
    above, rates = smooth.above(x)
    tight = above < NEAR
    residual = np.concatenate([zeros, np.minimum(above, 0.0)[tight]])
    if not residual.size or not residual.any():
        return 0.0
    step = np.linalg.lstsq(np.vstack([slopes, rates[tight]]), residual, rcond=None)[0]
    left = np.vstack([slopes, rates[tight]]) @ step - residual
    return float(np.linalg.norm(step)) if np.abs(left).max() <= RESOLVED else float("inf")


def _best(smooth: Smooth, objective: Objective, clock: Clock) -> dict[str, Any]:
    """The least or greatest value of all starts, or of the first from where it is the only one."""
    sign = -1.0 if objective.sense == MAXIMIZE else 1.0
    loose = replace(smooth, is_strict=np.zeros(len(smooth.floors), bool))
    settles = is_convex(objective) and smooth.is_linear
    best: tuple[float, Vector] | None = None
    is_proved = False
    for start in _starts(smooth):
        x, has_ended = _descended(loose, objective.expr, sign, _feasible(smooth, start))
        worth = sign * _at(smooth, objective.expr, x)
        if loose.violation(x) <= TOLERANCE and not isnan(worth):
            best = (worth, x) if best is None or worth < best[0] else best
        is_proved = best is not None and settles and has_ended
        if is_proved or not clock.left:
            break
    if best is None:
        return {"status": "undecided" if clock.left else "timeout"}
    if (smooth.above(best[1])[0] < TOLERANCE - ROOM)[smooth.is_strict].any():
        return {"status": "undecided", "reason": UNREACHED}
    found = {"values": smooth.named(best[1])}
    return {"status": "solved", **found} if is_proved else {"status": "undecided", **found, "reason": LOCAL}


def _split(program: Program) -> Smooth:
    whole = next((variable.name for variable in program.variables if variable.kind != FLOAT), None)
    if whole is not None:
        why = "is no fraction, and the program is not linear or skips values"
        raise BadInput(f"{whole!r} {why}; declare it as float or use z3")
    zeros: list[Expr] = []
    floors: list[tuple[Expr, bool]] = []
    for constraint in program.constraints:
        for part in conjuncts(constraint.expr):
            _sort(part, zeros, floors)
    exprs, is_strict = tuple(expr for expr, _ in floors), np.array([strict for _, strict in floors], bool)
    low, high = (np.array([getattr(v, end) for v in program.variables], float) for end in ("low", "high"))
    return Smooth(tuple(v.name for v in program.variables), low, high, tuple(zeros), exprs, is_strict)


def _sort(part: Expr, zeros: list[Expr], floors: list[tuple[Expr, bool]]) -> None:
    match part:
        case Node("==", (a, b)):
            zeros.append(Node("-", (a, b)))
        case Node(">=" | ">" as op, (a, b)):
            floors.append((Node("-", (a, b)), op == ">"))
        case Node("<=" | "<" as op, (a, b)):
            floors.append((Node("-", (b, a)), op == "<"))
        case _:
            raise BadInput("fractions go with comparisons by ==, <= and >= only; the back-end z3 takes logic over them")


def _starts(smooth: Smooth) -> Iterator[Vector]:
    """The middle of all bounds, then points drawn between them."""
    yield (smooth.low + smooth.high) / 2
    rng = np.random.default_rng(SEED)
    for _ in range(STARTS - 1):
        yield rng.uniform(smooth.low, smooth.high)


def _feasible(smooth: Smooth, start: Vector) -> Vector:
    def residuals(x: Vector) -> Vector:
        floors = smooth.above(x)[0]
        return np.concatenate([smooth.values(smooth.zeros, x)[0], np.minimum(floors, 0.0)])

    def slopes(x: Vector) -> NDArray[np.float64]:
        floors, rates = smooth.above(x)
        return np.vstack([smooth.values(smooth.zeros, x)[1], rates * (floors < 0)[:, None]])

    if not smooth.zeros and not smooth.floors:
        return start
    spread = np.maximum(smooth.high - smooth.low, 1e-9)
    inside = np.clip(start, smooth.low, smooth.low + spread)
    try:
        found = least_squares(
            residuals, inside, slopes, bounds=(smooth.low, smooth.low + spread), xtol=1e-15, ftol=1e-15, gtol=1e-12
        )
    except ValueError:  # the values overflow here; another start may do
        return start
    return np.clip(found.x, smooth.low, smooth.high)


def _descended(smooth: Smooth, expr: Expr, sign: float, start: Vector) -> tuple[Vector, bool]:
    """The best point downhill from here, and whether the descent came to its end."""

    def worth(x: Vector) -> tuple[float, Vector]:
        value, slopes = smooth.values((expr,), x)
        return sign * float(value[0]), sign * slopes[0]

    constraints: list[Any] = [
        {
            "type": kind,
            "fun": lambda x, e=group: smooth.values(e, x)[0],
            "jac": lambda x, e=group: smooth.values(e, x)[1],
        }
        for kind, group in (("eq", smooth.zeros), ("ineq", smooth.floors))
        if group
    ]
    bounds: list[Any] = list(zip(smooth.low, smooth.high, strict=True))
    found: Any = minimize(
        worth, start, jac=True, method="SLSQP", bounds=bounds, constraints=constraints,
        options={"maxiter": 300, "ftol": 1e-12},
    )  # fmt: skip
    return np.clip(found.x, smooth.low, smooth.high), bool(found.success)


def _at(smooth: Smooth, expr: Expr, x: Vector) -> float:
    return float(value_of(expr, dict(zip(smooth.names, x.tolist(), strict=True))))
