"""n attempts, the most frequent answer (self-consistency).

Wang et al. 2022, arXiv:2203.11171. Cost: n samples.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Problem
from trueup.methods.tally import elect


def vote(problem: Problem, *, n: int = 8) -> Flow[Answer]:
    """Majority over equivalence classes of answers; what could not be read has no vote."""
    attempts = yield from sample(problem.prompt, n)
    return elect(problem, attempts)
