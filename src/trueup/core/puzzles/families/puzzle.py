"""What every family of generated puzzles offers: words, constraints, answers.

A puzzle is read back from its own statement, so that a solver and a verifier need nothing but the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

Values = Mapping[str, int]
"""What the variables of a puzzle's constraints come to."""


class Puzzle(Protocol):
    """One puzzle."""

    def statement(self) -> str:
        """The puzzle in words, with the form of an answer."""
        ...

    def constraints(self) -> str:
        """The puzzle as a constraint program in the line language, each constraint with its clue."""
        ...

    def answer(self, values: Values) -> str:
        """The answer that values of the variables come to, as the statement asks for it."""
        ...

    def values(self, answer: str) -> Values | None:
        """The values that a canonical answer says; None where it does not say all of them."""
        ...

    def optimum(self) -> int | None:
        """The best that the objective can come to; None where there is no objective."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """How a family is read.

    `stated` reads the last puzzle of a text, None where it states none; `said` reads an answer out of a text in its
    canonical form, equal for equivalent answers, None where it holds none.
    """

    stated: Callable[[str], Puzzle | None]
    said: Callable[[str], str | None]
