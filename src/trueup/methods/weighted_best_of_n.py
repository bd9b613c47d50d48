"""n attempts, the answer with the highest sum of ratings.

Li et al. 2022, arXiv:2206.02336 (DiVeRSe's voting verifier); Snell et al. 2024, arXiv:2408.03314, section 5.1, take
it for the parallel baseline. Right answers that are rated fairly well, often, beat a wrong one rated highly once.
Without a reward model or a check it asks the verifier, and is an upper bound.
Cost: n samples, n ratings or checks.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import fsum

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.appraise import appraise
from trueup.methods.tally import count

DIGITS = 12
"""Decimals of a total; what differs behind them is rounding."""


def weighted_best_of_n(problem: Problem, *, n: int = 16) -> Flow[Answer]:
    """The vote of n attempts, each with its rating for a weight."""
    attempts = yield from sample(problem.prompt, n)
    ratings = yield from appraise(problem, attempts)
    return elect_by_weight(problem, attempts, ratings)


def elect_by_weight(problem: Problem, attempts: Sequence[Attempt], weights: Sequence[float]) -> Answer:
    """The answer of the highest total weight, in the words of its weightiest attempt; what cannot be read has none.

    Equal totals fall by the number of votes, then by the problem's seed. Where nothing could be read the first
    attempt is returned as it stands, without a value.
    """
    votes = count(attempts)
    if not votes:
        return Answer.of(attempts[0], "no attempt could be read")
    pairs = list(zip(attempts, weights, strict=True))
    totals = {answer: round(fsum(weight for a, weight in pairs if a.answer == answer), DIGITS) for answer in votes}
    most = max((totals[answer], votes[answer]) for answer in votes)
    tied = sorted(answer for answer in votes if (totals[answer], votes[answer]) == most)
    winner = random.Random(f"{problem.sampling.seed}:{problem.id}").choice(tied)
    voice, _ = max((pair for pair in pairs if pair[0].answer == winner), key=lambda pair: pair[1])
    return Answer.of(voice, f"weight {most[0]:.3g} of {fsum(totals.values()):.3g}, {most[1]} of {len(attempts)} votes")
