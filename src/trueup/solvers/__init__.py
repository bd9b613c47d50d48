"""What solves a problem from its statement alone."""

from trueup.solvers.csp import csp
from trueup.solvers.lr2bench import lr2bench
from trueup.solvers.program import program
from trueup.solvers.sudoku import sudoku

__all__ = ["csp", "lr2bench", "program", "sudoku"]
