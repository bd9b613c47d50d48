"""Solves puzzles of reasoning-gym from their questions, without a language model.

mini_sudoku, sudoku, n_queens, futoshiki, kakurasu, survo, graph_color, zebra_puzzles, cryptarithm and knights_knaves;
the answer is in the form that the question asks for, so that reasoning-gym's own scorer can grade it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from trueup.core.csp.write import write
from trueup.core.grid import stated_grid
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.bounded import Bounded, solution_of
from trueup.solvers.gym_grids import Posed, Values, colouring, futoshiki, kakurasu, queens, survo
from trueup.solvers.gym_knights import knights
from trueup.solvers.gym_words import cryptarithm, zebra
from trueup.solvers.sudoku import cell_name, program_of
from trueup.solvers.worker import Worker, open_worker

BEYOND = re.compile(r"\d{19}")
"""A number that no puzzle has, and that would take long to read."""


def posed_sudoku(text: str) -> Posed | None:
    """A sudoku of any size that is printed as rows."""
    grid = stated_grid(text) if "udoku" in text else None
    if grid is None:
        return None
    places = range(len(grid))

    def answer(values: Values) -> str:
        return "\n".join(" ".join(str(values[cell_name(r, c)]) for c in places) for r in places)

    return Posed(write(program_of(grid)), answer)


READERS: tuple[Callable[[str], Posed | None], ...] = (
    zebra, cryptarithm, queens, futoshiki, kakurasu, survo, colouring, knights, posed_sudoku,
)  # fmt: skip


async def _solve(worker: Worker, problem: Problem) -> Solution:
    """The solution of the question in the last message, in the form that it asks for."""
    question = last_asked(problem.prompt)
    readers = () if BEYOND.search(question) else READERS
    posed = next((found for read in readers if (found := read(question)) is not None), None)
    if posed is None:
        return Solution("unreadable", reason="the last message states no puzzle of reasoning-gym that is known")
    reply = await worker.run({"stated": posed.program, "unique": posed.unique})
    if reply["status"] != "solved":
        return solution_of(reply)
    text = posed.answer(reply["values"])
    return solution_of(reply, text, text)


def gym(*, limit_seconds: float = 10.0, memory_megabytes: int = 1024) -> Bounded:
    """Solve puzzles that `gym:DATASET` asks, each within a limit of wall-clock time and of address space."""
    return Bounded("gym", open_worker(limit_seconds, memory_megabytes), _solve)
