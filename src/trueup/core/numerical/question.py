"""What every family of numerical questions offers: words, constraints, residuals.

A question is read back from its own statement, so that a solver and a verifier need nothing but the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trueup.core.types import Json

Values = Mapping[str, float]
"""What the unknowns of a question are said to be."""
DECIMALS = 6
OPENED, CLOSED = "```json\n", "\n```"
CHARACTERS = 200_000


@dataclass(frozen=True, slots=True)
class Unknown:
    """A number that is asked for, and the bounds that it must keep."""

    name: str
    low: float
    high: float

    def outside(self, value: float) -> float:
        """How far a value lies beyond them."""
        return max(self.low - value, value - self.high, 0.0)


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far each equation, and apart from that each bound, is from holding."""

    equations: tuple[float, ...]
    bounds: tuple[float, ...]

    @property
    def worst(self) -> float:
        """The equation that is furthest from holding."""
        return max(map(abs, self.equations), default=0.0)

    def equations_held(self, tolerance: float) -> int:
        """How many equations hold to a tolerance."""
        return sum(abs(residual) <= tolerance for residual in self.equations)

    def bounds_held(self, tolerance: float) -> int:
        """How many bounds hold to a tolerance."""
        return sum(excess <= tolerance for excess in self.bounds)


class Question(Protocol):
    """One question."""

    @property
    def unknowns(self) -> Sequence[Unknown]: ...

    def statement(self) -> str:
        """The question in words and rows of numbers, with the form of an answer."""
        ...

    def constraints(self) -> str:
        """The question as a constraint program in the line language, over the unknowns."""
        ...

    def answer(self, values: Values) -> str:
        """The answer that values come to, as the statement asks for it."""
        ...

    def values(self, answer: str) -> Values | None:
        """The value of each unknown that a canonical answer says; None where it does not say all of them."""
        ...

    def residuals(self, values: Values) -> Residuals:
        """How far values are from a solution."""
        ...

    def solution(self) -> Values:
        """The unknowns by a reference.

        Raises BadInput where it finds none.
        """
        ...

    def schema(self) -> Json:
        """The JSON schema of a complete answer."""
        ...


def declared(unknowns: Iterable[Unknown]) -> list[str]:
    """A line of the constraint language per unknown."""
    return [f"float {one.name} in {one.low!r}..{one.high!r}" for one in unknowns]


def rows_in(text: str) -> Json:
    """The JSON of the first block of it in a text; None where there is none."""
    block, is_closed, _ = text[:CHARACTERS].partition(OPENED)[2].partition(CLOSED)
    try:
        return json.loads(block) if is_closed else None
    except (ValueError, RecursionError):
        return None


def canonical_numbers(text: str) -> str | None:
    """JSON with its keys in order and its numbers to six decimals; None where it is no object or holds no numbers."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    try:
        return json.dumps({key: _rounded(part) for key, part in value.items()}, sort_keys=True, allow_nan=False)
    except ValueError:
        return None


def _rounded(part: Json) -> Json:
    """Numbers below an object's keys, in a list or under names; ValueError for anything else."""
    if isinstance(part, dict):
        return {str(key): _number(value) for key, value in part.items()}
    return [_number(value) for value in part] if isinstance(part, list) else _number(part)


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError(value)
    return round(float(value), DECIMALS) + 0.0
