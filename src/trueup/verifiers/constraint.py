"""Sudoku rules and the givens of the problem's own prompt; needs no reference."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.core.errors import UnknownName
from trueup.core.grid import BOXES, Grid, givens_of
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.grid import filled_grid
from trueup.verifiers.marks import spoken


@dataclass(frozen=True, slots=True)
class Constraint:
    """Implements Verifier by the puzzle's own rules; made by `constraint`."""

    name: str
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The filled grid, a line per row and a space between numbers."""
        said = spoken(text)
        grid = None if said is None else filled_grid(said)
        return None if grid is None else "\n".join(" ".join(map(str, row)) for row in grid)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where the givens stand and no row, column or box repeats a number; the note says what is broken first."""
        givens = givens_of(problem)
        grid = tuple(tuple(map(int, line.split())) for line in answer.splitlines())
        broken = _broken(grid, givens)
        return Grade(1.0) if broken is None else Grade(0.0, note=broken)


def constraint(*, family: str = "sudoku") -> Constraint:
    """Check a puzzle's answer against its rules; the only family so far is `sudoku`, of 4, 6, 9 or 16 rows."""
    if family != "sudoku":
        raise UnknownName("family of constraint", family, ["sudoku"])
    return Constraint(f"constraint family={family}")


def _broken(grid: Grid, givens: Grid) -> str | None:
    """The first rule that the grid breaks, in words."""
    size = len(givens)
    if len(grid) != size:
        return f"{len(grid)} rows instead of {size}"
    for row in range(size):
        for column in range(size):
            if givens[row][column] not in (0, grid[row][column]):
                return f"given changed in row {row + 1}, column {column + 1}"
    return next((place for place, cells in _units(grid) if sorted(cells) != list(range(1, size + 1))), None)


def _units(grid: Grid) -> list[tuple[str, list[int]]]:
    size = len(grid)
    height, width = BOXES[size]
    rows = [(f"row {i + 1}", list(grid[i])) for i in range(size)]
    columns = [(f"column {i + 1}", [row[i] for row in grid]) for i in range(size)]
    corners = [(top, left) for top in range(0, size, height) for left in range(0, size, width)]
    boxes = [
        (f"box {i + 1}", [grid[top + r][left + c] for r in range(height) for c in range(width)])
        for i, (top, left) in enumerate(corners)
    ]
    return [*rows, *columns, *boxes]
