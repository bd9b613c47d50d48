"""Solves logic over fractions and whole numbers by Z3, through its API.

Runs in the child process only. Z3's own text parser is never given anything: it reads and writes files on command.
Polynomials are exact; sine, cosine, exponentials and logarithms are not taken. A place outside of `element` breaks the
constraint that it stands in, wherever it stands there.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from trueup.core.csp.operators import OPERATORS, TRUTH
from trueup.core.csp.program import BOOL, FLOAT, MAXIMIZE, Const, Expr, Node, Program, Ref, Table
from trueup.core.csp.values import named
from trueup.core.errors import BadInput, Unavailable
from trueup.solvers.backends import UNREACHED

MILLISECONDS = 1000
DIGITS = 12


def solve_smt(program: Program, limit_seconds: float, *, unique: bool = True) -> dict[str, Any]:
    """The status, a solution and, without an objective, another one; or the constraints in conflict.

    Raises Unavailable without Z3, BadInput for an operation that it does not take.
    """
    try:
        import z3
    except ImportError:
        raise Unavailable("the back-end z3 wants the package z3-solver; pip install 'trueup[smt]'") from None
    solver = z3.Optimize() if program.objective is not None else z3.Solver()
    solver.set("timeout", round(limit_seconds * MILLISECONDS))
    terms = Terms(z3, program)
    for variable in program.variables:
        solver.add(*terms.domain(variable))
    names = _post(solver, program, terms)
    goal = None
    if program.objective is not None:
        sense = solver.maximize if program.objective.sense == MAXIMIZE else solver.minimize
        goal = sense(terms.number(program.objective.expr))
        solver.add(*terms.inside())
    found = solver.check(*names)
    if found == z3.unsat:
        return {"status": "unsatisfiable", "conflict": [names[core] for core in solver.unsat_core()]}
    if found != z3.sat:
        return {"status": "timeout"}
    model = solver.model()
    values = {v.name: terms.read(model.eval(terms.vars[v.name], model_completion=True), v) for v in program.variables}
    if goal is not None and not _is_number(goal.value()):
        return {"status": "undecided", "reason": UNREACHED}
    if goal is not None:
        return {"status": "solved", "values": values, "objective": _number(goal.value())}
    return {"status": "solved", "values": values} | (_another(solver, names, terms, program, values) if unique else {})


def _another(
    solver: Any, names: dict[Any, str], terms: Terms, program: Program, values: dict[str, int | float]
) -> dict[str, Any]:
    """What a second solution adds to a reply: nothing where it is proved that there is none."""
    model = solver.model()
    solver.add(terms.z3.Or([var != model.eval(var, model_completion=True) for var in terms.vars.values()]))
    found = solver.check(*names)
    if found == terms.z3.unsat:
        return {}
    if found != terms.z3.sat:
        return {"status": "timeout"}
    other = solver.model()
    read = {v.name: terms.read(other.eval(terms.vars[v.name], model_completion=True), v) for v in program.variables}
    return {"status": "not_unique", "other": {name: value for name, value in read.items() if value != values[name]}}


def _post(solver: Any, program: Program, terms: Terms) -> dict[Any, str]:
    """Add the constraints, each behind a switch, and name the switches."""
    names = {}
    for i, constraint in enumerate(program.constraints):
        switch = terms.z3.Bool(f"constraint {i}")
        holds = terms.truth(constraint.expr)
        solver.add(terms.z3.Implies(switch, terms.z3.And(holds, *terms.inside())))
        names[switch] = named(constraint)
    return names


class Terms:
    """A program's variables and expressions as Z3's."""

    def __init__(self, z3: Any, program: Program) -> None:
        """Make the variables."""
        self.z3 = z3
        make = {BOOL: z3.Bool, FLOAT: z3.Real}
        self.vars = {variable.name: make.get(variable.kind, z3.Int)(variable.name) for variable in program.variables}
        self._inside: list[Any] = []

    def inside(self) -> list[Any]:
        """That the places of every `element` since the last call name one of its cells."""
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
        number = _number(value)
        return number if variable.kind == FLOAT else round(number)

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
                return z3.ToReal(x[0]) / x[1] if z3.is_int(x[0]) else x[0] / x[1]
            case "^":
                return x[0] ** x[1]
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


def _is_number(value: Any) -> bool:
    """Whether Z3 names a number; a bound that is approached and not reached it writes with an epsilon."""
    return any(hasattr(value, way) for way in ("approx", "as_fraction", "as_long"))


def _number(value: Any) -> float:
    """A number of Z3's, an irrational one to twelve digits."""
    if hasattr(value, "approx"):
        value = value.approx(DIGITS)
    return float(value.as_fraction()) if hasattr(value, "as_fraction") else float(value.as_long())
