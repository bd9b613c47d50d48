"""Which cells of a solution to leave open: so many, one way to fill them, so many wrong turns.

For puzzles whose cells are only ever told apart: a sudoku, a coloured map.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from trueup.core.puzzles.network import Network, search
from trueup.tasks.csp.dials import Band

MOVES = 400
"""Swaps of an open cell for a given one that are tried on one solution before it is given up."""
DECISIONS = 500


def dug(tied: Network, solution: Sequence[int], blanks: int, band: Band, rng: Random) -> frozenset[int] | None:
    """The cells to open; None where this solution cannot lose so many, or its count is not brought into the band."""
    digger = _Digger(tied, solution)
    open_cells: set[int] = set()
    for cell in rng.sample(range(len(solution)), len(solution)):
        if len(open_cells) < blanks and digger.can_open(open_cells, cell):
            open_cells.add(cell)
    if len(open_cells) < blanks:
        return None
    return digger.steered(open_cells, band, rng)


class _Digger:
    """One solution, and what may be opened in it."""

    def __init__(self, tied: Network, solution: Sequence[int]) -> None:
        self.tied, self.solution = tied, solution

    def can_open(self, open_cells: set[int], cell: int) -> bool:
        """Whether no other value of this cell fits: what was unique stays so."""
        domains = self._domains(open_cells)
        domains[cell] = self.tied.domains[cell] & ~(1 << self.solution[cell])
        others = search(self.tied, domains, solutions=1, decisions=DECISIONS)
        return others.is_whole and not others.solutions

    def undone(self, open_cells: set[int]) -> int | None:
        """The wrong turns of the whole search; None where it is too long."""
        searched = search(self.tied, self._domains(open_cells), decisions=DECISIONS)
        return searched.undone if searched.is_unique else None

    def steered(self, open_cells: set[int], band: Band, rng: Random) -> frozenset[int] | None:
        """Swap open cells for given ones as long as the count comes no further from the band."""
        if band.is_open:
            return frozenset(open_cells)
        count = self.undone(open_cells)
        for _ in range(MOVES):
            if count is None or band.holds(count):
                break
            moved = self._swapped(open_cells, rng)
            reached = None if moved is None else self.undone(moved)
            if moved is not None and reached is not None and band.misses(reached) <= band.misses(count):
                open_cells, count = moved, reached
        return frozenset(open_cells) if count is not None and band.holds(count) else None

    def _swapped(self, open_cells: set[int], rng: Random) -> set[int] | None:
        filled = open_cells - {rng.choice(sorted(open_cells))}
        given = sorted(set(range(len(self.solution))) - open_cells)
        cell = rng.choice(given)
        return filled | {cell} if self.can_open(filled, cell) else None

    def _domains(self, open_cells: set[int]) -> list[int]:
        return [
            whole if cell in open_cells else 1 << self.solution[cell] for cell, whole in enumerate(self.tied.domains)
        ]
