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

    `sampling` None means the problem's own settings. A prompt whose last message is the assistant's is continued:
    the attempt's text goes on from there, and its answer is read out of the whole turn. `kind` is the ledger's word
    for it: `sampled`, or `judge` for a text about an attempt, out of which no answer is read.
    """

    prompt: Prompt
    n: int = 1
    start: int = 0
    sampling: Sampling | None = None
    kind: str = "sampled"


@dataclass(frozen=True, slots=True)
class Check:
    """Grades for attempts at a problem."""

    problem: Problem
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """The stratum's reward model on texts that answer a problem, whole or as far as they go."""

    problem: Problem
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Solve:
    """The stratum's solver, on this problem."""

    problem: Problem


Ask = Sample | Check | Rate | Solve
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


def judge(prompt: Prompt, n: int = 1, *, start: int = 0, sampling: Sampling | None = None) -> Flow[tuple[Attempt, ...]]:
    """Ask for n texts about attempts; as `sample`, but charged as a judge's, and no answer is read out of them."""
    attempts: tuple[Attempt, ...] = yield Sample(prompt, n, start, sampling, "judge")
    return attempts


def rate(problem: Problem, texts: Sequence[str]) -> Flow[tuple[float, ...]]:
    """Ask for a rating in [0, 1] per text, in order."""
    ratings: tuple[float, ...] = yield Rate(problem, tuple(texts))
    return ratings


def solve(problem: Problem) -> Flow[Solution]:
    """Ask the stratum's solver."""
    solution: Solution = yield Solve(problem)
    return solution
