"""Every family by name, and which of them a text states."""

from __future__ import annotations

from collections.abc import Mapping

from trueup.core.puzzles.families.bin_packing import said_bins, stated_bin_packing
from trueup.core.puzzles.families.colouring import said_colours, stated_colouring
from trueup.core.puzzles.families.crossword import said_letters, stated_crossword
from trueup.core.puzzles.families.cryptarithm import said_digits, stated_cryptarithm
from trueup.core.puzzles.families.knapsack import said_taken, stated_knapsack
from trueup.core.puzzles.families.puzzle import Family, Puzzle
from trueup.core.puzzles.families.scheduling import said_hours, stated_scheduling
from trueup.core.puzzles.families.seating import said_order, stated_seating
from trueup.core.puzzles.families.sudoku import said_grid, stated_sudoku
from trueup.core.puzzles.families.zebra import said_houses, stated_zebra

FAMILIES: Mapping[str, Family] = {
    "sudoku": Family(stated_sudoku, said_grid),
    "zebra": Family(stated_zebra, said_houses),
    "scheduling": Family(stated_scheduling, said_hours),
    "seating": Family(stated_seating, said_order),
    "bin_packing": Family(stated_bin_packing, said_bins),
    "knapsack": Family(stated_knapsack, said_taken),
    "colouring": Family(stated_colouring, said_colours),
    "cryptarithm": Family(stated_cryptarithm, said_digits),
    "crossword": Family(stated_crossword, said_letters),
}


def stated(text: str) -> tuple[str, Puzzle] | None:
    """The puzzle that a text states and its family; None where it states none."""
    read = ((name, family.stated(text)) for name, family in FAMILIES.items())
    return next(((name, puzzle) for name, puzzle in read if puzzle is not None), None)
