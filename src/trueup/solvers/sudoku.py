"""Solves the sudoku that a problem states.

Reads nothing but the last user message, so it solves what a client sends as well as what a task holds.
"""

from __future__ import annotations

from itertools import product

from trueup.core.csp.program import INT, Constraint, Node, Program, Ref, Variable
from trueup.core.csp.wire import to_json
from trueup.core.grid import Grid, stated_grid, units_of
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.bounded import Bounded, solution_of
from trueup.solvers.worker import Worker, open_worker


async def _solve(worker: Worker, problem: Problem) -> Solution:
    """The one completion of the last grid in the last user message, or the reason why there is none."""
    grid = stated_grid(last_asked(problem.prompt))
    if grid is None:
        return Solution("unreadable", reason="the last message prints no grid; write its rows as `1 _ 3 4`")
    reply = await worker.run({"program": to_json(program_of(grid))})
    if reply["status"] != "solved":
        return solution_of(reply)
    size = len(grid)
    rows = (" ".join(str(reply["values"][cell_name(r, c)]) for c in range(size)) for r in range(size))
    text = "\n".join(rows)
    return solution_of(reply, text, text)


def sudoku(*, limit_seconds: float = 10.0, memory_megabytes: int = 1024) -> Bounded:
    """Solve grids of 4, 6, 9 or 16 rows, each within a limit of wall-clock time and of address space."""
    return Bounded("sudoku", open_worker(limit_seconds, memory_megabytes), _solve)


def program_of(grid: Grid) -> Program:
    """A sudoku as a constraint program; a given is a variable of one value."""
    size = len(grid)
    places = product(range(size), range(size))
    variables = tuple(Variable(cell_name(r, c), INT, grid[r][c] or 1, grid[r][c] or size) for r, c in places)
    return Program(
        variables,
        tuple(
            Constraint(Node("alldifferent", tuple(Ref(cell_name(r, c)) for r, c in cells)), name)
            for name, cells in units_of(size)
        ),
    )


def cell_name(row: int, column: int) -> str:
    """The variable of a cell, both counted from 0."""
    return f"r{row + 1}c{column + 1}"
