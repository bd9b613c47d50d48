"""A program of whole numbers as a CP-SAT model.

Runs in the child process only. Every operation is posted as it stands where it must hold, and through a literal that is
true exactly when it holds where it is part of another. A place outside of `element` makes the program unsatisfiable,
wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, pairwise
from typing import Any

from ortools.sat.python import cp_model

from trueup.core.csp.operators import OPERATORS, TRUTH
from trueup.core.csp.program import BOOL, MAXIMIZE, Const, Expr, Node, Program, Ref, Table
from trueup.core.csp.values import interval_of
from trueup.core.errors import BadInput

Linear = Any
"""A linear expression of OR-Tools, or an int."""
COMPARE: dict[str, Callable[[Linear, Linear], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class _Model(cp_model.CpModel):
    """A model without the names of before PEP 8, whose making takes longer than many a puzzle."""

    def _add_pre_pep8_methods(self) -> None:
        pass


class CpSat:
    """A model of the variables of a program, to which constraints are added."""

    def __init__(self, program: Program) -> None:
        """The variables alone."""
        self.model = _Model()
        self.variables = {variable.name: variable for variable in program.variables}
        self.vars = {variable.name: self._var(variable) for variable in program.variables}
        self._literals: dict[Expr, cp_model.IntVar] = {}

    def post(self, expr: Expr) -> None:
        """Make an expression hold."""
        match expr:
            case Node("and", args):
                for arg in args:
                    self.post(arg)
            case Node("or", args):
                self.model.add_bool_or([self.literal(arg) for arg in args])
            case Node("not", (Node(op, (a, b)),)) if op in COMPARE:
                self._compare(OPPOSITE[op], a, b)
            case Node(op, (a, b)) if op in COMPARE:
                self._compare(op, a, b)
            case Node("implies", (a, b)):
                self.model.add_implication(self.literal(a), self.literal(b))
            case Node("alldifferent", args):
                self.model.add_all_different([self.linear(arg) for arg in args])
            case Node("increasing", args):
                for a, b in pairwise(args):
                    self._compare("<", a, b)
            case Table(columns, rows):
                self._table(columns, rows)
            case _:
                self.model.add_bool_or([self.literal(expr)])

    def literal(self, expr: Expr) -> Any:
        """A literal that is true exactly when the expression holds."""
        if isinstance(expr, Ref):
            return self.vars[expr.name]
        if expr not in self._literals:
            self._literals[expr] = self._literal(expr)
        return self._literals[expr]

    def linear(self, expr: Expr) -> Linear:
        """The expression as a linear one, with variables of its own for what is not linear."""
        match expr:
            case Const(value, _):
                if not isinstance(value, int):
                    raise BadInput(f"{value} is no whole number; declare a float variable, or scale it")
                return value
            case Ref(name):
                return self.vars[name]
            case Node("+" | "sum", args):
                return sum(self.linear(arg) for arg in args)
            case Node("-", (a, b)):
                return self.linear(a) - self.linear(b)
            case Node("neg", (a,)):
                return -self.linear(a)
            case Node("count", args):
                return sum(self.literal(arg) for arg in args)
            case Node("*", (a, b)) if isinstance(a, Const) or isinstance(b, Const):
                return self.linear(a) * self.linear(b)
            case Node(op, _) if OPERATORS[op].gives != TRUTH:
                return self._derived(expr)
            case _:
                return self.literal(expr)

    def optimise(self, sense: str, expr: Expr) -> None:
        """Ask for the least or greatest value of an expression."""
        (self.model.maximize if sense == MAXIMIZE else self.model.minimize)(self.linear(expr))

    def forbid(self, values: dict[str, int]) -> None:
        """Rule one assignment out: some variable has to differ."""
        differs = []
        for name, value in values.items():
            other = self.model.new_bool_var("")
            self.model.add(self.vars[name] != value).only_enforce_if(other)
            differs.append(other)
        self.model.add_at_least_one(differs)

    def _var(self, variable: Any) -> cp_model.IntVar:
        if variable.kind == BOOL:
            return self.model.new_bool_var(variable.name)
        if variable.values:
            return self.model.new_int_var_from_domain(cp_model.Domain.from_values(variable.values), variable.name)
        return self.model.new_int_var(int(variable.low), int(variable.high), variable.name)

    def _compare(self, op: str, a: Expr, b: Expr) -> Any:
        truth = COMPARE[op](self.linear(a), self.linear(b))
        return self.model.add_bool_or([truth] if truth else []) if isinstance(truth, bool) else self.model.add(truth)

    def _table(self, columns: Sequence[Expr], rows: Sequence[Sequence[int]]) -> None:
        if rows:
            self.model.add_allowed_assignments([self._as_var(column) for column in columns], [list(r) for r in rows])
        else:
            self.model.add_bool_or([])

    def _as_var(self, expr: Expr) -> cp_model.IntVar:
        if isinstance(expr, Ref):
            return self.vars[expr.name]
        low, high = interval_of(expr, self.variables)
        var = self.model.new_int_var(int(low), int(high), "")
        self.model.add(var == self.linear(expr))
        return var

    def _literal(self, expr: Expr) -> Any:
        match expr:
            case Node("not", (a,)):
                return self.literal(a).negated()
            case Node(op, (a, b)) if op in COMPARE:
                return self._reified(op, a, b)
            case Node("and", args):
                return self._all([self.literal(arg) for arg in args])
            case Node("or", args):
                return self._all([self.literal(arg).negated() for arg in args]).negated()
            case Node("implies", (a, b)):
                return self._all([self.literal(a), self.literal(b).negated()]).negated()
            case Node("iff", (a, b)):
                return self._reified("==", a, b)
            case _:
                return self._all([self.literal(part) for part in _parts(expr)], any_of=_is_choice(expr))

    def _all(self, literals: Sequence[Any], any_of: bool = False) -> Any:
        """A literal that is true exactly when all of them are, or with `any_of` one."""
        if any_of:
            return self._all([literal.negated() for literal in literals]).negated()
        whole = self.model.new_bool_var("")
        self.model.add_bool_and(literals).only_enforce_if(whole)
        self.model.add_bool_or([*(literal.negated() for literal in literals), whole])
        return whole

    def _reified(self, op: str, a: Expr, b: Expr) -> Any:
        left, right = self.linear(a), self.linear(b)
        holds, fails = COMPARE[op](left, right), COMPARE[OPPOSITE[op]](left, right)
        if isinstance(holds, bool):
            return self.model.new_constant(int(holds))
        truth = self.model.new_bool_var("")
        self.model.add(holds).only_enforce_if(truth)
        self.model.add(fails).only_enforce_if(truth.negated())
        return truth

    def _derived(self, expr: Expr) -> cp_model.IntVar:
        """A variable that equals an operation which is not linear."""
        assert isinstance(expr, Node)
        low, high = interval_of(expr, self.variables)
        args = [self.linear(arg) for arg in expr.args]
        result = self.model.new_int_var(int(low), int(high), "")
        match expr.op:
            case "abs":
                self.model.add_abs_equality(result, args[0])
            case "min":
                self.model.add_min_equality(result, args)
            case "max":
                self.model.add_max_equality(result, args)
            case "*":
                self.model.add_multiplication_equality(result, args)
            case "^":
                self.model.add_multiplication_equality(result, [args[0]] * _exponent(expr.args[1]))
            case "element":
                self._element(args[0], args[1:], result)
        return result

    def _element(self, place: Linear, cells: Sequence[Linear], result: cp_model.IntVar) -> None:
        """OR-Tools counts from 0, and a place that is a plain number as Python does, from the end where it is below."""
        if not isinstance(place, int):
            self.model.add_element(place - 1, cells, result)
        elif 1 <= place <= len(cells):
            self.model.add(result == cells[place - 1])
        else:
            self.model.add_bool_or([])


def _exponent(expr: Expr) -> int:
    if not isinstance(expr, Const) or not isinstance(expr.value, int) or not 1 <= expr.value <= 8:
        raise BadInput("an exponent of whole numbers is a number from 1 to 8")
    return expr.value


def _is_choice(expr: Expr) -> bool:
    return isinstance(expr, Table) or (isinstance(expr, Node) and expr.op in ("oneof", "adjacent"))


def _parts(expr: Expr) -> list[Expr]:
    """The comparisons that an operation is short for: all of them hold, or for a choice one."""
    equal = partial(_compared, "==")
    match expr:
        case Node("alldifferent", args):
            return [_compared("!=", a, b) for a, b in combinations(args, 2)]
        case Node("increasing", args):
            return [_compared("<", a, b) for a, b in pairwise(args)]
        case Node("adjacent", (a, b)):
            return [equal(a, Node("+", (b, Const(1)))), equal(Node("+", (a, Const(1))), b)]
        case Node("oneof", (a, *rest)):
            return [equal(a, b) for b in rest]
        case Table(columns, rows):
            return [Node("and", tuple(map(equal, columns, map(Const, row)))) for row in rows]
        case _:
            raise AssertionError(expr)


def _compared(op: str, a: Expr, b: Expr) -> Node:
    return Node(op, (a, b))
