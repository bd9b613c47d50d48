"""Square grids of numbers in a text: as an answer gives them."""

from __future__ import annotations

import re

from trueup.core.grid import BOXES, Grid

CELL = re.compile(r"[0-9]+")
FRAME = re.compile(r"[\s\[\](){}|,;:+\-=*]+")


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
