"""Square grids of numbers as a problem prints them."""

from __future__ import annotations

import re
from itertools import product

from trueup.core.errors import BadInput
from trueup.core.types import Problem, last_asked

Grid = tuple[tuple[int, ...], ...]
"""Rows of numbers; 0 is a blank."""
Place = tuple[int, int]

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}
"""Rows and columns of a box, by the size of the grid."""

PRINTED = re.compile(r"(?:^[ \t]*[0-9._]{1,2}(?: [0-9._]{1,2}){3,15}[ \t]*(?:\n|$)){4,16}", re.MULTILINE)


def printed_grid(text: str) -> Grid | None:
    """The last grid set out as lines of numbers, one space apart, a blank as `_`, `.` or 0."""
    for block in reversed(PRINTED.findall(text)):
        rows = [line.split() for line in block.splitlines()]
        if len(rows) in BOXES and all(len(row) == len(rows) for row in rows):
            return tuple(tuple(int(cell) if cell.isdigit() else 0 for cell in row) for row in rows)
    return None


def stated_grid(text: str) -> Grid | None:
    """The last printed grid with no number beyond its size."""
    grid = printed_grid(text)
    return None if grid is None or any(number > len(grid) for row in grid for number in row) else grid


def units_of(size: int) -> list[tuple[str, list[Place]]]:
    """The cells (row, column, from 0) that hold each number once: rows, columns, then boxes, each with its name."""
    height, width = BOXES[size]
    rows = [[(i, c) for c in range(size)] for i in range(size)]
    columns = [[(r, i) for r in range(size)] for i in range(size)]
    corners = product(range(0, size, height), range(0, size, width))
    boxes = [list(product(range(top, top + height), range(left, left + width))) for top, left in corners]
    kinds = (("row", rows), ("column", columns), ("box", boxes))
    return [(f"{kind} {i}", cells) for kind, group in kinds for i, cells in enumerate(group, 1)]


def givens_of(problem: Problem) -> Grid:
    """The puzzle that a problem's last user message prints, 0 for an empty cell.

    Raises BadInput where it prints none.
    """
    grid = printed_grid(last_asked(problem.prompt))
    if grid is None:
        raise BadInput(f"item {problem.id!r}: its last user message holds no sudoku; print it as lines like `1 _ 3 4`")
    return grid
