"""Square grids of numbers in a text: the puzzle's, and the answer's."""

from __future__ import annotations

import re

Grid = tuple[tuple[int, ...], ...]
"""Rows of numbers; 0 is a blank."""

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3), 16: (4, 4)}
"""Rows and columns of a box, by the size of the grid."""

PRINTED = re.compile(r"(?:^[ \t]*[0-9._]{1,2}(?: [0-9._]{1,2}){3,15}[ \t]*(?:\n|$)){4,16}", re.MULTILINE)
CELL = re.compile(r"[0-9]+")
FRAME = re.compile(r"[\s\[\](){}|,;:+\-=*]+")


def printed_grid(text: str) -> Grid | None:
    """The last grid set out as lines of numbers, one space apart, a blank as `_`, `.` or 0."""
    for block in reversed(PRINTED.findall(text)):
        rows = [line.split() for line in block.splitlines()]
        if len(rows) in BOXES and all(len(row) == len(rows) for row in rows):
            return tuple(tuple(int(cell) if cell.isdigit() else 0 for cell in row) for row in rows)
    return None


def filled_grid(text: str) -> Grid | None:
    """The last full grid, however it is framed: spaces, none, bars, commas or brackets; None where a row is missing."""
    blocks: list[list[tuple[int, ...]]] = [[]]
    for line in text.replace("]", "]\n").splitlines():
        row = _row(line)
        if row is None:
            blocks.append([])
        elif row:
            blocks[-1].append(row)
    for block in reversed(blocks):
        size = len(block[0]) if block else 0
        rows = tuple(block[:size])
        if size in BOXES and len(rows) == size and all(len(row) == size for row in rows):
            return rows
    return None


def _row(line: str) -> tuple[int, ...] | None:
    """The numbers of a line; empty for a line of frame, None for one that holds anything else."""
    cells = FRAME.sub(" ", line).split()
    if len(cells) == 1 and len(cells[0]) in BOXES:
        cells = list(cells[0])
    if not all(CELL.fullmatch(cell) and len(cell) < 3 for cell in cells):
        return None
    return tuple(map(int, cells))
