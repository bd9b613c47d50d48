"""Solves a stated power flow or quadratic program by its own constraints.

What a perfect formalisation would give: no language model, nothing of an item but its last user message. Linear ones go
to HiGHS, the others to SciPy. Any solution will do: whether it is the only one is not asked.
"""

from __future__ import annotations

from trueup.core.numerical import canonical_numbers, stated
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.stated import solve_stated
from trueup.solvers.worker import Worker, open_worker, solver_version


class NumericalSolver:
    """Implements Solver; made by `numerical`."""

    has_limit = True

    def __init__(self, worker: Worker) -> None:
        """Solve in this worker."""
        self._worker = worker
        self.fingerprint = f"numerical:{solver_version()}"

    async def solve(self, problem: Problem) -> Solution:
        """Numbers that satisfy the equations within their bounds, as the statement asks for them."""
        question = stated(last_asked(problem.prompt))
        if question is None:
            return Solution("unreadable", reason="the last message states no power flow and no quadratic program")
        return await solve_stated(self._worker, question, canonical_numbers, unique=False)

    async def close(self) -> None:
        """Kill the worker's process."""
        await self._worker.close()


def numerical(*, limit_seconds: float = 30.0, memory_megabytes: int = 1024) -> NumericalSolver:
    """Solve what `power_flow:BUSES` and `quadratic:SIZE` make, each within a limit of wall-clock time and of memory."""
    return NumericalSolver(open_worker(limit_seconds, memory_megabytes))
