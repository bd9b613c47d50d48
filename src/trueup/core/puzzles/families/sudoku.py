"""Sudoku of 4, 6, 9 or 16 rows, as the generators print it."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from trueup.core.csp.scope import cell
from trueup.core.grid import BOXES, Grid, stated_grid
from trueup.core.puzzles.families.puzzle import Values

RULE4 = "Fill every _ so that each row, each column and each 2x2 box holds the numbers 1, 2, 3 and 4."


CELL = re.compile(r"[0-9]+")
FRAME = re.compile(r"[\s\[\](){}|,;:+\-=*&\\\u2500-\u257f]+")
"""What may stand round a row and between its numbers, in Markdown, LaTeX and drawn boxes among others."""
BOXED = "\\boxed"
ANY = range(1, 1000)
Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sudoku:
    """`grid` has 0 for a blank; `rule` is said instead of the usual one where there is one."""

    grid: Grid
    rule: str = ""

    def statement(self) -> str:
        """The rule, and the grid below it."""
        size = len(self.grid)
        height, width = BOXES[size]
        usual = (
            f"Fill every _ so that each row, each column and each box of {height} rows and {width} columns holds the "
            f"numbers 1 to {size}, each once. Answer with the full grid."
        )
        return f"{self.rule or usual}\n\n{self.printed()}"

    def constraints(self) -> str:
        """Rows, columns, boxes, and a constraint per given."""
        size = len(self.grid)
        height, width = BOXES[size]
        lines = [f"int grid[{size},{size}] in 1..{size}"]
        lines += [f"con alldifferent(grid[{i},*]) #row {i}" for i in range(1, size + 1)]
        lines += [f"con alldifferent(grid[*,{i}]) #column {i}" for i in range(1, size + 1)]
        corners = [(top, left) for top in range(1, size, height) for left in range(1, size, width)]
        lines += [
            f"con alldifferent(grid[{top}..{top + height - 1},{left}..{left + width - 1}]) #box {i}"
            for i, (top, left) in enumerate(corners, 1)
        ]
        lines += [
            f"con grid[{r},{c}] == {value} #given in row {r}, column {c}"
            for r, row in enumerate(self.grid, 1)
            for c, value in enumerate(row, 1)
            if value
        ]
        return "\n".join(lines)

    def answer(self, values: Values) -> str:
        """The full grid."""
        places = range(1, len(self.grid) + 1)
        return "\n".join(" ".join(str(values[cell("grid", (r, c))]) for c in places) for r in places)

    def values(self, answer: str) -> Values | None:
        """The numbers of a full grid of this size."""
        rows = [line.split() for line in answer.splitlines()]
        if len(rows) != len(self.grid) or any(len(row) != len(self.grid) for row in rows):
            return None
        return {cell("grid", (r, c)): int(n) for r, row in enumerate(rows, 1) for c, n in enumerate(row, 1)}

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None

    def printed(self) -> str:
        """The grid alone, `_` for a blank."""
        return "\n".join(" ".join(str(number) if number else "_" for number in row) for row in self.grid)


def stated_sudoku(text: str) -> Sudoku | None:
    """The last grid of numbers that a text prints."""
    grid = stated_grid(text)
    return None if grid is None else Sudoku(grid)


def said_grid(text: str) -> str | None:
    """The last full grid, however it is framed: spaces, none, bars, commas or brackets; None where a row is missing."""
    for block in reversed(_blocks(text, BOXES)):
        size = len(block[0]) if block else 0
        rows = tuple(block[:size])
        if size in BOXES and len(rows) == size and all(len(row) == size for row in rows):
            return "\n".join(" ".join(map(str, row)) for row in rows)
    return None


def begun_rows(text: str, size: int) -> list[Row]:
    """The rows of the last grid that a text has begun, its last row as far as it goes."""
    return next((block for block in reversed(_blocks(text, ANY if size < 10 else ())) if block), [])


def _blocks(text: str, unspaced: Container[int]) -> list[list[Row]]:
    """Rows that stand together, whatever else there is between the blocks; so many digits may stand without spaces."""
    blocks: list[list[Row]] = [[]]
    for line in text.replace(BOXED, "").replace("]", "]\n").splitlines():
        row = _row(line, unspaced)
        if row is None:
            blocks.append([])
        elif row:
            blocks[-1].append(row)
    return blocks


def _row(line: str, unspaced: Container[int]) -> Row | None:
    """The numbers of a line; empty for a line of frame, None for one that holds anything else."""
    cells = FRAME.sub(" ", line.rstrip(" .")).split()
    if len(cells) == 1 and len(cells[0]) in unspaced:
        cells = list(cells[0])
    if not all(CELL.fullmatch(cell) and len(cell) < 3 for cell in cells):
        return None
    return tuple(map(int, cells))
