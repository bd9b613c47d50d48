"""Solves a linear program with fractions, whole numbers or both, by HiGHS (through SciPy).

Runs in the child process only. A strict comparison of fractions is taken as one that allows equality. Whether a
solution is the only one is asked of every variable in turn: whether it can be less, or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from trueup.core.csp.program import FLOAT, MAXIMIZE, Const, Expr, Node, Program, Ref, conjuncts
from trueup.core.csp.values import named
from trueup.solvers.clock import Clock
from trueup.solvers.conflict import smallest_conflict

SENSES = frozenset({"==", "<=", ">=", "<", ">"})
INFEASIBLE, TIMED_OUT = 2, 1
APART, LEAST_SECONDS = 1e-6, 0.01


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
    wholes = {variable.name for variable in program.variables if variable.kind != FLOAT}
    for constraint in program.constraints:
        for part in conjuncts(constraint.expr):
            row = _row(part, named(constraint), wholes)
            if row is None:
                return None
            found.append(row)
    is_linear = program.objective is None or linear_form(program.objective.expr) is not None
    return found if is_linear else None


def solve_linear(program: Program, rows: list[Row], limit_seconds: float, *, unique: bool = True) -> dict[str, Any]:
    """The status, a best solution and, without an objective, another one; or the constraints in conflict."""
    clock = Clock(limit_seconds)
    result = _milp(program, rows, clock, _cost(program))
    if result.x is None and result.status == INFEASIBLE:
        return {"status": "unsatisfiable", "conflict": _conflict(program, rows, clock)}
    if result.x is None:
        return {"status": "timeout" if result.status == TIMED_OUT else "undecided"}
    values = _values(program, result.x)
    if result.status != 0:
        return {"status": "timeout", "values": values}
    if program.objective is not None:
        return {"status": "solved", "values": values, "objective": _objective_at(program, values)}
    if not unique:
        return {"status": "solved", "values": values}
    other = _other(program, rows, values, clock)
    if other is None and not clock.left:
        return {"status": "timeout", "values": values}
    if other is None:
        return {"status": "solved", "values": values}
    return {"status": "not_unique", "values": values, "other": other}


def _values(program: Program, x: Any) -> dict[str, float]:
    return {
        variable.name: float(value) if variable.kind == FLOAT else round(float(value))
        for variable, value in zip(program.variables, x, strict=True)
    }


def _conflict(program: Program, rows: list[Row], clock: Clock) -> list[str]:
    names = list(dict.fromkeys(row.name for row in rows))

    def contradicts(kept: Sequence[str]) -> bool:
        of = set(kept)
        result = _milp(program, [row for row in rows if row.name in of], clock, np.zeros(len(program.variables)))
        return bool(result.status == INFEASIBLE)

    return smallest_conflict(names, contradicts, lambda: clock.left > 0)


def _other(program: Program, rows: list[Row], values: Mapping[str, float], clock: Clock) -> dict[str, float] | None:
    """Where another solution differs; None where there is none, or no time is left."""
    for place, variable in enumerate(program.variables):
        for sign in (1.0, -1.0):
            cost = np.zeros(len(program.variables))
            cost[place] = sign
            result = _milp(program, rows, clock, cost) if clock.left else None
            if result is None or result.x is None:
                return None
            if abs(float(result.x[place]) - values[variable.name]) > APART * max(1.0, abs(values[variable.name])):
                found = _values(program, result.x)
                return {name: value for name, value in found.items() if value != values[name]}
    return None


def _cost(program: Program) -> Any:
    """What to make least, a weight a variable."""
    cost = np.zeros(len(program.variables))
    form = None if program.objective is None else linear_form(program.objective.expr)
    if program.objective is not None and form is not None:
        place = {variable.name: i for i, variable in enumerate(program.variables)}
        for name, coefficient in form[0].items():
            cost[place[name]] = coefficient * (-1.0 if program.objective.sense == MAXIMIZE else 1.0)
    return cost


def _milp(program: Program, rows: list[Row], clock: Clock, cost: Any) -> Any:
    place = {variable.name: i for i, variable in enumerate(program.variables)}
    cells = [(i, place[name], value) for i, row in enumerate(rows) for name, value in row.coefficients.items()]
    at, columns, values = zip(*cells, strict=True) if cells else ((), (), ())
    matrix = csr_array((values, (at, columns)), shape=(len(rows), len(place)))
    constraints = LinearConstraint(matrix, [row.low for row in rows], [row.high for row in rows]) if rows else ()
    return milp(
        cost,
        integrality=np.array([int(variable.kind != FLOAT) for variable in program.variables]),
        bounds=Bounds([v.low for v in program.variables], [v.high for v in program.variables]),
        constraints=constraints,
        options={"time_limit": max(clock.left, LEAST_SECONDS)},
    )


def _objective_at(program: Program, values: Mapping[str, float]) -> float:
    assert program.objective is not None
    form = linear_form(program.objective.expr)
    assert form is not None
    return form[1] + sum(coefficient * values[name] for name, coefficient in form[0].items())


def _row(expr: Expr, name: str, wholes: set[str]) -> Row | None:
    """A comparison as a row; between whole numbers a strict one is one that allows equality with the next number."""
    if not isinstance(expr, Node) or expr.op not in SENSES:
        return None
    form = _added([linear_form(arg) for arg in expr.args], [1.0, -1.0])
    if form is None:
        return None
    bound, is_whole = -form[1], form[0].keys() <= wholes and all(value.is_integer() for value in form[0].values())
    low, high = (-np.inf if expr.op in ("<=", "<") else bound), (np.inf if expr.op in (">=", ">") else bound)
    if is_whole and expr.op == "<":
        high = ceil(bound) - 1
    if is_whole and expr.op == ">":
        low = floor(bound) + 1
    return Row(form[0], low, high, name)


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
