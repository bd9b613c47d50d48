"""An expression's value and its slope in every variable, by the chain rule from the leaves up."""

from __future__ import annotations

import math
from collections.abc import Mapping

from trueup.core.csp.operators import OPERATORS
from trueup.core.csp.program import Const, Expr, Ref, Table
from trueup.core.errors import BadInput

Slopes = dict[str, float]


def value_and_slopes(expr: Expr, values: Mapping[str, float]) -> tuple[float, Slopes]:
    """What an expression comes to, and its derivative by each variable in it.

    Raises BadInput for an operation that has no slope.
    """
    if isinstance(expr, Const):
        return float(expr.value), {}
    if isinstance(expr, Ref):
        return float(values[expr.name]), {expr.name: 1.0}
    if isinstance(expr, Table):
        raise BadInput("a table and fractions cannot go together; write its rows as comparisons of ints")
    parts = [value_and_slopes(arg, values) for arg in expr.args]
    numbers = [value for value, _ in parts]
    slopes: Slopes = {}
    for rate, (_, inner) in zip(_outer(expr.op, numbers), parts, strict=True):
        for name, slope in inner.items():
            slopes[name] = slopes.get(name, 0.0) + rate * slope
    return float(OPERATORS[expr.op].apply(numbers)), slopes


def _outer(op: str, x: list[float]) -> list[float]:
    """The derivative of an operation by each of its arguments."""
    match op:
        case "+" | "sum":
            return [1.0] * len(x)
        case "-":
            return [1.0, -1.0]
        case "neg":
            return [-1.0]
        case "*":
            return [x[1], x[0]]
        case "/":
            return [1 / x[1], -x[0] / x[1] ** 2] if x[1] else [math.nan, math.nan]
        case "^":
            return _power(x[0], x[1])
        case "abs":
            return [math.copysign(1.0, x[0])]
        case "min" | "max":
            chosen = x.index(min(x) if op == "min" else max(x))
            return [float(i == chosen) for i in range(len(x))]
        case "sin":
            return [math.cos(x[0])]
        case "cos":
            return [-math.sin(x[0])]
        case "exp":
            return [math.exp(min(x[0], 700.0))]
        case "sqrt":
            return [0.5 / math.sqrt(x[0]) if x[0] > 0 else math.nan]
        case "log":
            return [1 / x[0] if x[0] > 0 else math.nan]
        case _:
            raise BadInput(f"{op!r} and fractions cannot go together; the back-end z3 takes logic over fractions")


def _power(base: float, exponent: float) -> list[float]:
    try:
        by_base = exponent * base ** (exponent - 1)
        by_exponent = base**exponent * math.log(base) if base > 0 else 0.0
    except (ZeroDivisionError, OverflowError):
        return [math.nan, math.nan]
    return [math.nan if isinstance(by_base, complex) else by_base, by_exponent]
