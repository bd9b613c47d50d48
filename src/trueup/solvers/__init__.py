"""What solves a problem from its statement alone."""

from trueup.solvers.csp import csp
from trueup.solvers.gym import gym
from trueup.solvers.lr2bench import lr2bench
from trueup.solvers.numerical import numerical
from trueup.solvers.program import program
from trueup.solvers.satisfiable import satisfiable
from trueup.solvers.sudoku import sudoku

__all__ = ["csp", "gym", "lr2bench", "numerical", "program", "satisfiable", "sudoku"]
