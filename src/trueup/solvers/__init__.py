"""What solves a problem from its statement alone."""

from trueup.solvers.program import program
from trueup.solvers.sudoku import sudoku

__all__ = ["program", "sudoku"]
