"""Families of puzzles that are generated: how each is said, constrained and read back."""

from trueup.core.puzzles.families.puzzle import Family, Puzzle, Values
from trueup.core.puzzles.families.sudoku import Sudoku

__all__ = ["Family", "Puzzle", "Sudoku", "Values"]
