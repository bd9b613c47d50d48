"""A program's variables and expressions as Z3's.

Runs in the child process only.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from trueup.core.csp.operators import EXACT_POWER, OPERATORS, TRUTH
from trueup.core.csp.program import BOOL, FLOAT, Const, Expr, Node, Program, Ref, Table
from trueup.core.errors import BadInput

DIGITS = 12
"""To how many an irrational number is read."""


class Terms:
    """A program's variables and expressions as Z3's."""

    def __init__(self, z3: Any, program: Program) -> None:
        """Make the variables."""
        self.z3 = z3
        make = {BOOL: z3.Bool, FLOAT: z3.Real}
        self.vars = {variable.name: make.get(variable.kind, z3.Int)(variable.name) for variable in program.variables}
        self._inside: list[Any] = []

    def inside(self) -> list[Any]:
        """That every operation since the last call has a value: a place is within, a divisor is not zero."""
        found, self._inside = self._inside, []
        return found

    def domain(self, variable: Any) -> list[Any]:
        """What keeps a variable within its bounds."""
        if variable.kind == BOOL:
            return []
        var = self.vars[variable.name]
        if variable.values:
            return [self.z3.Or([var == value for value in variable.values])]
        return [var >= variable.low, var <= variable.high]

    def truth(self, expr: Expr) -> Any:
        """An expression that holds or does not."""
        z3 = self.z3
        match expr:
            case Ref(name):
                return self.vars[name]
            case Node("and" | "or" as op, args):
                return (z3.And if op == "and" else z3.Or)([self.truth(arg) for arg in args])
            case Node("not", (a,)):
                return z3.Not(self.truth(a))
            case Node("implies", (a, b)):
                return z3.Implies(self.truth(a), self.truth(b))
            case Node("iff", (a, b)):
                return self.truth(a) == self.truth(b)
            case Table(columns, rows):
                cells = [self.number(column) for column in columns]
                return z3.Or([z3.And([c == value for c, value in zip(cells, row, strict=True)]) for row in rows])
            case Node(op, args):
                return self._compared(op, [self.number(arg) for arg in args])
        raise AssertionError(expr)

    def number(self, expr: Expr) -> Any:
        """An expression that comes to a number."""
        match expr:
            case Const(value, _):
                return self.z3.RealVal(repr(value)) if isinstance(value, float) else self.z3.IntVal(value)
            case Ref(name) if not self.z3.is_bool(self.vars[name]):
                return self.vars[name]
            case Node("count", args):
                return self.z3.Sum([self.z3.If(self.truth(arg), 1, 0) for arg in args])
            case Node(op, args) if OPERATORS[op].gives != TRUTH:
                return self._calculated(op, [self.number(arg) for arg in args])
            case _:
                return self.z3.If(self.truth(expr), 1, 0)

    def read(self, value: Any, variable: Any) -> int | float:
        """A variable's value in a model."""
        if variable.kind == BOOL:
            return int(self.z3.is_true(value))
        return _number(value) if variable.kind == FLOAT else int(value.as_long())

    def _compared(self, op: str, x: list[Any]) -> Any:
        z3 = self.z3
        match op:
            case "==":
                return x[0] == x[1]
            case "!=":
                return x[0] != x[1]
            case "<":
                return x[0] < x[1]
            case "<=":
                return x[0] <= x[1]
            case ">":
                return x[0] > x[1]
            case ">=":
                return x[0] >= x[1]
            case "alldifferent":
                return z3.Distinct(x)
            case "increasing":
                return z3.And([a < b for a, b in pairwise(x)])
            case "adjacent":
                return z3.Or(x[0] - x[1] == 1, x[1] - x[0] == 1)
            case "oneof":
                return z3.Or([x[0] == other for other in x[1:]])
        raise AssertionError(op)

    def _calculated(self, op: str, x: list[Any]) -> Any:
        z3 = self.z3
        match op:
            case "+" | "sum":
                return z3.Sum(x)
            case "-":
                return x[0] - x[1]
            case "neg":
                return -x[0]
            case "*":
                return x[0] * x[1]
            case "/":
                self._inside.append(x[1] != 0)
                return self._real(x[0]) / x[1]
            case "^":
                return self._power(x[0], x[1])
            case "abs":
                return z3.If(x[0] >= 0, x[0], -x[0])
            case "min" | "max":
                best = x[0]
                for other in x[1:]:
                    best = z3.If(other < best if op == "min" else other > best, other, best)
                return best
            case "element":
                self._inside.append(z3.Or([x[0] == i for i in range(1, len(x))]))
                cell = x[-1]
                for i in range(len(x) - 2, 0, -1):
                    cell = z3.If(x[0] == i, x[i], cell)
                return cell
        raise BadInput(f"{op!r} is not taken by z3; the back-end scipy takes it over fractions")

    def _power(self, base: Any, exponent: Any) -> Any:
        z3 = self.z3
        if z3.is_int_value(exponent) and abs(exponent.as_long()) > EXACT_POWER:
            raise BadInput(f"an exponent of z3 is at most {EXACT_POWER}, not {exponent}")
        if z3.is_int_value(exponent) and exponent.as_long() >= 0:
            return base**exponent
        base, zero = self._real(base), self.z3.RealVal(0)
        if z3.is_int_value(exponent):
            self._inside.append(base != zero)
            return 1 / base ** (-exponent.as_long())
        exponent = self._real(exponent)
        is_root = z3.Or(base > zero, z3.And(base == zero, exponent >= zero))
        self._inside.append(z3.Or(is_root, z3.And(base < zero, z3.IsInt(exponent))))
        return base**exponent

    def _real(self, number: Any) -> Any:
        return self.z3.ToReal(number) if self.z3.is_int(number) else number


def _number(value: Any) -> float:
    """A number of Z3's, an irrational one to twelve digits."""
    return float((value.approx(DIGITS) if hasattr(value, "approx") else value).as_fraction())
