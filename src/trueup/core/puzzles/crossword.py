"""A crossword as it is printed: a grid of #, numbers and ?, and clues across and down."""

from __future__ import annotations

import re
from dataclasses import dataclass

Place = tuple[int, int]
CLUE = re.compile(r"^(\d+): (.*?)(?: \((\d+)\))?$")
STEPS = {"ACROSS": (0, 1), "DOWN": (1, 0)}


@dataclass(frozen=True, slots=True)
class Slot:
    """One answer: `1-ACROSS`, its clue, and its cells in order (row, column)."""

    name: str
    clue: str
    cells: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Crossword:
    """All slots of a grid."""

    slots: tuple[Slot, ...]


def read_crossword(text: str) -> Crossword | None:
    """The last crossword in a text; None where there is none, or a clue has no cells."""
    _, found, rest = text.rpartition("GRID:\n")
    grid_text, has_clues, clue_text = rest.partition("\n\nCLUE:\n")
    if not found or not has_clues:
        return None
    grid = [line.split() for line in grid_text.splitlines()]
    starts = {cell: (r, c) for r, row in enumerate(grid) for c, cell in enumerate(row) if cell.isdecimal()}
    slots: list[Slot] = []
    way = ""
    for line in clue_text.splitlines():
        if line.rstrip(":") in STEPS:
            way = line.rstrip(":")
        elif way and (match := CLUE.match(line)) and match[1] in starts:
            cells = _cells(grid, starts[match[1]], STEPS[way])
            slots.append(Slot(f"{match[1]}-{way}", match[2], cells))
        else:
            break
    return Crossword(tuple(slots)) if slots else None


def _cells(grid: list[list[str]], start: Place, step: Place) -> tuple[Place, ...]:
    found = []
    row, column = start
    while 0 <= row < len(grid) and 0 <= column < len(grid[row]) and grid[row][column] != "#":
        found.append((row, column))
        row, column = row + step[0], column + step[1]
    return tuple(found)
