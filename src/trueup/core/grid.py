"""Square grids of numbers as a problem prints them."""

from __future__ import annotations

import re

from trueup.core.errors import BadInput
from trueup.core.types import Problem

Grid = tuple[tuple[int, ...], ...]
"""Rows of numbers; 0 is a blank."""

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


def givens_of(problem: Problem) -> Grid:
    """The puzzle that a problem's last user message prints, 0 for an empty cell.

    Raises BadInput where it prints none.
    """
    asked = [message.content for message in problem.prompt if message.role == "user"]
    grid = printed_grid(asked[-1]) if asked else None
    if grid is None:
        raise BadInput(f"item {problem.id!r}: its last user message holds no sudoku; print it as lines like `1 _ 3 4`")
    return grid
