"""Generated constraint puzzles: `csp:sudoku4`, with the dial `blanks=8`.

Each has exactly one solution. The grid stands in the prompt as lines of numbers, one space apart, `_` for a blank,
so that a solver or a verifier can read it back from there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from trueup.core.errors import BadInput, UnknownName
from trueup.core.settings import fit_settings, split_words
from trueup.core.types import Item, Message, Problem

SIZE, BOX = 4, 2
ITEMS_UNLESS_SAID = 100
RULE = "Fill every _ so that each row, each column and each 2x2 box holds the numbers 1, 2, 3 and 4."

Grid = list[list[int]]


def csp(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The first `limit` puzzles (100 unless said) of a family; puzzle i depends on the seed and i alone."""
    family, settings = split_words(argument)
    if family not in FAMILIES:
        raise UnknownName("csp family", family, FAMILIES)
    make = FAMILIES[family]
    fitted = fit_settings(f"csp:{family}", make, settings)
    puzzles = [make(random.Random(f"{family}:{seed}:{i}"), **fitted) for i in range(limit or ITEMS_UNLESS_SAID)]
    names = [f"{family}-{seed}-{i}" for i in range(len(puzzles))]
    return tuple(
        Item(Problem(name, stratum, (Message("user", f"{RULE}\n\n{_printed(puzzle)}"),)), _printed(solution), name)
        for name, (puzzle, solution) in zip(names, puzzles, strict=True)
    )


def sudoku4(rng: random.Random, *, blanks: int = 8) -> tuple[Grid, Grid]:
    """A 4x4 sudoku with so many blanks and one solution, and that solution."""
    if not 1 <= blanks <= 10:
        raise BadInput(f"csp:sudoku4 blanks is {blanks}; it takes 1 to 10")
    while True:
        solution = next(_completions([[0] * SIZE for _ in range(SIZE)], rng))
        puzzle = _dug(solution, blanks, rng)
        if puzzle is not None:
            return puzzle, solution


FAMILIES = {"sudoku4": sudoku4}


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


def _printed(grid: Grid) -> str:
    return "\n".join(" ".join(str(cell) if cell else "_" for cell in row) for row in grid)
