"""What expressions come to under an assignment, and how low and high they can get."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from trueup.core.csp.operators import OPERATORS, TRUTH, Number
from trueup.core.csp.program import Const, Constraint, Expr, Node, Program, Ref, Table, Variable
from trueup.core.errors import BadInput

Assignment = Mapping[str, Number]
Interval = tuple[Number, Number]
WIDEST = 2**53


class _UndefinedError(Exception):
    """A part of an expression comes to no number."""


def value_of(expr: Expr, values: Assignment) -> Number:
    """What an expression comes to; a truth is 0 or 1, and what has an undefined part anywhere is nan."""
    try:
        return _defined(expr, values)
    except _UndefinedError:
        return math.nan


def _defined(expr: Expr, values: Assignment) -> Number:
    if isinstance(expr, Node):  # by `match` this takes more than twice as long
        value = OPERATORS[expr.op].apply([_defined(arg, values) for arg in expr.args])
        if value != value:
            raise _UndefinedError
        return value
    if isinstance(expr, Ref):
        return values[expr.name]
    if isinstance(expr, Const):
        return expr.value
    return int(tuple(_defined(column, values) for column in expr.columns) in expr.rows)


def holds(constraint: Constraint, values: Assignment) -> bool:
    """Whether an assignment satisfies a constraint."""
    return value_of(constraint.expr, values) == 1


def broken(program: Program, values: Assignment) -> Iterator[str]:
    """What of a program an assignment does not satisfy, in words."""
    for variable in program.variables:
        if not in_domain(variable, values[variable.name]):
            yield f"{variable.name} = {values[variable.name]} is outside its domain"
    for constraint in program.constraints:
        if not holds(constraint, values):
            yield named(constraint)


def in_domain(variable: Variable, value: Number) -> bool:
    """Whether a variable may take a value, up to rounding for fractions."""
    if variable.kind == "float":
        slack = 1e-6 * max(1.0, abs(variable.low), abs(variable.high))
        return variable.low - slack <= value <= variable.high + slack
    return value in variable.values if variable.values else variable.low <= value <= variable.high


def named(constraint: Constraint) -> str:
    """A constraint by its clue, or by its line where it has none."""
    return constraint.clue or f"line {constraint.line}"


def interval_of(expr: Expr, variables: Mapping[str, Variable]) -> Interval:
    """Bounds of an expression, not always the tightest, for whole numbers.

    Raises BadInput where they are wider than a solver of whole numbers can take.
    """
    match expr:
        case Const(value, _):
            return value, value
        case Ref(name):
            return variables[name].low, variables[name].high
        case Table():
            return 0, 1
        case Node(op, args):
            if OPERATORS[op].gives == TRUTH:
                return 0, 1
            low, high = _interval(op, [interval_of(arg, variables) for arg in args])
            if not -math.inf < low <= high < math.inf:
                wrong = "has an exponent that is not from 1 to 8" if op == "^" else "gives fractions"
                raise BadInput(f"{op!r} {wrong}; declare its variables as float")
            if not -WIDEST <= low <= high <= WIDEST:
                raise BadInput(f"{op!r} can come to more than {WIDEST:,}; give its variables smaller bounds")
            return low, high


def _interval(op: str, args: Sequence[Interval]) -> Interval:
    match op:
        case "+" | "sum":
            return sum(low for low, _ in args), sum(high for _, high in args)
        case "-":
            return args[0][0] - args[1][1], args[0][1] - args[1][0]
        case "neg":
            return -args[0][1], -args[0][0]
        case "abs":
            low, high = args[0]
            return (0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
        case "count":
            return 0, len(args)
        case "min":
            return min(low for low, _ in args), min(high for _, high in args)
        case "max":
            return max(low for low, _ in args), max(high for _, high in args)
        case "element":
            return min(low for low, _ in args[1:]), max(high for _, high in args[1:])
        case "*" | "^":
            return _corners(op, args)
        case _:
            return -math.inf, math.inf


def _corners(op: str, args: Sequence[Interval]) -> Interval:
    found = [OPERATORS[op].apply(pair) for pair in product(*args)]
    if any(value != value for value in found):
        return -math.inf, math.inf
    if op == "^" and args[0][0] <= 0 <= args[0][1]:
        found.append(0)
    return min(found), max(found)
