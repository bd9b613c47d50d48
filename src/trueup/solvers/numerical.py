"""Solves a stated power flow or quadratic program by its own constraints.

What a perfect formalisation would give: no language model, nothing of an item but its last user message. Linear ones go
to HiGHS, the others to SciPy. Any solution will do: whether it is the only one is not asked.
"""

from __future__ import annotations

from trueup.core.numerical import canonical_numbers, stated
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.bounded import Bounded
from trueup.solvers.stated import solve_stated
from trueup.solvers.worker import Worker, open_worker


async def _solve(worker: Worker, problem: Problem) -> Solution:
    """Numbers that satisfy the equations within their bounds, as the statement asks for them."""
    question = stated(last_asked(problem.prompt))
    if question is None:
        return Solution("unreadable", reason="the last message states no power flow and no quadratic program")
    return await solve_stated(worker, question, canonical_numbers, unique=False)


def numerical(*, limit_seconds: float = 30.0, memory_megabytes: int = 1024) -> Bounded:
    """Solve what `power_flow:BUSES` and `quadratic:SIZE` make, each within a limit of wall-clock time and of memory."""
    return Bounded("numerical", open_worker(limit_seconds, memory_megabytes), _solve)
