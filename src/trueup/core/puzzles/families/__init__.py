"""Families of puzzles that are generated: how each is said, constrained and read back."""

from trueup.core.puzzles.families.bin_packing import BinPacking, first_fit, packed
from trueup.core.puzzles.families.clues import Clue, Kinds
from trueup.core.puzzles.families.colouring import Colouring
from trueup.core.puzzles.families.crossword import Fill
from trueup.core.puzzles.families.cryptarithm import Cryptarithm
from trueup.core.puzzles.families.goods import Good
from trueup.core.puzzles.families.knapsack import Knapsack
from trueup.core.puzzles.families.known import FAMILIES, stated
from trueup.core.puzzles.families.puzzle import Family, Puzzle, Values
from trueup.core.puzzles.families.scheduling import Job, Scheduling
from trueup.core.puzzles.families.seating import Seating
from trueup.core.puzzles.families.sudoku import Sudoku, said_grid
from trueup.core.puzzles.families.zebra import Zebra

__all__ = [
    "FAMILIES", "BinPacking", "Clue", "Colouring", "Cryptarithm", "Family", "Fill", "Good", "Job", "Kinds",
    "Knapsack", "Puzzle", "Scheduling", "Seating", "Sudoku", "Values", "Zebra", "first_fit", "packed", "said_grid",
    "stated",
]  # fmt: skip
