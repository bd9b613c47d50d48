"""Sudoku of a size, with so many blanks and wrong turns."""

from __future__ import annotations

from random import Random

from trueup.core.errors import BadInput
from trueup.core.grid import BOXES, units_of
from trueup.core.puzzles.families import Sudoku
from trueup.core.puzzles.network import Network, all_different, network, search
from trueup.tasks.csp.dials import Band, band, tried, within
from trueup.tasks.csp.digging import dug
from trueup.tasks.csp.made import Made

MOST_BLANKS = {4: 12, 6: 28, 9: 58, 16: 150}
USUAL_BLANKS = {4: 8, 6: 18, 9: 45, 16: 110}
TRIES = 20


def sudoku(rng: Random, *, size: int = 9, blanks: int | None = None, backtracks: str = "") -> Made:
    """A sudoku of `size` rows; `backtracks` is how many wrong turns a complete search takes, as 4 or 3..6.

    Of 4 rows none was found that takes any.
    """
    if size not in BOXES:
        raise BadInput(f"csp:sudoku size is {size}; it takes {', '.join(map(str, BOXES))}")
    chosen = USUAL_BLANKS[size] if blanks is None else blanks
    within("sudoku", "blanks", chosen, 1, MOST_BLANKS[size])
    wanted, tied = band("sudoku", backtracks), _network(size)
    dials = f"size={size} blanks={chosen}" + f" backtracks={backtracks}" * bool(backtracks)
    return tried("sudoku", dials, lambda: _made(tied, size, chosen, wanted, rng), TRIES)


def _made(tied: Network, size: int, blanks: int, wanted: Band, rng: Random) -> Made | None:
    found = search(tied, solutions=1, rng=rng).solutions
    cells = dug(tied, found[0], blanks, wanted, rng) if found else None
    if cells is None:
        return None
    full = [value + 1 for value in found[0]]
    rows = [range(row * size, (row + 1) * size) for row in range(size)]
    puzzle = Sudoku(tuple(tuple(0 if cell in cells else full[cell] for cell in row) for row in rows))
    return Made(puzzle, Sudoku(tuple(tuple(full[cell] for cell in row) for row in rows)).printed())


def _network(size: int) -> Network:
    units = [[row * size + column for row, column in cells] for _, cells in units_of(size)]
    return network([(1 << size) - 1] * size**2, all_different(units, size))
