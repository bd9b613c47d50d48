"""The operations of a constraint program, each defined once for both syntaxes, the checks and the grammar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

NUMBER, TRUTH = "number", "truth"
SLACK = 1e-6
"""How far two fractions may lie apart and still be called equal, beside their size."""

EXACT_POWER = 64
"""Beyond this exponent a power is a fraction, so that none takes long."""

Number = int | float
Values = Sequence[Number]


@dataclass(frozen=True, slots=True)
class Operator:
    """One operation: what it takes and gives, and what it comes to.

    From `least` to `most` arguments of kind `takes`; `power` is the binding power of an infix one, 0 for a call.
    """

    name: str
    takes: str
    gives: str
    least: int
    most: int | None
    apply: Callable[[Values], Number]
    power: int = 0
    about: str = ""


def equal(a: Number, b: Number) -> bool:
    """Whether two numbers are the same, up to rounding where one is a fraction."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return abs(a - b) <= SLACK * max(1.0, abs(a), abs(b))


def _ordered(a: Number, b: Number) -> bool:
    return a < b or equal(a, b)


def _increasing(values: Values) -> int:
    return int(all(a < b for a, b in pairwise(values)))


def _infix(name: str, takes: str, gives: str, power: int, apply: Callable[[Number, Number], Number]) -> Operator:
    return Operator(name, takes, gives, 2, 2, lambda v: apply(v[0], v[1]), power)


def _call(
    name: str, takes: str, gives: str, least: int, most: int | None, apply: Callable[[Values], Number], about: str
) -> Operator:
    return Operator(name, takes, gives, least, most, apply, 0, about)


def _quotient(a: Number, b: Number) -> Number:
    return a / b if b else math.nan


def _real(function: Callable[[float], float]) -> Callable[[Values], Number]:
    def apply(values: Values) -> Number:
        try:
            return function(values[0])
        except (ValueError, OverflowError):
            return math.nan

    return apply


def _power(a: Number, b: Number) -> Number:
    if abs(b) > EXACT_POWER:
        a = float(a)
    try:
        value = a**b
    except (ZeroDivisionError, OverflowError):
        return math.nan
    return math.nan if isinstance(value, complex) else value


_TABLE = (
    _infix("iff", TRUTH, TRUTH, 1, lambda a, b: int(bool(a) == bool(b))),
    _infix("implies", TRUTH, TRUTH, 2, lambda a, b: int(not a or bool(b))),
    Operator("or", TRUTH, TRUTH, 2, None, lambda v: int(any(v)), 3),
    Operator("and", TRUTH, TRUTH, 2, None, lambda v: int(all(v)), 4),
    Operator("not", TRUTH, TRUTH, 1, 1, lambda v: int(not v[0]), 5),
    _infix("==", NUMBER, TRUTH, 6, lambda a, b: int(equal(a, b))),
    _infix("!=", NUMBER, TRUTH, 6, lambda a, b: int(not equal(a, b))),
    _infix("<=", NUMBER, TRUTH, 6, lambda a, b: int(_ordered(a, b))),
    _infix(">=", NUMBER, TRUTH, 6, lambda a, b: int(_ordered(b, a))),
    _infix("<", NUMBER, TRUTH, 6, lambda a, b: int(a < b)),
    _infix(">", NUMBER, TRUTH, 6, lambda a, b: int(a > b)),
    _infix("+", NUMBER, NUMBER, 7, lambda a, b: a + b),
    _infix("-", NUMBER, NUMBER, 7, lambda a, b: a - b),
    _infix("*", NUMBER, NUMBER, 8, lambda a, b: a * b),
    _infix("/", NUMBER, NUMBER, 8, _quotient),
    _infix("^", NUMBER, NUMBER, 10, _power),
    _call("neg", NUMBER, NUMBER, 1, 1, lambda v: -v[0], "-x"),
    _call("abs", NUMBER, NUMBER, 1, 1, lambda v: abs(v[0]), "without its sign"),
    _call("sum", NUMBER, NUMBER, 1, None, sum, "all of them together"),
    _call("min", NUMBER, NUMBER, 1, None, min, "the least"),
    _call("max", NUMBER, NUMBER, 1, None, max, "the greatest"),
    _call("sqrt", NUMBER, NUMBER, 1, 1, _real(math.sqrt), "square root"),
    _call("sin", NUMBER, NUMBER, 1, 1, _real(math.sin), "sine of radians"),
    _call("cos", NUMBER, NUMBER, 1, 1, _real(math.cos), "cosine of radians"),
    _call("exp", NUMBER, NUMBER, 1, 1, _real(math.exp), "e to the power"),
    _call("log", NUMBER, NUMBER, 1, 1, _real(math.log), "natural logarithm"),
    _call("count", TRUTH, NUMBER, 1, None, lambda v: sum(map(bool, v)), "how many of them hold"),
    _call("alldifferent", NUMBER, TRUTH, 2, None, lambda v: int(len(set(v)) == len(v)), "no two are equal"),
    _call("increasing", NUMBER, TRUTH, 2, None, _increasing, "each below the next"),
    _call("adjacent", NUMBER, TRUTH, 2, 2, lambda v: int(abs(v[0] - v[1]) == 1), "one apart"),
    _call("oneof", NUMBER, TRUTH, 2, None, lambda v: int(v[0] in v[1:]), "the first equals one of the rest"),
    _call("element", NUMBER, NUMBER, 2, None, lambda v: _element(v), "element(i, a, b, ...): the i-th, from 1"),
)  # fmt: skip
OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _TABLE}


def _element(values: Values) -> Number:
    """Undefined at a place that is none: beyond the first or the last, or between two."""
    place = round(values[0]) if abs(values[0]) <= len(values) else 0
    return values[place] if 1 <= place < len(values) and equal(place, values[0]) else math.nan
