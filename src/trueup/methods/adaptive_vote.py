"""Vote, and stop as soon as the leader is probably safe.

Aggarwal et al. 2023, arXiv:2305.11860 (Adaptive-Consistency, the Beta stopping rule): stop when
P(p1 > p2) = 1 - I_1/2(n1 + 1, n2 + 1) >= confidence, n1 and n2 the votes of the two leading answers.
The confidence is nominal: it speaks of the vote's outcome, not of correctness. Departing from the paper, which asks
one by one, a call asks for as many attempts as the leader needs at the least, and as make up for their prompt
(`stopping`), and sampling ends once the leader cannot be overtaken within n.
Cost: n samples at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from trueup.core.asks import Flow
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.stopping import Votes, sample_until
from trueup.methods.tally import elect


def adaptive_vote(problem: Problem, *, n: int = 16, confidence: float = 0.95, step: int = 3) -> Flow[Answer]:
    """Sample in calls of at least `step` attempts until the posterior is sure of the leader, n at most."""

    def is_safe(votes: Votes) -> bool:
        return beta_lead(votes.first, votes.second) >= confidence

    attempts = yield from sample_until(problem, is_safe, n=n, step=step)
    return elect(problem, attempts)


def lead_probability(attempts: Sequence[Attempt]) -> float:
    """P(p1 > p2) under a uniform prior over the two leading answers; 1/2 while there is no vote."""
    votes = Votes.of(attempts, len(attempts))
    return beta_lead(votes.first, votes.second)


def beta_lead(first: int, second: int) -> float:
    """1 - I_1/2(first + 1, second + 1), for whole numbers a binomial tail: P(Bin(first + second + 1, 1/2) <= first).

    By symmetry it is 1/2, and half of what lies between the two: no sum is longer than the lead.
    """
    trials, (low, high) = first + second + 1, sorted((first, second))
    ways, between = comb(trials, low + 1), 0
    for successes in range(low + 1, high + 1):
        between += ways
        ways = ways * (trials - successes) // (successes + 1)
    return ((1 << trials) + (between if first > second else -between)) / (2 << trials)
