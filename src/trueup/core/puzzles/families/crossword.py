"""A grid to fill with words from a list, some letters given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from trueup.core.csp.scope import LETTERS
from trueup.core.puzzles.families.puzzle import Values

BLACK, WHITE = "#", "_"
HEAD = "Fill the white cells with letters so that every row or column of two or more of them is a word of the list."
WORDS = re.compile(r"^words: (.+)$", re.MULTILINE)
PRINTED = re.compile(r"(?:^[a-z_#](?: [a-z_#])+\n?)+", re.MULTILINE)
CELLS = re.compile(r"[a-z#]+")
FRAME = str.maketrans("`|*,-+", "      ")
SIZES = (3, 5, 7)


@dataclass(frozen=True, slots=True)
class Fill:
    """`rows` have a letter, `_` for an open cell or `#` for a black one; `words` are the list."""

    rows: tuple[str, ...]
    words: tuple[str, ...]

    def statement(self) -> str:
        """The list, then the grid."""
        grid = "\n".join(" ".join(row) for row in self.rows)
        return (
            f"{HEAD} No word stands there twice. `_` is white, `#` is black.\n\nwords: {', '.join(self.words)}\n\n"
            f"{grid}\n\nAnswer with the full grid, its cells one space apart."
        )

    def constraints(self) -> str:
        """A letter per white cell."""
        white = [_cell(r, c) for r, row in enumerate(self.rows) for c, one in enumerate(row) if one != BLACK]
        lines = [f"lexicon words: {', '.join(self.words)}", f"letter {', '.join(white)}"]
        slots = list(self.slots())
        lines += [f"con spells(words, {', '.join(_cell(*place) for place in of)}) #{name}" for name, of in slots]
        lines += [
            f"con {' or '.join(f'{_cell(*a)} != {_cell(*b)}' for a, b in zip(first, second, strict=True))} "
            f"#{name} is not {other}"
            for (name, first), (other, second) in combinations(slots, 2)
            if len(first) == len(second)
        ]
        return "\n".join(
            lines + [f"con {_cell(r, c)} == {one.upper()} #a letter is given" for r, c, one in self._given()]
        )

    def answer(self, values: Values) -> str:
        """The full grid."""
        return "\n".join(
            " ".join(one if one == BLACK else LETTERS[values[_cell(r, c)]].lower() for c, one in enumerate(row))
            for r, row in enumerate(self.rows)
        )

    def values(self, answer: str) -> Values | None:
        """The letter of each white cell, where black ones stand where they should."""
        grid = [line.split() for line in answer.splitlines()]
        if [len(row) for row in grid] != [len(row) for row in self.rows]:
            return None
        places = [(r, c, one) for r, row in enumerate(grid) for c, one in enumerate(row)]
        if any((one == BLACK) != (self.rows[r][c] == BLACK) for r, c, one in places):
            return None
        return {_cell(r, c): LETTERS.index(one.upper()) for r, c, one in places if one != BLACK}

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None

    def slots(self) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
        """Every run of two or more white cells, rows first, by name."""
        yield from _runs("row", {(r, c): one for r, row in enumerate(self.rows) for c, one in enumerate(row)})
        turned = {(c, r): one for r, row in enumerate(self.rows) for c, one in enumerate(row)}
        yield from ((name, tuple((r, c) for c, r in of)) for name, of in _runs("column", turned))

    def _given(self) -> Iterator[tuple[int, int, str]]:
        for r, row in enumerate(self.rows):
            for c, one in enumerate(row):
                if one not in (BLACK, WHITE):
                    yield r, c, one


def stated_crossword(text: str) -> Fill | None:
    """The last grid to fill that a text states."""
    place = text.rfind(HEAD)
    named = WORDS.search(text, place) if place >= 0 else None
    grid = PRINTED.search(text, named.end()) if named else None
    if named is None or grid is None:
        return None
    return Fill(tuple(line.replace(" ", "") for line in grid[0].splitlines()), tuple(named[1].split(", ")))


def said_letters(text: str) -> str | None:
    """The last full square of letters, spaced or not, in lower case."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        row = _row(line)
        if row:
            blocks[-1].append(row)
        elif row is None:
            blocks.append([])
    squares = (block[-len(block[-1]) :] for block in reversed(blocks) if block)
    square = next((rows for rows in squares if {len(row) for row in rows} == {len(rows)}), None)
    return None if square is None else "\n".join(" ".join(row) for row in square)


def _row(line: str) -> str | None:
    """The cells of a line; empty for a line of frame, None for one that holds anything else."""
    parts = line.translate(FRAME).lower().split()
    cells = "".join(parts)
    is_spaced = all(len(part) == 1 for part in parts) or len(parts) == 1
    return cells if not cells or (is_spaced and len(cells) in SIZES and CELLS.fullmatch(cells)) else None


def _cell(row: int, column: int) -> str:
    return f"r{row + 1}c{column + 1}"


def _runs(name: str, cells: dict[tuple[int, int], str]) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """The runs of white cells along the second place, each named after the first."""
    run: list[tuple[int, int]] = []
    for place in sorted(cells):
        if run and (place[0] != run[-1][0] or cells[place] == BLACK):
            if len(run) > 1:
                yield f"{name} {run[0][0] + 1}, {run[0][1] + 1} to {run[-1][1] + 1}", tuple(run)
            run = []
        if cells[place] != BLACK:
            run.append(place)
    if len(run) > 1:
        yield f"{name} {run[0][0] + 1}, {run[0][1] + 1} to {run[-1][1] + 1}", tuple(run)
