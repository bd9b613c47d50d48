"""Solves nonlinear equations, inequalities and objectives in fractions, by SciPy from several starts.

Runs in the child process only. A solution that is found satisfies the program to a tolerance; a least value is a local
one, the best of all starts, or the only one where the program is convex. That none was found proves nothing: the status
is then `undecided`. Without an objective it is Levenberg and Marquardt's least squares within bounds (SciPy's trust
region), with one sequential quadratic programming (Kraft 1988).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

from trueup.core.csp.program import FLOAT, MAXIMIZE, Expr, Node, Program, conjuncts
from trueup.core.csp.values import value_of
from trueup.core.errors import BadInput
from trueup.solvers.convex import degree, is_convex
from trueup.solvers.gradient import value_and_slopes

Vector = NDArray[np.float64]
STARTS = 24
TOLERANCE = 1e-6
SEED = 0


@dataclass(frozen=True, slots=True)
class Smooth:
    """What must come to 0 and what must not fall below it, in the order of the variables."""

    names: tuple[str, ...]
    low: Vector
    high: Vector
    zeros: tuple[Expr, ...]
    floors: tuple[Expr, ...]

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

    def violation(self, x: Vector) -> float:
        """How far the worst of all is from holding."""
        zeros, floors = self.values(self.zeros, x)[0], self.values(self.floors, x)[0]
        return float(max(np.abs(zeros).max(initial=0.0), (-floors).max(initial=0.0)))


def solve_smooth(program: Program, limit_seconds: float) -> dict[str, Any]:
    """The status and the best solution that was found within the time.

    Raises BadInput for a program with whole numbers, or with logic in it.
    """
    smooth, objective = _split(program), program.objective
    sign = -1.0 if objective is not None and objective.sense == MAXIMIZE else 1.0
    settles = objective is None or (is_convex(objective) and smooth.is_linear)
    best: tuple[float, Vector] | None = None
    end = time.monotonic() + limit_seconds
    for start in _starts(smooth):
        x, has_ended = _feasible(smooth, start), True
        if objective is not None:
            x, has_ended = _descended(smooth, objective.expr, sign, x)
        if smooth.violation(x) <= TOLERANCE:
            worth = 0.0 if objective is None else sign * _at(smooth, objective.expr, x)
            best = (worth, x) if best is None or worth < best[0] else best
        if time.monotonic() > end or (best is not None and settles and has_ended):
            break
    if best is None:
        return {"status": "timeout" if time.monotonic() > end else "undecided"}
    values = dict(zip(smooth.names, best[1].tolist(), strict=True))
    return {"status": "solved", "values": values, **({} if objective is None else {"objective": sign * best[0]})}


def _split(program: Program) -> Smooth:
    whole = next((variable.name for variable in program.variables if variable.kind != FLOAT), None)
    if whole is not None:
        raise BadInput(f"{whole!r} is no fraction, and the program is not linear; declare it as float or use z3")
    zeros: list[Expr] = []
    floors: list[Expr] = []
    for constraint in program.constraints:
        for part in conjuncts(constraint.expr):
            _sort(part, zeros, floors)
    low, high = (np.array([getattr(v, end) for v in program.variables], float) for end in ("low", "high"))
    return Smooth(tuple(v.name for v in program.variables), low, high, tuple(zeros), tuple(floors))


def _sort(part: Expr, zeros: list[Expr], floors: list[Expr]) -> None:
    match part:
        case Node("==", (a, b)):
            zeros.append(Node("-", (a, b)))
        case Node(">=" | ">", (a, b)):
            floors.append(Node("-", (a, b)))
        case Node("<=" | "<", (a, b)):
            floors.append(Node("-", (b, a)))
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
        floors = smooth.values(smooth.floors, x)[0]
        return np.concatenate([smooth.values(smooth.zeros, x)[0], np.minimum(floors, 0.0)])

    def slopes(x: Vector) -> NDArray[np.float64]:
        floors, rates = smooth.values(smooth.floors, x)
        return np.vstack([smooth.values(smooth.zeros, x)[1], rates * (floors < 0)[:, None]])

    if not smooth.zeros and not smooth.floors:
        return start
    spread = np.maximum(smooth.high - smooth.low, 1e-9)
    inside = np.clip(start, smooth.low, smooth.low + spread)
    found = least_squares(
        residuals, inside, slopes, bounds=(smooth.low, smooth.low + spread), xtol=1e-15, ftol=1e-15, gtol=1e-12
    )
    return np.asarray(found.x)


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
    return np.asarray(found.x), bool(found.success)


def _at(smooth: Smooth, expr: Expr, x: Vector) -> float:
    return float(value_of(expr, dict(zip(smooth.names, x.tolist(), strict=True))))
