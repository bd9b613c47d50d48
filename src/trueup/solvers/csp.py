"""Solves a generated puzzle by its own constraints, read back from its statement.

What a perfect formalisation would give: no language model, nothing of an item but its last user message.
"""

from __future__ import annotations

from trueup.core.puzzles.families import FAMILIES, stated
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.bounded import Bounded
from trueup.solvers.stated import solve_stated
from trueup.solvers.worker import Worker, open_worker


async def _solve(worker: Worker, problem: Problem) -> Solution:
    """The one solution, or one of the best where there is something to optimise, as the statement asks for it."""
    found = stated(last_asked(problem.prompt))
    if found is None:
        return Solution("unreadable", reason="the last message states no puzzle of a family of csp")
    family, puzzle = found
    return await solve_stated(worker, puzzle, FAMILIES[family].said)


def csp(*, limit_seconds: float = 10.0, memory_megabytes: int = 1024) -> Bounded:
    """Solve the puzzles that `csp:FAMILY` makes, each within a limit of wall-clock time and of address space."""
    return Bounded("csp", open_worker(limit_seconds, memory_megabytes), _solve)
