"""What solves a problem from its statement alone."""

from trueup.solvers.sudoku import sudoku

__all__ = ["sudoku"]
