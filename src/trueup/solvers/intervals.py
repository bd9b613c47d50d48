"""Bounds of an expression and of its slopes over a box, outward of every rounding.

Moore 1966, Interval Analysis: what an operation comes to when its arguments lie between bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from trueup.core.csp.program import Const, Expr, Node, Ref

Interval = tuple[float, float]
Slopes = dict[str, Interval]
WHOLE: Interval = (-math.inf, math.inf)
NONE: Interval = (0.0, 0.0)
ONE: Interval = (1.0, 1.0)
LIBRARY_ROUNDING = 1e-14


class UndefinedError(Exception):
    """An expression that has no value anywhere in a box."""


def bounds_and_slopes(expr: Expr, box: Mapping[str, Interval]) -> tuple[Interval, Slopes]:
    """Between what an expression lies in a box, and its derivative by each variable in it.

    Raises UndefinedError where it has no value anywhere in the box.
    """
    match expr:
        case Const(number, _):
            return (float(number), float(number)), {}
        case Ref(name):
            return box[name], {name: ONE}
        case Node(op, args):
            parts = [bounds_and_slopes(arg, box) for arg in args]
            value, outer = _applied(op, args, [bounds for bounds, _ in parts])
            slopes: Slopes = {}
            for rate, (_, inner) in zip(outer, parts, strict=True):
                for name, slope in inner.items():
                    slopes[name] = added(slopes.get(name, NONE), times(rate, slope))
            return value, slopes
        case _:
            return WHOLE, dict.fromkeys(box, WHOLE)


def added(a: Interval, b: Interval) -> Interval:
    """All sums."""
    return _outward(a[0] + b[0], a[1] + b[1])


def times(a: Interval, b: Interval) -> Interval:
    """All products."""
    corners = [_product(x, y) for x in a for y in b]
    return _outward(min(corners), max(corners))


def _applied(op: str, args: tuple[Expr, ...], x: list[Interval]) -> tuple[Interval, list[Interval]]:
    """What an operation comes to, and its slopes by its arguments."""
    match op:
        case "+" | "sum":
            total = x[0]
            for one in x[1:]:
                total = added(total, one)
            return total, [ONE] * len(x)
        case "-":
            return added(x[0], _negative(x[1])), [ONE, (-1.0, -1.0)]
        case "neg":
            return _negative(x[0]), [(-1.0, -1.0)]
        case "*":
            return times(*x), [x[1], x[0]]
        case "/":
            over = _inverse(x[1])
            return times(x[0], over), [over, _negative(times(x[0], times(over, over)))]
        case "^":
            return _power(x[0], args[1])
        case "min" | "max":
            best = min if op == "min" else max
            return (best(low for low, _ in x), best(high for _, high in x)), [(0.0, 1.0)] * len(x)
        case _ if op in _FUNCTIONS:
            value, slope = _FUNCTIONS[op](x[0])
            return value, [slope]
        case _:
            return WHOLE, [WHOLE] * len(x)


def _power(base: Interval, exponent: Expr) -> tuple[Interval, list[Interval]]:
    """A whole power of at least 1, the only ones that are bounded here."""
    if not isinstance(exponent, Const) or not float(exponent.value).is_integer() or exponent.value < 1:
        return WHOLE, [WHOLE, WHOLE]
    whole = int(exponent.value)
    return _raised(base, whole), [times((float(whole), float(whole)), _raised(base, whole - 1)), NONE]


def _raised(base: Interval, exponent: int) -> Interval:
    try:
        ends = [one**exponent for one in base]
    except OverflowError:
        return WHOLE
    if exponent % 2 == 0 and base[0] <= 0 <= base[1]:
        return (0.0 if exponent else 1.0), _library(0.0, max(ends))[1]
    return _library(min(ends), max(ends))


def _inverse(x: Interval) -> Interval:
    if x == NONE:
        raise UndefinedError
    return WHOLE if x[0] <= 0 <= x[1] else _outward(1 / x[1], 1 / x[0])


def _abs(x: Interval) -> tuple[Interval, Interval]:
    low = 0.0 if x[0] <= 0 <= x[1] else min(map(abs, x))
    return (low, max(map(abs, x))), (-1.0 if x[0] < 0 else 1.0, 1.0 if x[1] > 0 else -1.0)


def _sqrt(x: Interval) -> tuple[Interval, Interval]:
    if x[1] < 0:
        raise UndefinedError
    low, high = _library(math.sqrt(max(x[0], 0.0)), math.sqrt(x[1]))
    return (max(low, 0.0), high), (WHOLE if x[0] <= 0 else times((0.5, 0.5), _inverse((low, high))))


def _exp(x: Interval) -> tuple[Interval, Interval]:
    value = _library(_exponential(x[0]), _exponential(x[1]))
    return value, value


def _log(x: Interval) -> tuple[Interval, Interval]:
    if x[1] <= 0:
        raise UndefinedError
    if x[0] <= 0:
        return (-math.inf, _library(0.0, math.log(x[1]))[1]), WHOLE
    return _library(math.log(x[0]), math.log(x[1])), _inverse(x)


def _sin(x: Interval) -> tuple[Interval, Interval]:
    return _wave(x, math.pi / 2), _wave(x, 0.0)


def _cos(x: Interval) -> tuple[Interval, Interval]:
    return _wave(x, 0.0), _negative(_wave(x, math.pi / 2))


def _wave(x: Interval, crest: float) -> Interval:
    """cos(x - crest): between its ends, unless a crest or a trough lies between them."""
    if not x[1] - x[0] < math.tau:
        return -1.0, 1.0
    ends = [math.cos(one - crest) for one in x]
    slack = LIBRARY_ROUNDING * max(1.0, abs(x[0]), abs(x[1]))
    low, high = max(-1.0, min(ends) - slack), min(1.0, max(ends) + slack)
    return (-1.0 if _reaches(x, crest + math.pi) else low), (1.0 if _reaches(x, crest) else high)


def _reaches(x: Interval, place: float) -> bool:
    """Whether one of the places, a full turn from each other, lies within bounds or at their edge."""
    edge = LIBRARY_ROUNDING * max(1.0, abs(x[0]), abs(x[1]))
    nearest = place + math.tau * math.ceil((x[0] - edge - place) / math.tau)
    return nearest <= x[1] + edge


def _exponential(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _negative(x: Interval) -> Interval:
    return -x[1], -x[0]


def _product(a: float, b: float) -> float:
    """An infinite bound is never reached, so that nothing times it is nothing."""
    return a * b if a and b else 0.0


def _outward(low: float, high: float) -> Interval:
    if math.isnan(low) or math.isnan(high):
        return WHOLE
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)


def _library(low: float, high: float) -> Interval:
    """Bounds wide enough for what a library rounds."""
    return _outward(low - LIBRARY_ROUNDING * abs(low), high + LIBRARY_ROUNDING * abs(high))


_FUNCTIONS: Mapping[str, Callable[[Interval], tuple[Interval, Interval]]] = {
    "abs": _abs, "sqrt": _sqrt, "exp": _exp, "log": _log, "sin": _sin, "cos": _cos,
}  # fmt: skip
