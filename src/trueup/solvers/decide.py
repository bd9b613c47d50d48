"""Which back-end solves a program, and its reply in the words of the program.

Runs in the child process only.
"""

from __future__ import annotations

import time
from dataclasses import replace
from math import sqrt
from typing import Any

from trueup.core.csp.operators import SLACK
from trueup.core.csp.program import ANSWER, FLOAT, Const, Constraint, Expr, Node, Program, Ref, Variable
from trueup.core.csp.read import read_program
from trueup.core.csp.values import broken
from trueup.core.csp.wire import from_json
from trueup.core.errors import BadInput, TrueupError
from trueup.core.types import Json
from trueup.solvers.backends import AUTO, BACKENDS, CP_SAT, HIGHS, SCIPY, Z3
from trueup.solvers.clock import Clock
from trueup.solvers.finite import solve_finite
from trueup.solvers.linear import rows_of, solve_linear
from trueup.solvers.smooth import solve_smooth
from trueup.solvers.smt import solve_smt


def decide(job: dict[str, Json], limit_seconds: float) -> dict[str, Any]:
    """Solve the `program`, or the one that a `stated` text holds.

    What cannot be read, or not be solved by its back-end, comes back as `unreadable` with the reason.
    """
    started = time.monotonic()
    try:
        program = from_json(job["program"]) if "program" in job else read_program(str(job["stated"]))
        backend = str(job.get("backend", AUTO))
        reply = _solve(program, backend, limit_seconds, unique=bool(job.get("unique", True)))
        if reply["status"] == "not_unique" and ANSWER in reply["values"]:
            left_seconds = max(0.0, limit_seconds - (time.monotonic() - started))
            reply = _of_answer(program, reply, backend, left_seconds)
    except TrueupError as error:
        return {"status": "unreadable", "text": "", "reason": str(error)}
    return reply | {"text": shown(program, reply.get("values", {}))}


def shown(program: Program, values: dict[str, Any]) -> str:
    """An assignment, a variable a line; what is called `answer` last, and again behind #### as a final answer is."""
    said = {
        variable.name: variable.shown(values[variable.name])
        for variable in program.variables
        if variable.name in values
    }
    lines = [f"{name} = {value}" for name, value in sorted(said.items(), key=lambda pair: pair[0] == ANSWER)]
    return "\n".join([*lines, *([f"#### {said[ANSWER]}"] if ANSWER in said else [])])


def _of_answer(program: Program, reply: dict[str, Any], backend: str, limit_seconds: float) -> dict[str, Any]:
    """A reply of several solutions as `solved` where they all have one `answer`, which is all that is shown then."""
    clock, first = Clock(limit_seconds), reply["values"]
    (asked,) = (variable for variable in program.variables if variable.name == ANSWER)
    apart = 0.0 if asked.kind != FLOAT else _rounding(program, backend) * max(1.0, abs(first[ANSWER]))
    if abs(reply["other"].get(ANSWER, first[ANSWER]) - first[ANSWER]) > apart:
        return reply
    for another in _not(asked, first[ANSWER], apart):
        further = replace(program, constraints=(*program.constraints, Constraint(another)))
        again = _solve(further, backend, clock.left, unique=False)
        if again["status"] == "solved":
            return reply | {"other": {name: value for name, value in again["values"].items() if value != first[name]}}
        if again["status"] != "unsatisfiable":
            return {"status": again["status"]}
    return {"status": "solved", "values": {ANSWER: first[ANSWER]}}


def _not(asked: Variable, value: int | float, apart: float) -> list[Expr]:
    """That a variable is another than this value; of fractions so far below it, or above."""
    if not apart:
        return [Node("!=", (Ref(asked.name), Const(value, asked.enum)))]
    return [Node("<=", (Ref(asked.name), Const(value - apart))), Node(">=", (Ref(asked.name), Const(value + apart)))]


def _rounding(program: Program, backend: str) -> float:
    """How far two values of one fraction may lie apart and still be one; a double root is found to half the digits."""
    is_smooth = backend == SCIPY or (backend == AUTO and rows_of(program) is None)
    return sqrt(SLACK) if is_smooth else 4 * SLACK


def _solve(program: Program, backend: str, limit_seconds: float, *, unique: bool) -> dict[str, Any]:
    if backend not in BACKENDS:
        raise BadInput(f"there is no back-end {backend!r}; known: {', '.join(BACKENDS)}")
    if backend == Z3:
        return solve_smt(program, limit_seconds, unique=unique)
    if backend == CP_SAT or (backend == AUTO and not program.is_continuous):
        if program.is_continuous:
            name = next(v.name for v in program.variables if v.kind == FLOAT)
            raise BadInput(f"{name!r} is a fraction, which cp-sat does not take; choose highs, scipy or z3")
        return solve_finite(program, limit_seconds, unique=unique)
    rows = None if backend == SCIPY else rows_of(program)
    if rows is not None:
        return _kept(program, solve_linear(program, rows, limit_seconds, unique=unique))
    if backend == HIGHS:
        raise BadInput("the program is not linear, which highs does not take; choose another back-end")
    return _kept(program, solve_smooth(program, limit_seconds, unique=unique))


def _kept(program: Program, reply: dict[str, Any]) -> dict[str, Any]:
    """A reply in rounded numbers, where what it shows satisfies the program; else nothing is decided."""
    if reply["status"] not in ("solved", "not_unique"):
        return reply
    solutions = [reply["values"], reply["values"] | reply.get("other", {})]
    missed = next((name for values in solutions for name in broken(program, values)), None)
    if missed is None:
        return reply
    return {"status": "undecided", "reason": f"rounding leaves {missed} unsatisfied; scale the program, or use z3"}
