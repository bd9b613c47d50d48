"""A puzzle with its answer."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.core.puzzles.families import Puzzle


@dataclass(frozen=True, slots=True)
class Made:
    """A puzzle, and its answer as a model would write it: the only one, or one of the best."""

    puzzle: Puzzle
    answer: str
