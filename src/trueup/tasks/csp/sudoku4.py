"""4x4 sudoku, dug at random; kept as it is, since results rest on its items."""

from __future__ import annotations

import random
from collections.abc import Iterator

from trueup.core.puzzles.families import Sudoku
from trueup.core.puzzles.families.sudoku import RULE4
from trueup.tasks.csp.dials import within
from trueup.tasks.csp.made import Made

SIZE, BOX = 4, 2

Grid = list[list[int]]


def sudoku4(rng: random.Random, *, blanks: int = 8) -> Made:
    """A 4x4 sudoku with so many blanks."""
    within("sudoku4", "blanks", blanks, 1, 10)
    while True:
        solution = next(_completions([[0] * SIZE for _ in range(SIZE)], rng))
        puzzle = _dug(solution, blanks, rng)
        if puzzle is not None:
            return Made(Sudoku(_frozen(puzzle), RULE4), Sudoku(_frozen(solution)).printed())


def _frozen(grid: Grid) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, grid))


def _dug(solution: Grid, blanks: int, rng: random.Random) -> Grid | None:
    """The solution with so many cells blanked and no second completion; None where this one cannot lose so many."""
    puzzle = [list(row) for row in solution]
    cells = [(row, column) for row in range(SIZE) for column in range(SIZE)]
    rng.shuffle(cells)
    for row, column in cells:
        if blanks == 0:
            break
        puzzle[row][column] = 0
        completions = _completions(puzzle, rng)
        next(completions)
        if next(completions, None) is None:
            blanks -= 1
        else:
            puzzle[row][column] = solution[row][column]
    return puzzle if blanks == 0 else None


def _completions(grid: Grid, rng: random.Random) -> Iterator[Grid]:
    """Every way to fill the blanks, in random order, by trying and taking back."""
    blank = next(((r, c) for r in range(SIZE) for c in range(SIZE) if grid[r][c] == 0), None)
    if blank is None:
        yield [list(row) for row in grid]
        return
    row, column = blank
    for value in rng.sample(range(1, SIZE + 1), SIZE):
        if _fits(grid, row, column, value):
            filled = [list(line) for line in grid]
            filled[row][column] = value
            yield from _completions(filled, rng)


def _fits(grid: Grid, row: int, column: int, value: int) -> bool:
    top, left = row - row % BOX, column - column % BOX
    box = [grid[top + r][left + c] for r in range(BOX) for c in range(BOX)]
    return value not in (*grid[row], *(line[column] for line in grid), *box)
