"""Solves a program of whole numbers: a solution, whether it is the only one, or the clues in conflict.

Runs in the child process only. CP-SAT with one worker and a fixed seed, so that the same program takes the same path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ortools.sat.python import cp_model

from trueup.core.csp.program import BOOL, Const, Constraint, Expr, Node, Program, Ref
from trueup.core.csp.values import named
from trueup.core.errors import BadInput
from trueup.solvers.backends import WORTHLESS
from trueup.solvers.clock import Clock
from trueup.solvers.conflict import smallest_conflict
from trueup.solvers.cp_sat import CpSat
from trueup.solvers.whole import hold_in_64_bits, in_whole_numbers

FOUND = (cp_model.OPTIMAL, cp_model.FEASIBLE)
Reply = dict[str, Any]


def solve_finite(program: Program, limit_seconds: float, *, unique: bool = True) -> Reply:
    """The status, the values of a solution, and what the status rests on; within so many seconds of wall clock.

    Raises BadInput for an operation or a number that CP-SAT does not take.
    """
    clock, program = Clock(limit_seconds), in_whole_numbers(program)
    hold_in_64_bits(program)
    model = _model(program, program.constraints)
    if program.objective is not None:
        model.optimise(program.objective.sense, program.objective.expr)
    found, solver = _run(model, clock)
    if found == cp_model.INFEASIBLE:
        return _without_solution(program, clock)
    if found == cp_model.MODEL_INVALID:
        raise BadInput(f"cp-sat does not take the program: {' '.join(model.model.validate().split())}")
    if found not in FOUND:
        return {"status": "timeout"}
    first = _values(model, solver)
    if program.objective is not None:
        return {"status": "solved" if found == cp_model.OPTIMAL else "timeout", "values": first}
    if not unique:
        return {"status": "solved", "values": first}
    told = _told(program)
    model.forbid({name: value for name, value in first.items() if name not in told})
    again, solver = _run(model, clock)
    if again in FOUND:
        other = _values(model, solver)
        return {"status": "not_unique", "values": first, "other": {n: v for n, v in other.items() if v != first[n]}}
    return {"status": "solved" if again == cp_model.INFEASIBLE else "timeout", "values": first}


def _without_solution(program: Program, clock: Clock) -> Reply:
    """The constraints in conflict; where there are none, that the objective has no value."""
    if program.objective is not None:
        found, _ = _run(_model(program, program.constraints), clock)
        if found in FOUND:
            return {"status": "undecided", "reason": WORTHLESS}
        if found != cp_model.INFEASIBLE:
            return {"status": "timeout"}
    return {"status": "unsatisfiable", "conflict": _conflict(program, clock)}


def _told(program: Program) -> set[str]:
    """The variables whose value a constraint of its own says: no other solution differs in them."""
    every = (constraint.expr for constraint in program.constraints)
    return {ref.name for expr in every if (ref := _said(expr)) is not None}


def _said(expr: Expr) -> Ref | None:
    match expr:
        case Node("==", (Ref() as ref, Const())) | Node("==", (Const(), Ref() as ref)):
            return ref
        case _:
            return None


def _conflict(program: Program, clock: Clock) -> list[str]:
    """The names of clues that contradict each other, none of which can be left out; as few as there is time to find."""
    groups: dict[str, list[Constraint]] = {}
    for constraint in program.constraints:
        groups.setdefault(named(constraint), []).append(constraint)

    def contradicts(names: Sequence[str]) -> bool:
        found, _ = _run(_model(program, [one for name in names for one in groups[name]]), clock)
        return bool(found == cp_model.INFEASIBLE)

    return smallest_conflict(list(groups), contradicts, lambda: clock.left > 0)


def _model(program: Program, constraints: Sequence[Constraint]) -> CpSat:
    model = CpSat(program)
    for constraint in constraints:
        model.post(constraint.expr)
    return model


def _run(model: CpSat, clock: Clock) -> tuple[Any, cp_model.CpSolver]:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_time_in_seconds = clock.left
    return solver.solve(model.model), solver


def _values(model: CpSat, solver: cp_model.CpSolver) -> dict[str, int]:
    value: Callable[[Any], int] = solver.value
    return {
        name: int(value(var)) if model.variables[name].kind != BOOL else int(solver.boolean_value(var))
        for name, var in model.vars.items()
    }
