"""n attempts, keep the best grade.

Cobbe et al. 2021, arXiv:2110.14168. Cost: n samples, n checks.
"""

from __future__ import annotations

from trueup.core.asks import Flow, check, sample
from trueup.core.types import Answer, Problem


def best_of_n(problem: Problem, *, n: int = 8) -> Flow[Answer]:
    """The attempt that the check likes best; the first of equals."""
    attempts = yield from sample(problem.prompt, n)
    grades = yield from check(problem, attempts)
    return Answer.best(attempts, grades)
