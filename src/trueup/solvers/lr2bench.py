"""Solves the puzzles of LR²Bench from their statement alone: an adapter for each family, no language model.

Chen et al. 2025, arXiv:2502.17848. Reads the last user message, in which its prompts print the puzzle. An
answer from a lexicon is the likeliest one; one from clues that rules read is right for the clues as they were read.
"""

from __future__ import annotations

from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.worker import Worker, open_worker, solver_version


class PuzzleSolver:
    """Implements Solver; made by `lr2bench`."""

    def __init__(self, worker: Worker) -> None:
        """Solve in this worker."""
        self._worker = worker
        self.fingerprint = f"lr2bench:{solver_version()}"

    async def solve(self, problem: Problem) -> Solution:
        """The answer between the benchmark's tags, or why there is none."""
        reply = await self._worker.run({"puzzle": last_asked(problem.prompt)})
        text, conflict = reply["text"], tuple(reply.get("conflict", ()))
        return Solution(reply["status"], text, text or None, reply["seconds"], conflict, reply.get("reason", ""))

    async def close(self) -> None:
        """Kill the worker's process."""
        await self._worker.close()


def lr2bench(*, limit_seconds: float = 60.0, memory_megabytes: int = 4096) -> PuzzleSolver:
    """Solve sudoku, logic puzzles, drop quotes and cryptograms as LR²Bench prints them."""
    return PuzzleSolver(open_worker(limit_seconds, memory_megabytes))
