"""Whether the beginning of an answer has broken a rule.

A critic for search and retraction that needs no training: 0 for what no continuation can mend, else 1. It looks one
rule at a time, so a beginning that only a search would show to be lost is still rated 1.
Cost: microseconds a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup import __version__
from trueup.core.errors import UnknownName
from trueup.core.grid import Grid, givens_of, units_of
from trueup.core.puzzles.families.sudoku import Row, begun_rows
from trueup.core.types import Problem


@dataclass(frozen=True, slots=True)
class ConstraintPrefix:
    """Implements Rater by the puzzle's rules on as many cells as have been written; made by `constraint_prefix`."""

    fingerprint: str

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """0 for each text whose last grid, as far as it goes, contradicts the givens or repeats a number, else 1."""
        givens = givens_of(problem)
        return [float(_holds(begun_rows(text, len(givens)), givens)) for text in texts]

    async def close(self) -> None:
        """Nothing is open."""


def constraint_prefix(*, family: str = "sudoku") -> ConstraintPrefix:
    """Rate beginnings of a puzzle's answer by its rules; the only family so far is `sudoku`, of 4, 6, 9 or 16 rows."""
    if family != "sudoku":
        raise UnknownName("family of constraint_prefix", family, ["sudoku"])
    return ConstraintPrefix(f"constraint_prefix family={family} {__version__}")


def _holds(rows: Sequence[Row], givens: Grid) -> bool:
    """Whether rows can be the first of a solution; only the last of them may be incomplete."""
    size = len(givens)
    if len(rows) > size or any(len(row) > size for row in rows) or any(len(row) < size for row in rows[:-1]):
        return False
    cells = {(r, c): value for r, row in enumerate(rows) for c, value in enumerate(row)}
    if any(givens[r][c] not in (0, value) or not 1 <= value <= size for (r, c), value in cells.items()):
        return False
    known = {(r, c): value for r, row in enumerate(givens) for c, value in enumerate(row) if value} | cells
    return not any(_repeats([known[cell] for cell in unit if cell in known]) for _, unit in units_of(size))


def _repeats(values: Sequence[int]) -> bool:
    return len(set(values)) < len(values)
