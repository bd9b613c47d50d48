"""Which back-end solves a program, and its reply in the words of the program.

Runs in the child process only.
"""

from __future__ import annotations

from typing import Any

from trueup.core.csp.program import FLOAT, Program
from trueup.core.csp.read import read_program
from trueup.core.csp.wire import from_json
from trueup.core.errors import BadInput, TrueupError
from trueup.core.types import Json
from trueup.solvers.backends import AUTO, BACKENDS, CP_SAT, HIGHS, SCIPY, Z3
from trueup.solvers.finite import solve_finite
from trueup.solvers.linear import rows_of, solve_linear
from trueup.solvers.smooth import solve_smooth
from trueup.solvers.smt import solve_smt


def decide(job: dict[str, Json], limit_seconds: float) -> dict[str, Any]:
    """Solve the `program`, or the one that a `stated` text holds.

    What cannot be read, or not be solved by its back-end, comes back as `unreadable` with the reason.
    """
    try:
        program = from_json(job["program"]) if "program" in job else read_program(str(job["stated"]))
        reply = _solve(program, str(job.get("backend", AUTO)), limit_seconds, unique=bool(job.get("unique", True)))
    except TrueupError as error:
        return {"status": "unreadable", "text": "", "reason": str(error)}
    return reply | {"text": shown(program, reply.get("values", {}))}


def shown(program: Program, values: dict[str, Any]) -> str:
    """An assignment, a variable a line."""
    return "\n".join(f"{v.name} = {v.shown(values[v.name])}" for v in program.variables if v.name in values)


def _solve(program: Program, backend: str, limit_seconds: float, *, unique: bool) -> dict[str, Any]:
    if backend not in BACKENDS:
        raise BadInput(f"there is no back-end {backend!r}; known: {', '.join(BACKENDS)}")
    if backend == Z3:
        return solve_smt(program, limit_seconds)
    if backend == CP_SAT or (backend == AUTO and not program.is_continuous):
        if program.is_continuous:
            name = next(v.name for v in program.variables if v.kind == FLOAT)
            raise BadInput(f"{name!r} is a fraction, which cp-sat does not take; choose highs, scipy or z3")
        return solve_finite(program, limit_seconds, unique=unique)
    rows = None if backend == SCIPY else rows_of(program)
    if rows is not None:
        return solve_linear(program, rows, limit_seconds)
    if backend == HIGHS:
        raise BadInput("the program is not linear, which highs does not take; choose another back-end")
    return solve_smooth(program, limit_seconds)
