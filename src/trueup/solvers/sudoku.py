"""Solves the sudoku that a problem states, by CP-SAT in a process of its own.

Reads nothing but the last user message, so it solves what a client sends as well as what a task holds.
"""

from __future__ import annotations

from importlib.metadata import version

from trueup.core.errors import BadInput
from trueup.core.grid import printed_grid
from trueup.core.types import Problem, Solution
from trueup.solvers.worker import Worker


class Sudoku:
    """Implements Solver; made by `sudoku`."""

    def __init__(self, worker: Worker) -> None:
        """Solve in this worker."""
        self._worker = worker
        self.fingerprint = f"sudoku:ortools-{version('ortools')}"

    async def solve(self, problem: Problem) -> Solution:
        """The one completion of the last grid in the last user message, or the reason why there is none."""
        asked = [message.content for message in problem.prompt if message.role == "user"]
        grid = read_grid(asked[-1]) if asked else None
        return Solution("unreadable") if grid is None else await self._worker.run({"grid": grid})

    async def close(self) -> None:
        """Kill the worker's process."""
        await self._worker.close()


def sudoku(*, limit_seconds: float = 10.0, memory_megabytes: int = 1024) -> Sudoku:
    """Solve grids of 4, 6, 9 or 16 rows, each within a limit of wall-clock time and of address space."""
    if not limit_seconds > 0 or memory_megabytes < 1:
        raise BadInput(f"solver limits are {limit_seconds} s and {memory_megabytes} MB; both must be above 0")
    return Sudoku(Worker(limit_seconds=limit_seconds, memory_megabytes=memory_megabytes))


def read_grid(text: str) -> list[list[int]] | None:
    """The last printed grid with no number beyond its size; a blank comes back as 0."""
    grid = printed_grid(text)
    if grid is None or any(cell > len(grid) for row in grid for cell in row):
        return None
    return [list(row) for row in grid]
