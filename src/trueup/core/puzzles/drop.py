"""A drop quote as it is printed: a grid of column numbers, and the letters that fall into each column."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

COLUMN = re.compile(r"^Column (\d{1,4}): ([A-Z](?: [A-Z])*)\s*$", re.MULTILINE)
GRID = re.compile(r"puzzle:\n(\[\[.{0,9999}?\]\])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DropQuote:
    """`grid` has a number where a letter falls, `#` between words and punctuation as it stands.

    `letters` are those of each column, of column 1 first, in alphabetical order.
    """

    grid: tuple[tuple[str, ...], ...]
    letters: tuple[tuple[str, ...], ...]


def read_drop(text: str) -> DropQuote | None:
    """The last drop quote in a text; None where there is none or its letters do not fill its grid."""
    grids = GRID.findall(text)
    if not grids:
        return None
    try:
        grid = tuple(tuple(map(str, row)) for row in ast.literal_eval(grids[-1]))
    except (TypeError, ValueError, SyntaxError):
        return None
    columns = {int(n): tuple(letters.split()) for n, letters in COLUMN.findall(text[text.rindex(grids[-1]) :])}
    width = max(map(len, grid))
    letters = tuple(columns.get(c + 1, ()) for c in range(width))
    blanks = [sum(len(row) > c and row[c].isdecimal() for row in grid) for c in range(width)]
    return DropQuote(grid, letters) if blanks == [len(column) for column in letters] else None
