"""A constraint program: variables, constraints that name their clue, an objective.

What both syntaxes are read into and every solver is given. Arrays are gone by then: their cells are variables named
`grid[1,2]`. A value of an enumeration is the number of its label, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

BOOL, INT, FLOAT = "bool", "int", "float"
MINIMIZE, MAXIMIZE = "minimize", "maximize"
ANSWER = "answer"
"""The variable that is asked for, where a program declares one of this name."""


@dataclass(frozen=True, slots=True)
class Const:
    """A number; a truth is 0 or 1, and with `enum` it is the number of one of that enumeration's labels."""

    value: int | float
    enum: str = ""


@dataclass(frozen=True, slots=True)
class Ref:
    """A variable, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Node:
    """An operation on its arguments; `operators.py` says which there are."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns that together must be one of the rows."""

    columns: tuple[Expr, ...]
    rows: tuple[tuple[int, ...], ...]


Expr = Const | Ref | Node | Table


@dataclass(frozen=True, slots=True)
class Variable:
    """One unknown: `kind` is bool, int or float, and an enumeration's variable is an int with `labels`.

    `low` and `high` bound it, both included; `values`, where there are some, are all that an int may take.
    """

    name: str
    kind: str
    low: int | float
    high: int | float
    values: tuple[int, ...] = ()
    enum: str = ""
    labels: tuple[str, ...] = ()

    def shown(self, value: int | float) -> str:
        """A value in the words of the program."""
        if self.kind == BOOL:
            return "true" if value else "false"
        return self.labels[int(value)] if self.labels else f"{value:.10g}" if self.kind == FLOAT else str(value)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What must hold; `clue` is the name that a conflict is told by, `line` where it was written (0 unknown)."""

    expr: Expr
    clue: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Objective:
    """What to make least or greatest."""

    sense: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Program:
    """A whole constraint program."""

    variables: tuple[Variable, ...]
    constraints: tuple[Constraint, ...] = ()
    objective: Objective | None = None

    @property
    def is_continuous(self) -> bool:
        """Whether any variable takes fractions."""
        return any(variable.kind == FLOAT for variable in self.variables)


def children(expr: Expr) -> tuple[Expr, ...]:
    """What an expression is made of directly."""
    if isinstance(expr, Node):
        return expr.args
    return expr.columns if isinstance(expr, Table) else ()


def nodes(expr: Expr) -> Iterator[Expr]:
    """An expression and all that it is made of, parents first."""
    waiting = [expr]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(reversed(children(one)))


def conjuncts(expr: Expr) -> Iterator[Expr]:
    """What an expression says that all of it holds; itself where it says no such thing."""
    if isinstance(expr, Node) and expr.op == "and":
        for arg in expr.args:
            yield from conjuncts(arg)
    else:
        yield expr
