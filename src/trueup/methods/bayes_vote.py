"""Vote, and stop once the leader is the mode by an exact posterior.

Huang, Ma and Zhou 2026, arXiv:2602.05395 (optimal Bayesian stopping, L = 3): the posterior over a library of answer
frequencies, from the counts of the two leading answers and of all others, without an approximation (`frequencies`).
Where `adaptive_vote` compares two answers, this knows besides how spread out answers usually are. The library is a file
that `trueup.plan.save_frequencies` made from logged attempts, or a mixture of sparse Dirichlet priors.
The probability speaks of the mode, not of correctness. Cost: n samples at most.
"""

from __future__ import annotations

from trueup.core.asks import Flow
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.frequencies import MOST, mode_probability, read_library
from trueup.methods.stopping import Votes, sample_until
from trueup.methods.tally import elect


def bayes_vote(
    problem: Problem, *, n: int = 40, confidence: float = 0.95, step: int = 2, library: str = ""
) -> Flow[Answer]:
    """The vote of as many attempts as it takes to be sure of the mode, n at most.

    Raises BadInput for a library that cannot be read, or an n beyond what the posterior can be worked out for.
    """
    if n > MOST:
        raise BadInput(f"bayes_vote n is {n}; give at most {MOST}")
    vectors = read_library(library)

    def is_sure(votes: Votes) -> bool:
        return mode_probability(votes.first, votes.second, votes.rest, vectors) >= confidence

    attempts = yield from sample_until(problem, is_sure, n=n, step=step)
    return elect(problem, attempts)
