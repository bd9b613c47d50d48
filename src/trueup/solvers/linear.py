"""Solves a linear program with fractions, whole numbers or both, by HiGHS (through SciPy).

Runs in the child process only. A strict comparison of fractions is taken as one that allows equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from trueup.core.csp.program import FLOAT, MAXIMIZE, Const, Expr, Node, Program, Ref, conjuncts
from trueup.core.csp.values import named
from trueup.solvers.conflict import smallest_conflict

SENSES = frozenset({"==", "<=", ">=", "<", ">"})
INFEASIBLE, TIMED_OUT = 2, 1


@dataclass(frozen=True, slots=True)
class Row:
    """low <= coefficients . variables <= high, and the constraint that it belongs to."""

    coefficients: Mapping[str, float]
    low: float
    high: float
    name: str = ""


Form = tuple[dict[str, float], float]


def linear_form(expr: Expr) -> Form | None:
    """Coefficients and the constant of an expression that is linear; None for one that is not."""
    match expr:
        case Const(value, _):
            return {}, float(value)
        case Ref(name):
            return {name: 1.0}, 0.0
        case Node("+" | "sum" | "-" | "neg" as op, args):
            signs = [-1.0 if op == "neg" or (op == "-" and i == 1) else 1.0 for i in range(len(args))]
            return _added([linear_form(arg) for arg in args], signs)
        case Node("*", (a, b)):
            return _scaled(linear_form(a), linear_form(b))
        case Node("/", (a, Const(value, _))) if value:
            return _scaled(linear_form(a), ({}, 1.0 / value))
        case _:
            return None


def rows_of(program: Program) -> list[Row] | None:
    """All constraints as rows; None where one is not linear."""
    found: list[Row] = []
    for constraint in program.constraints:
        for part in conjuncts(constraint.expr):
            row = _row(part, named(constraint))
            if row is None:
                return None
            found.append(row)
    is_linear = program.objective is None or linear_form(program.objective.expr) is not None
    return found if is_linear else None


def solve_linear(program: Program, rows: list[Row], limit_seconds: float) -> dict[str, Any]:
    """The status, a best solution, or the constraints in conflict."""
    result = _milp(program, rows, limit_seconds)
    if result.x is not None:
        values = {
            variable.name: float(x) if variable.kind == FLOAT else round(float(x))
            for variable, x in zip(program.variables, result.x, strict=True)
        }
        reply = {"status": "solved" if result.status == 0 else "timeout", "values": values}
        return reply if program.objective is None else reply | {"objective": _objective_at(program, values)}
    if result.status != INFEASIBLE:
        return {"status": "timeout" if result.status == TIMED_OUT else "undecided"}
    names = list(dict.fromkeys(row.name for row in rows))

    def contradicts(kept: Any) -> bool:
        return bool(_milp(program, [row for row in rows if row.name in set(kept)], limit_seconds).status == INFEASIBLE)

    return {"status": "unsatisfiable", "conflict": smallest_conflict(names, contradicts, lambda: True)}


def _milp(program: Program, rows: list[Row], limit_seconds: float) -> Any:
    place = {variable.name: i for i, variable in enumerate(program.variables)}
    cost = np.zeros(len(place))
    if program.objective is not None:
        form = linear_form(program.objective.expr)
        assert form is not None
        for name, coefficient in form[0].items():
            cost[place[name]] = coefficient * (-1.0 if program.objective.sense == MAXIMIZE else 1.0)
    cells = [(i, place[name], value) for i, row in enumerate(rows) for name, value in row.coefficients.items()]
    at, columns, values = zip(*cells, strict=True) if cells else ((), (), ())
    matrix = csr_array((values, (at, columns)), shape=(len(rows), len(place)))
    constraints = LinearConstraint(matrix, [row.low for row in rows], [row.high for row in rows]) if rows else ()
    return milp(
        cost,
        integrality=np.array([int(variable.kind != FLOAT) for variable in program.variables]),
        bounds=Bounds([v.low for v in program.variables], [v.high for v in program.variables]),
        constraints=constraints,
        options={"time_limit": limit_seconds},
    )


def _objective_at(program: Program, values: Mapping[str, float]) -> float:
    assert program.objective is not None
    form = linear_form(program.objective.expr)
    assert form is not None
    return form[1] + sum(coefficient * values[name] for name, coefficient in form[0].items())


def _row(expr: Expr, name: str) -> Row | None:
    if not isinstance(expr, Node) or expr.op not in SENSES:
        return None
    form = _added([linear_form(arg) for arg in expr.args], [1.0, -1.0])
    if form is None:
        return None
    bound = -form[1]
    low = -np.inf if expr.op in ("<=", "<") else bound
    return Row(form[0], low, np.inf if expr.op in (">=", ">") else bound, name)


def _added(forms: list[Form | None], signs: list[float]) -> Form | None:
    total: dict[str, float] = {}
    constant = 0.0
    for form, sign in zip(forms, signs, strict=True):
        if form is None:
            return None
        for name, coefficient in form[0].items():
            total[name] = total.get(name, 0.0) + sign * coefficient
        constant += sign * form[1]
    return total, constant


def _scaled(a: Form | None, b: Form | None) -> Form | None:
    """The product of two forms, one of which is a constant."""
    if a is None or b is None or (a[0] and b[0]):
        return None
    (form, constant), factor = (a, b[1]) if not b[0] else (b, a[1])
    return {name: coefficient * factor for name, coefficient in form.items()}, constant * factor
