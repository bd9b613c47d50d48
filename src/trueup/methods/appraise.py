"""How good attempts look to whatever the stratum has that needs no reference."""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.asks import Flow, check, rate
from trueup.core.types import Attempt, Problem


def appraise(problem: Problem, attempts: Sequence[Attempt]) -> Flow[tuple[float, ...]]:
    """A number in [0, 1] per attempt: the reward model's rating where there is one, else the check's grade.

    What could not be read is worth nothing. Cost: one rating or one check of all attempts.
    """
    if problem.ratable:
        ratings = yield from rate(problem, [attempt.text for attempt in attempts])
    else:
        grades = yield from check(problem, attempts)
        ratings = tuple(grade.value for grade in grades)
    return tuple(0.0 if a.answer is None else rating for a, rating in zip(attempts, ratings, strict=True))
