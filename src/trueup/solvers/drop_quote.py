"""Fills a drop quote by words of a lexicon that use up the letters of every column.

What the lexicon does not know is read off the letters that are left, where only one arrangement of them is possible,
else in the order that common letter pairs suggest. Runs in the child process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from trueup.core.lexicon import ALPHABET, Lexicon, letter_pairs, load_lexicon
from trueup.core.puzzles.drop import DropQuote
from trueup.solvers.word_beam import Filled, Letters, Search, fill

Cell = tuple[int, int]
APOSTROPHE = "'"
WIDTH, BRANCH = 300, 80


@dataclass(frozen=True, slots=True)
class Slot:
    """A word's cells in order; the column of each, -1 for an apostrophe that is printed."""

    cells: tuple[Cell, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Implements Board: the letters that are left in each column, axes (column, letter)."""

    slots: tuple[Slot, ...]
    counts: NDArray[np.int16]

    def start(self) -> NDArray[np.int16]:
        """All letters of all columns."""
        return self.counts

    def fits(self, state: NDArray[np.int16], slot: int, letters: Letters) -> NDArray[np.bool_]:
        """Words whose letters are all left in their columns."""
        columns = self.slots[slot].columns
        found = np.ones(len(letters), bool)
        for place, column in enumerate(columns):
            found &= (
                letters[:, place] == ALPHABET.index(APOSTROPHE) if column < 0 else _left(state, column, letters, place)
            )
        for column in {one for one in columns if one >= 0 and columns.count(one) > 1}:
            found &= self._suffices(state[column], letters[:, [i for i, one in enumerate(columns) if one == column]])
        return found

    def place(self, state: NDArray[np.int16], slot: int, letters: Letters) -> NDArray[np.int16]:
        """The letters that are left when these are used."""
        rest = state.copy()
        for letter, column in zip(letters.tolist(), self.slots[slot].columns, strict=True):
            if column >= 0:
                rest[column, letter] -= 1
        return rest

    @staticmethod
    def _suffices(left: NDArray[np.int16], letters: Letters) -> NDArray[np.bool_]:
        """Whether a column that a word crosses more than once has each letter often enough."""
        needed = (letters[:, :, None] == letters[:, None, :]).sum(2)
        return np.asarray((needed <= left[letters]).all(1))


def solve_drop(puzzle: DropQuote, *, width: int = WIDTH, branch: int = BRANCH) -> list[list[str]] | None:
    """The puzzle's grid with a letter in every cell; None where nothing fits."""
    return next((grid for _, grid in drop_grids(puzzle, 1, width=width, branch=branch)), None)


def drop_grids(
    puzzle: DropQuote, k: int, *, width: int = WIDTH, branch: int = BRANCH
) -> list[tuple[float, list[list[str]]]]:
    """Up to k fillings, the likeliest first, each with the worth of its words in nats; none where nothing fits."""
    lexicon = load_lexicon()
    slots, follows = _slots(puzzle)
    counts = np.zeros((len(puzzle.letters), len(ALPHABET)), np.int16)
    for column, letters in enumerate(puzzle.letters):
        for letter in letters:
            counts[column, ALPHABET.index(letter)] += 1
    search = Search(
        Columns(slots, counts), lexicon, [len(slot.cells) for slot in slots], follows, width=width, branch=branch
    )
    return [(one.worth, _written(puzzle, slots, one, lexicon)) for one in fill(search)[:k]]


def _left(state: NDArray[np.int16], column: int, letters: Letters, place: int) -> NDArray[np.bool_]:
    return np.asarray((state[column] > 0)[letters[:, place]])


def _slots(puzzle: DropQuote) -> tuple[tuple[Slot, ...], list[bool]]:
    """The words of the grid in order, and whether each follows the one before it with nothing but a space between."""
    slots: list[Slot] = []
    follows: list[bool] = []
    cells: list[Cell] = []
    columns: list[int] = []
    follows_on = False
    flat = [(r, c, cell) for r, row in enumerate(puzzle.grid) for c, cell in enumerate(row)]
    for r, c, cell in [*flat, (-1, -1, "#")]:
        if cell.isdecimal() or (cell == APOSTROPHE and cells):
            cells.append((r, c))
            columns.append(c if cell.isdecimal() else -1)
            continue
        if cells:
            slots.append(Slot(tuple(cells), tuple(columns)))
            follows.append(follows_on)
            cells, columns, follows_on = [], [], True
        follows_on = follows_on and cell == "#"
    return tuple(slots), follows


def _written(
    puzzle: DropQuote, slots: tuple[Slot, ...], found: Filled[NDArray[np.int16]], lexicon: Lexicon
) -> list[list[str]]:
    grid = [list(row) for row in puzzle.grid]
    open_cells: dict[int, list[Cell]] = {}
    for slot, word in zip(slots, found.words, strict=True):
        for i, (r, c) in enumerate(slot.cells):
            if word is not None:
                grid[r][c] = word[i]
            elif slot.columns[i] >= 0:
                open_cells.setdefault(c, []).append((r, c))
    for column, cells in open_cells.items():
        left = [ALPHABET[i] for i, count in enumerate(found.state[column]) for _ in range(count)]
        best = max(
            sorted(set(permutations(left, len(cells)))), key=lambda letters: _worth(grid, cells, letters, lexicon)
        )
        for (r, c), letter in zip(cells, best, strict=True):
            grid[r][c] = letter
    return grid


def _worth(grid: list[list[str]], cells: list[Cell], letters: tuple[str, ...], lexicon: Lexicon) -> float:
    """How common the letter pairs to the left of some cells are."""
    pairs = letter_pairs(lexicon)
    lefts = [grid[r][c - 1] if c else "" for r, c in cells]
    return sum(
        float(pairs[ALPHABET.index(left), ALPHABET.index(letter)])
        for left, letter in zip(lefts, letters, strict=True)
        if left and left in ALPHABET
    )
