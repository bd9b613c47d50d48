"""Vote, and stop as soon as the leader is probably safe.

Aggarwal et al. 2023, arXiv:2305.11860 (Adaptive-Consistency, the Beta stopping rule): stop when
P(p1 > p2) = 1 - I_1/2(n1 + 1, n2 + 1) >= confidence, n1 and n2 the votes of the two leading answers.
The confidence is nominal: it speaks of the vote's outcome, not of correctness.
Cost: between `step` and n samples.
"""

from __future__ import annotations

from math import comb

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.tally import count, elect


def adaptive_vote(problem: Problem, *, n: int = 16, confidence: float = 0.95, step: int = 2) -> Flow[Answer]:
    """Sample `step` attempts at a time until the posterior is sure of the leader, n at most."""
    attempts: list[Attempt] = []
    while len(attempts) < n:
        size = min(step, n - len(attempts))
        more = yield from sample(problem.prompt, size, start=len(attempts))
        attempts += more
        if len(more) < size or lead_probability(attempts) >= confidence:
            break
    return elect(problem, attempts)


def lead_probability(attempts: list[Attempt]) -> float:
    """P(p1 > p2) under a uniform prior over the two leading answers; 1/2 while there is no vote.

    For whole numbers I_1/2 is a binomial tail: P(p1 > p2) = P(Bin(n1 + n2 + 1, 1/2) <= n1).
    """
    votes = sorted(count(attempts).values(), reverse=True)
    first, second = (*votes, 0, 0)[:2]
    trials = first + second + 1
    ways: int = sum(comb(trials, successes) for successes in range(first + 1))
    return ways / float(2**trials)
