"""Whether a program can have no more than one least value: a quadratic that curves upwards, linear constraints."""

from __future__ import annotations

import math

import numpy as np

from trueup.core.csp.program import MAXIMIZE, Const, Expr, Node, Objective, Ref, nodes
from trueup.solvers.gradient import value_and_slopes

MOST_VARIABLES = 200
ROUNDING = 1e-9


def is_convex(objective: Objective) -> bool:
    """Whether an objective is a quadratic that curves upwards where it is made least, downwards where greatest."""
    names = sorted({one.name for one in nodes(objective.expr) if isinstance(one, Ref)})
    if degree(objective.expr) > 2 or len(names) > MOST_VARIABLES:
        return False
    if not names:
        return True
    origin = dict.fromkeys(names, 0.0)
    level = _slopes(objective.expr, origin)
    curvature = np.array([_slopes(objective.expr, origin | {name: 1.0}) - level for name in names])
    curved = np.linalg.eigvalsh(-curvature if objective.sense == MAXIMIZE else curvature)
    return bool(curved.min(initial=0.0) >= -ROUNDING * np.abs(curved).max(initial=0.0))


def degree(expr: Expr) -> float:
    """The highest degree that a polynomial has as it is written; infinite for what is none."""
    match expr:
        case Const():
            return 0.0
        case Ref():
            return 1.0
        case Node("+" | "-" | "neg" | "sum", args):
            return max(map(degree, args))
        case Node("*", (a, b)):
            return degree(a) + degree(b)
        case Node("/", (a, b)) if degree(b) == 0:
            return degree(a)
        case Node("^", (a, Const(1 | 2 as power, _))):
            return power * degree(a)
        case _:
            return math.inf


def _slopes(expr: Expr, at: dict[str, float]) -> np.ndarray:
    slopes = value_and_slopes(expr, at)[1]
    return np.array([slopes.get(name, 0.0) for name in at])
