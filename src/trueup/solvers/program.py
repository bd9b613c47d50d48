"""Solves the constraint program that a text states.

It is read in the worker, whose time and memory are bounded, since a stranger may have written it.
"""

from __future__ import annotations

from typing import Any

from trueup.core.csp.program import Program
from trueup.core.csp.wire import to_json
from trueup.core.errors import BadInput
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.backends import AUTO, BACKENDS
from trueup.solvers.bounded import solution_of
from trueup.solvers.worker import Worker, open_worker


class ProgramSolver:
    """Implements Solver; made by `program`."""

    has_limit = True

    def __init__(self, worker: Worker, backend: str) -> None:
        """Solve in this worker, with this back-end."""
        self._worker, self._backend = worker, backend
        self.fingerprint = worker.fingerprint(f"program:{backend}")

    async def solve(self, problem: Problem) -> Solution:
        """The one solution of the stated program; else whether there are others, or which clues are in conflict."""
        reply = await self._worker.run({"stated": last_asked(problem.prompt), "backend": self._backend})
        text = reply["text"] if reply["status"] == "solved" else ""
        return solution_of(reply, text, text or None)

    async def decide(self, program: Program, *, unique: bool = True) -> dict[str, Any]:
        """All that the back-end says of a program: `status`, `values`, `other`, `conflict`, `objective`, `seconds`."""
        return await self._worker.run({"program": to_json(program), "backend": self._backend, "unique": unique})

    async def close(self) -> None:
        """Kill the worker's process."""
        await self._worker.close()


def program(*, backend: str = AUTO, limit_seconds: float = 10.0, memory_megabytes: int = 1024) -> ProgramSolver:
    """Solve what is written in the constraint language, by cp-sat, highs, scipy or z3 as it demands."""
    if backend not in BACKENDS:
        raise BadInput(f"there is no back-end {backend!r}; known: {', '.join(BACKENDS)}")
    return ProgramSolver(open_worker(limit_seconds, memory_megabytes), backend)
