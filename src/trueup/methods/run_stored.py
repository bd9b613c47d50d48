"""Solve a program that was written before, for its options.

Pan et al. 2023, arXiv:2305.12295 (Logic-LM), `CSP_Solver`: the answer is the option that holds in every solution. Here
it must be the only one, where theirs is the first, and the note says which of four ends a program came to: it cannot be
read, it has no solution, not exactly one option follows from it, or it is decided. What is decided can still be wrong.
Cost: 1 solve, and 1 for each option.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Flow
from trueup.core.asks import solve as ask_solver
from trueup.core.csp import Program
from trueup.core.csp.write import write
from trueup.core.types import Answer, Message, Problem, Solution, last_asked
from trueup.methods.logic_lm import stored_or_why_not

UNREADABLE, UNSATISFIABLE, NOT_UNIQUE, UNDECIDED, DECIDED = (
    "parse", "unsatisfiable", "not unique", "undecided", "decided",
)  # fmt: skip
ENDS = (DECIDED, UNREADABLE, UNSATISFIABLE, NOT_UNIQUE, UNDECIDED)
"""How a note begins; `undecided` is a solver that ran out of time."""
IS_EMPTY, HAS_SOME = ("unsatisfiable",), ("solved", "not_unique")


def run_stored(problem: Problem) -> Flow[Answer]:
    """The one option that follows from the program in the last message; none where there is not exactly one."""
    stored = stored_or_why_not(last_asked(problem.prompt))
    if isinstance(stored, str):
        return _none(f"{UNREADABLE}: {stored}")
    alone = yield from _asked(problem, stored.program)
    if alone.status in IS_EMPTY:
        return _none(f"{UNSATISFIABLE}: {'; '.join(alone.conflict)}")
    if alone.status not in HAS_SOME:
        return _none(f"{UNDECIDED}: {alone.status} {alone.reason}".rstrip())
    follow: list[str] = []
    for name in stored.options:
        contrary = yield from _asked(problem, stored.with_option(name, holds=False))
        if contrary.status not in (*IS_EMPTY, *HAS_SOME):
            return _none(f"{UNDECIDED}: option {name}: {contrary.status} {contrary.reason}".rstrip())
        follow += [name] * (contrary.status in IS_EMPTY)
    if len(follow) != 1:
        return _none(f"{NOT_UNIQUE}: {', '.join(follow) or 'no option'} of {', '.join(stored.options)} follows")
    return Answer(f"#### {follow[0]}", follow[0], DECIDED)


def _asked(problem: Problem, program: Program) -> Flow[Solution]:
    """What the solver says of a program."""
    solution = yield from ask_solver(replace(problem, prompt=(Message("user", write(program)),)))
    return solution


def _none(note: str) -> Answer:
    return Answer("", None, note)
