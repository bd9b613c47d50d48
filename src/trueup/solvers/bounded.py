"""A solver whose work a child process does, within its limits of time and memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trueup.core.types import Problem, Solution
from trueup.solvers.worker import Reply, Worker

Solve = Callable[[Worker, Problem], Awaitable[Solution]]


class Bounded:
    """Implements Solver by what a function asks of a worker."""

    has_limit = True

    def __init__(self, name: str, worker: Worker, solve: Solve) -> None:
        """Solve in this worker; `name` stands in the fingerprint."""
        self._worker, self._solve = worker, solve
        self.fingerprint = worker.fingerprint(name)

    async def solve(self, problem: Problem) -> Solution:
        """What the function says."""
        return await self._solve(self._worker, problem)

    async def close(self) -> None:
        """Kill the worker's process."""
        await self._worker.close()


def solution_of(reply: Reply, text: str = "", answer: str | None = None) -> Solution:
    """A worker's reply, with the text and the answer that were made of it; without them where it solved nothing."""
    conflict, reason = tuple(reply.get("conflict", ())), reply.get("reason", "")
    return Solution(reply["status"], text, answer, reply["seconds"], conflict, reason)
