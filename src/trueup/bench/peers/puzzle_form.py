"""A constraint program in the few forms that other solvers take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import product
from math import prod
from typing import Any

from trueup.core.csp import Const, Expr, Node, Objective, Program, Ref, Variable
from trueup.core.csp.program import Table, conjuncts, nodes
from trueup.core.csp.values import in_domain, value_of
from trueup.core.errors import BadInput

Form = dict[str, Any]
CONSTANT = ""
"""Under this name a linear sum keeps what no variable is in."""
MIRRORED = {"<": -1, "<=": 0, "==": 0, ">=": 0, ">": 1}
"""What a strict comparison of whole numbers shifts its bound by."""
AT_MOST, EQUAL, AT_LEAST = "<=", "==", ">="
SENSES = {"<": AT_MOST, "<=": AT_MOST, "==": EQUAL, ">=": AT_LEAST, ">": AT_LEAST}


ROWS = 2_000
"""Most rows of a constraint on more than two variables that is neither linear nor a table."""


def form_of(program: Program) -> Form:
    """Variables with their values, and constraints that are `different`, `linear`, or `rows` of values.

    What counts values and what is the greatest of several has variables of its own, which rows tie to the others.
    Raises BadInput for a program that holds anything else.
    """
    former = _Former(program)
    exprs = [expr for constraint in program.constraints for expr in conjuncts(constraint.expr)]
    for expr in sorted(exprs, key=lambda one: not isinstance(one, Table)):  # stable; what is wide joins tables
        former.put(expr)
    objective, domains = former.objective(program.objective), former.domains
    for one in [one for one in former.constraints if one["kind"] == "rows" and len(one["vars"]) == 1]:
        domains[one["vars"][0]] = [value for value in domains[one["vars"][0]] if [value] in one["rows"]]
    kept = [one for one in former.constraints if one["kind"] != "rows" or len(one["vars"]) > 1]
    return {"domains": domains, "constraints": kept, "objective": objective}


class _Former:
    """The variables and constraints of a form, as far as it is made."""

    def __init__(self, program: Program) -> None:
        self.domains = {variable.name: _domain(variable) for variable in program.variables}
        self.constraints: list[Form] = []

    def put(self, expr: Expr) -> None:
        """One constraint."""
        names = sorted({one.name for one in nodes(expr) if isinstance(one, Ref)})
        if isinstance(expr, Node) and expr.op in ("alldifferent", "!=") and _are_refs(expr.args):
            self.constraints.append({"kind": "different", "vars": names})
        elif isinstance(expr, Table) and _are_refs(expr.columns):
            self._tie([column.name for column in expr.columns if isinstance(column, Ref)], expr.rows)
        elif isinstance(expr, Node) and expr.op in SENSES and len(names) > 1 and (terms := self._compared(expr)):
            bound = -terms.pop(CONSTANT, 0) + MIRRORED[expr.op]
            self.constraints.append({"kind": "linear", "terms": terms, "sense": SENSES[expr.op], "bound": bound})
        else:
            self._tie(names, (row for row in self._cases(names) if value_of(expr, dict(zip(names, row, strict=True)))))

    def objective(self, objective: Objective | None) -> Form | None:
        """What is to be made the least or the most, as a linear sum."""
        if objective is None:
            return None
        terms = self._linear(objective.expr)
        if terms is None:
            raise BadInput("the objective is not linear")
        return {"sense": objective.sense, "terms": {name: value for name, value in terms.items() if name != CONSTANT}}

    def _tie(self, names: Sequence[str], rows: Iterable[Sequence[int]]) -> None:
        self.constraints.append({"kind": "rows", "vars": list(names), "rows": [list(row) for row in rows]})

    def _cases(self, names: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """All values of these variables together; of tables among them the rows that agree."""
        tables = [one for one in self.constraints if one["kind"] == "rows" and set(one["vars"]) <= set(names)]
        parts = [(one["vars"], one["rows"]) for one in tables if len(names) > 2]
        parts += [((name,), [(value,) for value in self.domains[name]]) for name in _left(names, parts)]
        if len(names) > 2 and prod(len(rows) for _, rows in parts) > ROWS:
            raise BadInput(f"a constraint on {len(names)} variables is neither linear nor a table")
        for rows in product(*(rows for _, rows in parts)):
            found: dict[str, int] = {}
            pairs = [pair for (of, _), row in zip(parts, rows, strict=True) for pair in zip(of, row, strict=True)]
            if all(found.setdefault(name, value) == value for name, value in pairs):
                yield tuple(found[name] for name in names)

    def _compared(self, expr: Node) -> dict[str, int] | None:
        """Left less right as a linear sum."""
        return _sum([self._linear(expr.args[0]), _scaled(self._linear(expr.args[1]), -1)])

    def _linear(self, expr: Expr) -> dict[str, int] | None:
        match expr:
            case Const(value, _):
                return {CONSTANT: int(value)}
            case Ref(name):
                return {name: 1}
            case Node("+" | "sum", args):
                return _sum([self._linear(arg) for arg in args])
            case Node("-", (a, b)):
                return _sum([self._linear(a), _scaled(self._linear(b), -1)])
            case Node("neg", (a,)):
                return _scaled(self._linear(a), -1)
            case Node("*", (Const(value, _), a)) | Node("*", (a, Const(value, _))):
                return _scaled(self._linear(a), int(value))
            case Node("count", args):
                return _sum([self._truth(arg) for arg in args])
            case Node("max", args) if _are_refs(args):
                return {reduce(self._greater, [arg.name for arg in args if isinstance(arg, Ref)]): 1}
        return None

    def _truth(self, expr: Expr) -> dict[str, int] | None:
        """A variable that is 1 where a condition on one other holds, else 0."""
        match expr:
            case Node("==", (Ref(name), Const(value, _))):
                truth = f"{name} is {value}"
                if truth not in self.domains:
                    self.domains[truth] = [0, 1]
                    self._tie([name, truth], [(case, int(case == value)) for case in self.domains[name]])
                return {truth: 1}
        return None

    def _greater(self, a: str, b: str) -> str:
        """A variable that is the greater of two."""
        greater = f"max({a}, {b})"
        if greater not in self.domains:
            pairs = list(product(self.domains[a], self.domains[b]))
            self.domains[greater] = sorted({max(pair) for pair in pairs})
            self._tie([a, b, greater], [(*pair, max(pair)) for pair in pairs])
        return greater


def _left(names: Sequence[str], parts: Sequence[tuple[Sequence[str], Any]]) -> list[str]:
    return [name for name in names if not any(name in of for of, _ in parts)]


def _are_refs(args: Sequence[Expr]) -> bool:
    return all(isinstance(arg, Ref) for arg in args)


def _sum(parts: Sequence[dict[str, int] | None]) -> dict[str, int] | None:
    total: dict[str, int] = {}
    for part in parts:
        if part is None:
            return None
        for name, factor in part.items():
            total[name] = total.get(name, 0) + factor
    return total


def _scaled(terms: dict[str, int] | None, factor: int) -> dict[str, int] | None:
    return None if terms is None else {name: factor * value for name, value in terms.items()}


def _domain(variable: Variable) -> list[int]:
    return [value for value in range(int(variable.low), int(variable.high) + 1) if in_domain(variable, value)]
