"""Constraint programs: one tree, two syntaxes, bounded and never run."""

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.parse import parse
from trueup.core.csp.program import Const, Constraint, Expr, Node, Objective, Program, Ref, Table, Variable
from trueup.core.csp.read import is_program, read_program

__all__ = [
    "LIMITS", "Const", "Constraint", "Expr", "Limits", "Node", "Objective", "Program", "Ref", "Table", "Variable",
    "is_program", "parse", "read_program",
]  # fmt: skip
