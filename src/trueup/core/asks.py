"""What a method may ask for, and the flow that asks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trueup.core.types import Attempt, Grade, Problem, Prompt, Sampling, Solution

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """n attempts at a prompt, numbered from `start`; the same number is always the same attempt.

    `sampling` None means the problem's own settings.
    """

    prompt: Prompt
    n: int = 1
    start: int = 0
    sampling: Sampling | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Grades for attempts at a problem."""

    problem: Problem
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Solve:
    """The stratum's solver, on this problem."""

    problem: Problem


Ask = Sample | Check | Solve
Flow = Generator[Ask, Any, T]


def sample(
    prompt: Prompt, n: int = 1, *, start: int = 0, sampling: Sampling | None = None
) -> Flow[tuple[Attempt, ...]]:
    """Ask for n attempts; fewer come back where some failed, never none."""
    attempts: tuple[Attempt, ...] = yield Sample(prompt, n, start, sampling)
    return attempts


def check(problem: Problem, attempts: Sequence[Attempt]) -> Flow[tuple[Grade, ...]]:
    """Ask for a grade per attempt, in order."""
    grades: tuple[Grade, ...] = yield Check(problem, tuple(attempts))
    return grades


def solve(problem: Problem) -> Flow[Solution]:
    """Ask the stratum's solver."""
    solution: Solution = yield Solve(problem)
    return solution
