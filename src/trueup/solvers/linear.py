"""Solves a linear program with fractions, whole numbers or both, by HiGHS (through SciPy).

Runs in the child process only. A strict comparison of fractions holds with room to spare, by one unknown more, which is
made as large as it can be: none means that the strict ones contradict, less than rounding that nothing is known.
Whether a solution is the only one is asked of every variable in turn: whether it can be less, or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from trueup.core.csp.program import FLOAT, MAXIMIZE, Const, Expr, Node, Program, Ref, conjuncts
from trueup.core.csp.values import named
from trueup.solvers.backends import UNREACHED
from trueup.solvers.clock import Clock
from trueup.solvers.conflict import smallest_conflict
from trueup.solvers.scaled import Row, best_point, size_of, too_fine

SENSES = frozenset({"==", "<=", ">=", "<", ">"})
INFEASIBLE, TIMED_OUT = 2, 1
APART = 1e-6
NOTHING, ROUNDED, ENOUGH = 1e-9, 1e-12, 1e-5
"""What is no more than the rounding of zero; of another number, as a share of it; room that no rounding undoes."""
NONE_AT_ALL = 1e-12
"""Less than any room that is not a contradiction's; what lies between is left undecided."""
WIDE = 100 * ENOUGH
"""Where strict comparisons leave less, a second solution may hide between them."""
NOT_TOLD = "whole numbers and strict comparisons meet at the best value; the back-end z3 decides it"
NARROW = "strict comparisons leave so little room that another solution may hide in it; scale the program"

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
    """All constraints as rows; None where one is not linear, or a variable skips values between its bounds."""
    if any(variable.values and len(variable.values) <= variable.high - variable.low for variable in program.variables):
        return None
    found: list[Row] = []
    wholes = {variable.name for variable in program.variables if variable.kind != FLOAT}
    sizes = {variable.name: size_of(variable) for variable in program.variables}
    for constraint in program.constraints:
        for part in conjuncts(constraint.expr):
            row = _row(part, named(constraint), wholes, sizes)
            if row is None:
                return None
            found.append(row)
    is_linear = program.objective is None or linear_form(program.objective.expr) is not None
    return found if is_linear else None


def solve_linear(program: Program, rows: list[Row], limit_seconds: float, *, unique: bool = True) -> dict[str, Any]:
    """The status, a best solution and, without an objective, another one; or the constraints in conflict."""
    reply = _decided(program, rows, Clock(limit_seconds), unique=unique)
    why = too_fine(program, rows, _cost(program))
    if why is None or reply["status"] in ("unsatisfiable", "timeout"):
        return reply
    return {"status": "undecided", "reason": why}


def _decided(program: Program, rows: list[Row], clock: Clock, *, unique: bool) -> dict[str, Any]:
    is_strict = any(row.is_strict for row in rows)
    result = best_point(program, rows, clock, _most_room(program) if is_strict else _cost(program))
    if _is_contradiction(result, is_strict):
        return {"status": "unsatisfiable", "conflict": _conflict(program, rows, clock)}
    if is_strict and result.status == 0 and result.x[-1] <= ENOUGH:
        reason = f"strict comparisons have room of {result.x[-1]:.1g}, which may be rounding; scale the program"
        return {"status": "undecided", "reason": reason}
    if is_strict and result.status == 0 and program.objective is not None:
        result = _best_with_room(program, rows, clock)
        if result.status == 0 and result.x[-1] <= ENOUGH:
            is_whole = any(variable.kind != FLOAT for variable in program.variables)
            return {"status": "undecided", "reason": NOT_TOLD if is_whole else UNREACHED}
    if result.x is None:
        return {"status": "timeout" if result.status == TIMED_OUT else "undecided"}
    values, is_narrow = _values(program, result.x), is_strict and result.x[-1] < WIDE
    if result.status != 0:
        return {"status": "timeout"} | ({} if is_strict else {"values": values})
    if program.objective is not None:
        return {"status": "solved", "values": values}
    another = _another(program, rows, values, clock) if unique else {}
    if unique and is_narrow and not another:
        return {"status": "undecided", "values": values, "reason": NARROW}
    return {"status": "solved", "values": values} | another


def _is_contradiction(result: Any, is_strict: bool) -> bool:
    is_without_room = is_strict and result.status == 0 and result.x[-1] <= NONE_AT_ALL
    return bool(result.status == INFEASIBLE or is_without_room)


def _best_with_room(program: Program, rows: list[Row], clock: Clock) -> Any:
    """A point that makes the objective best: the first with room for strict comparisons, else the one with the most.

    To be found that one may be worse by a rounding, which buys room too: the room is told less what it has bought.
    """
    cost = _cost(program)
    best = best_point(program, rows, clock, cost)
    if best.status != 0:
        return best
    best.x[-1] = _room_at(program, rows, best.x)
    if best.x[-1] > ENOUGH:
        return best
    weights = np.abs(cost)
    if not weights.any():
        return best_point(program, rows, clock, _most_room(program))
    least = weights[weights > 0].min()
    rounding = NOTHING + ROUNDED * abs(best.fun / least)
    held = [_no_worse(program, cost / least, best.fun / least + given) for given in (rounding, 2 * rounding)]
    once, twice = (best_point(program, [*rows, row], clock, _most_room(program)) for row in held)
    if once.status != 0 or twice.status != 0:
        return twice if once.status == 0 else once
    once.x[-1] -= twice.x[-1] - once.x[-1]
    return once


def _no_worse(program: Program, cost: Any, bound: float) -> Row:
    names = [variable.name for variable in program.variables]
    weights = {name: float(weight) for name, weight in zip(names, cost[:-1], strict=True) if weight}
    return Row(weights, -np.inf, bound)


def _room_at(program: Program, rows: list[Row], x: Any) -> float:
    """How far a point keeps off the bound of the nearest strict comparison."""
    at = dict(zip([variable.name for variable in program.variables], x[:-1].tolist(), strict=True))
    sums = ((row, sum(weight * at[name] for name, weight in row.coefficients.items())) for row in rows if row.is_strict)
    return float(min(min(row.high - value, value - row.low) for row, value in sums))


def _another(program: Program, rows: list[Row], values: Mapping[str, float], clock: Clock) -> dict[str, Any]:
    """What a second solution adds to a reply: nothing where there is none."""
    other = _other(program, rows, values, clock)
    if other is None:
        return {"status": "undecided" if clock.left else "timeout"}
    return {"status": "not_unique", "other": other} if other else {}


def _values(program: Program, x: Any) -> dict[str, float]:
    return {
        variable.name: float(value) + 0.0 if variable.kind == FLOAT else round(float(value))
        for variable, value in zip(program.variables, x[:-1], strict=True)
    }


def _conflict(program: Program, rows: list[Row], clock: Clock) -> list[str]:
    names = list(dict.fromkeys(row.name for row in rows))

    def contradicts(kept: Sequence[str]) -> bool:
        of = set(kept)
        kept_rows = [row for row in rows if row.name in of]
        result = best_point(program, kept_rows, clock, _most_room(program))
        return _is_contradiction(result, any(row.is_strict for row in kept_rows))

    return smallest_conflict(names, contradicts, lambda: clock.left > 0)


def _other(program: Program, rows: list[Row], values: Mapping[str, float], clock: Clock) -> dict[str, float] | None:
    """Where another solution differs, nowhere where there is none; None where that stays open."""
    for place, variable in enumerate(program.variables):
        for sign in (1.0, -1.0):
            cost = np.zeros(len(program.variables) + 1)
            cost[place] = sign
            result = best_point(program, rows, clock, cost, room=ENOUGH) if clock.left else None
            if result is None or result.x is None:
                return None
            size = max(size_of(variable), abs(values[variable.name]))
            if abs(float(result.x[place]) - values[variable.name]) > APART * size:
                found = _values(program, result.x)
                return {name: value for name, value in found.items() if value != values[name]}
            if result.status != 0:
                return None
    return {}


def _cost(program: Program) -> Any:
    """What to make least, a weight a variable, and none for the room of strict comparisons."""
    cost = np.zeros(len(program.variables) + 1)
    form = None if program.objective is None else linear_form(program.objective.expr)
    if program.objective is not None and form is not None:
        place = {variable.name: i for i, variable in enumerate(program.variables)}
        for name, coefficient in form[0].items():
            cost[place[name]] = coefficient * (-1.0 if program.objective.sense == MAXIMIZE else 1.0)
    return cost


def _most_room(program: Program) -> Any:
    """The weights that make the room of strict comparisons greatest."""
    return np.append(np.zeros(len(program.variables)), -1.0)


def _row(expr: Expr, name: str, wholes: set[str], sizes: Mapping[str, float]) -> Row | None:
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
    if is_whole or expr.op not in ("<", ">"):
        return Row(form[0], low, high, name)
    size = max((abs(value) * sizes[one] for one, value in form[0].items()), default=0.0) or 1.0
    return Row({one: value / size for one, value in form[0].items()}, low / size, high / size, name, is_strict=True)


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
