"""What a filled sudoku grid breaks first, in words."""

from __future__ import annotations

from trueup.core.grid import BOXES, Grid


def broken_rule(grid: Grid, givens: Grid) -> str | None:
    """The first rule that the grid breaks; None where it breaks none."""
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
