"""What a filled sudoku grid breaks first, in words."""

from __future__ import annotations

from trueup.core.grid import Grid, units_of


def broken_rule(grid: Grid, givens: Grid) -> str | None:
    """The first rule that the grid breaks; None where it breaks none."""
    size = len(givens)
    if len(grid) != size:
        return f"{len(grid)} rows instead of {size}"
    for row in range(size):
        for column in range(size):
            if givens[row][column] not in (0, grid[row][column]):
                return f"given changed in row {row + 1}, column {column + 1}"
    whole = list(range(1, size + 1))
    return next((name for name, cells in units_of(size) if sorted(grid[r][c] for r, c in cells) != whole), None)
