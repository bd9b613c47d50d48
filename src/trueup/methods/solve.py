"""Hand the problem to the stratum's solver, and abstain where it does not decide.

Pan et al. 2023, arXiv:2305.12295 (Logic-LM), with a parser of the statement in the place of the writer:
the answer is right for the problem as it was read. Cost: 1 solve, no sample.
"""

from __future__ import annotations

from trueup.core.asks import Flow
from trueup.core.asks import solve as ask_solver
from trueup.core.types import Answer, Problem


def solve(problem: Problem) -> Flow[Answer]:
    """The solver's answer; none, with its status as the note, unless there is exactly one solution."""
    solution = yield from ask_solver(problem)
    return Answer(solution.text, solution.answer, solution.status)
