"""Which back-end solves a program, and its reply in the words of the program.

Runs in the child process only.
"""

from __future__ import annotations

from dataclasses import replace
from math import isnan, sqrt
from typing import Any

from trueup.core.csp.operators import SLACK
from trueup.core.csp.program import ANSWER, FLOAT, Const, Constraint, Expr, Node, Program, Ref, Variable
from trueup.core.csp.read import read_program
from trueup.core.csp.values import broken, value_of
from trueup.core.csp.wire import from_json
from trueup.core.errors import BadInput, TrueupError, Unavailable
from trueup.core.types import Json
from trueup.solvers.backends import AUTO, BACKENDS, CP_SAT, HIGHS, SCIPY, UNREACHED, WORTHLESS, Z3
from trueup.solvers.clock import Clock
from trueup.solvers.finite import solve_finite
from trueup.solvers.linear import NOT_TOLD, rows_of, solve_linear
from trueup.solvers.scaled import size_of
from trueup.solvers.smooth import solve_smooth
from trueup.solvers.smt import is_taken, solve_smt

TIE = 1e-9
"""How near two values of an objective are that count as one, as a share of their size or of 1."""


def decide(job: dict[str, Json], limit_seconds: float) -> dict[str, Any]:
    """Solve the `program`, or the one that a `stated` text holds.

    What cannot be read, or not be solved by its back-end, comes back as `unreadable` with the reason.
    """
    try:
        program = from_json(job["program"]) if "program" in job else read_program(str(job["stated"]))
        clock = Clock(limit_seconds)
        backend, unique = str(job.get("backend", AUTO)), bool(job.get("unique", True))
        reply = _solve(program, backend, clock, unique=unique)
        is_open = reply["status"] == "not_unique" or (reply["status"] == "solved" and "objective" in reply)
        if unique and is_open and ANSWER in reply["values"]:
            reply = _of_answer(program, reply, backend, clock)
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


def _of_answer(program: Program, reply: dict[str, Any], backend: str, clock: Clock) -> dict[str, Any]:
    """A reply of several solutions as `solved` where they all have one `answer`, which is all that is shown then.

    The reply of a best solution is `not_unique` where another that is as good has another answer.
    """
    first, best = reply["values"], reply.get("objective")
    (asked,) = (variable for variable in program.variables if variable.name == ANSWER)
    apart = _apart(program, asked, first[ANSWER], backend)
    if 0 < abs(reply.get("other", first).get(ANSWER, first[ANSWER]) - first[ANSWER]) >= apart:
        return reply
    rivals = program if best is None else _as_good(program, best)
    for another in _not(asked, first[ANSWER], apart):
        rival = replace(rivals, constraints=(*rivals.constraints, Constraint(another)))
        again = _solve(rival, backend, clock, unique=False)
        if again["status"] == "undecided" and best is not None:
            again = _unless_impossible(rival, again, backend, clock)
        if again["status"] == "solved" and _is_tie(again, best):
            other = {name: value for name, value in again["values"].items() if value != first[name]}
            return reply | {"status": "not_unique", "other": other}
        if again["status"] not in ("solved", "unsatisfiable"):
            return {key: again[key] for key in ("status", "reason") if key in again}
    return {"status": "solved", "values": {ANSWER: first[ANSWER]}} if best is None else reply | {"only_answer": True}


def _as_good(program: Program, best: int | float) -> Program:
    """The program held to its best value; where that is a fraction the program itself, whose values are compared."""
    if program.objective is None or not isinstance(best, int):
        return program
    held = Constraint(Node("==", (program.objective.expr, Const(best))))
    return replace(program, constraints=(*program.constraints, held), objective=None)


def _is_tie(again: dict[str, Any], best: int | float | None) -> bool:
    return best is None or abs(again.get("objective", best) - best) <= TIE * max(1.0, abs(best))


def _unless_impossible(rival: Program, again: dict[str, Any], backend: str, clock: Clock) -> dict[str, Any]:
    """An undecided reply, or `unsatisfiable` where there is no best value, or no solution of any."""
    if again.get("reason") in (UNREACHED, WORTHLESS):
        return {"status": "unsatisfiable"}
    bare = _solve(replace(rival, objective=None), backend, clock, unique=False)
    return bare if bare["status"] == "unsatisfiable" else again


def _apart(program: Program, asked: Variable, value: int | float, backend: str) -> int | float:
    """How far from a value another one lies at least; 0 where the back-end takes them as they differ.

    A double root is found to half the digits.
    """
    if asked.kind == FLOAT:
        is_smooth = backend == SCIPY or (backend == AUTO and rows_of(program) is None)
        size = 1.0 if is_smooth else size_of(asked)
        return (sqrt(SLACK) if is_smooth else 4 * SLACK) * max(size, abs(value))
    return 0 if backend in (AUTO, CP_SAT) and not program.is_continuous else 1


def _not(asked: Variable, value: int | float, apart: int | float) -> list[Expr]:
    """That a variable is another than this value; or so far below it, or above."""
    if not apart:
        return [Node("!=", (Ref(asked.name), Const(value, asked.enum)))]
    return [Node("<=", (Ref(asked.name), Const(value - apart))), Node(">=", (Ref(asked.name), Const(value + apart)))]


def _solve(program: Program, backend: str, clock: Clock, *, unique: bool) -> dict[str, Any]:
    """The reply of a back-end, with the value of the objective, where what it shows satisfies the program."""
    if backend not in BACKENDS:
        raise BadInput(f"there is no back-end {backend!r}; known: {', '.join(BACKENDS)}")
    if backend == Z3:
        return _kept(program, solve_smt(program, clock.left, unique=unique))
    if backend != AUTO:
        return _kept(program, _of_kind(program, backend, clock, unique=unique))
    try:
        reply = _of_kind(program, AUTO, clock, unique=unique)
    except BadInput as error:
        if not is_taken(program):
            raise
        reply = {"reason": str(error)}
    if "status" not in reply or reply.get("reason") == NOT_TOLD:
        reply = _by_z3(program, reply["reason"], clock, unique=unique)
    return _kept(program, reply)


def _by_z3(program: Program, why: str, clock: Clock, *, unique: bool) -> dict[str, Any]:
    """The reply of z3 where no other back-end takes the program.

    Raises Unavailable, with why it is needed, where its package is not installed.
    """
    try:
        return solve_smt(program, clock.left, unique=unique)
    except Unavailable:
        raise Unavailable(f"{why} (for z3: pip install 'trueup[smt]')") from None


def _of_kind(program: Program, backend: str, clock: Clock, *, unique: bool) -> dict[str, Any]:
    """The reply of the back-end for the program's kind of numbers and constraints, other than z3."""
    if backend == CP_SAT or (backend == AUTO and not program.is_continuous):
        if program.is_continuous:
            name = next(v.name for v in program.variables if v.kind == FLOAT)
            raise BadInput(f"{name!r} is a fraction, which cp-sat does not take; choose highs, scipy or z3")
        return solve_finite(program, clock.left, unique=unique)
    rows = None if backend == SCIPY else rows_of(program)
    if rows is not None:
        return solve_linear(program, rows, clock.left, unique=unique)
    if backend == HIGHS:
        raise BadInput("the program is not linear or skips values, which highs does not take; choose another back-end")
    return solve_smooth(program, clock.left, unique=unique)


def _kept(program: Program, reply: dict[str, Any]) -> dict[str, Any]:
    """A reply whose solutions satisfy the program, with what the objective comes to; else nothing is decided."""
    if "values" in reply and program.objective is not None:
        worth = value_of(program.objective.expr, reply["values"])
        reply = reply | ({} if isnan(worth) else {"objective": worth})
    if reply["status"] not in ("solved", "not_unique"):
        return reply
    solutions = [reply["values"], reply["values"] | reply.get("other", {})]
    missed = next((name for values in solutions for name in broken(program, values)), None)
    if missed is None:
        return reply
    return {"status": "undecided", "reason": f"rounding leaves {missed} unsatisfied; scale the program, or use z3"}
