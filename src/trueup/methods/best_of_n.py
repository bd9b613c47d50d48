"""n attempts, keep the best grade or rating.

Cobbe et al. 2021, arXiv:2110.14168, who rank by a trained verifier: here the reward model, where there is no check.
Without either it asks the verifier, and is an upper bound.
Cost: n samples, n checks or ratings.
"""

from __future__ import annotations

from trueup.core.asks import Flow, check, sample
from trueup.core.types import Answer, Grade, Problem
from trueup.methods.appraise import appraise


def best_of_n(problem: Problem, *, n: int = 8) -> Flow[Answer]:
    """The attempt that the check likes best, or else the reward model; the first of equals."""
    attempts = yield from sample(problem.prompt, n)
    if problem.checkable or not problem.ratable:
        grades = yield from check(problem, attempts)
    else:
        ratings = yield from appraise(problem, attempts)
        grades = tuple(Grade(rating, a.answer is not None) for a, rating in zip(attempts, ratings, strict=True))
    return Answer.best(attempts, grades)
