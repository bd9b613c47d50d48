"""n attempts, the best rated of the frequent answers.

Di et al. 2025, arXiv:2510.03199 (Best-of-Majority), for one answer to submit: only answers that enough of the n
attempts give may win, so that a reward model's mistakes on rare ones cannot, however large n. We rate answers, not
texts: an answer is worth the mean rating of its attempts. Answers that cannot win are not rated.
Without a reward model or a check it asks the verifier, and is an upper bound.
Cost: n samples, up to n ratings or checks; none of these where one answer alone is frequent.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Problem
from trueup.methods.appraise import appraise
from trueup.methods.tally import count, elect
from trueup.methods.weighted_best_of_n import elect_by_weight


def best_of_majority(problem: Problem, *, n: int = 16, share: float = 0.1) -> Flow[Answer]:
    """The best rated of the answers that at least this share of n attempts give; the most frequent if none is.

    Equal ratings fall by votes. Raises BadInput for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise BadInput(f"best_of_majority share is {share}; it takes 0 (every answer may win) to 1")
    attempts = yield from sample(problem.prompt, n)
    votes = count(attempts)
    least = min(share * len(attempts), max(votes.values(), default=0))
    frequent = [attempt for attempt in attempts if attempt.answer and votes[attempt.answer] >= least - 1e-9]
    if len({attempt.answer for attempt in frequent}) < 2:
        return elect(problem, attempts)
    ratings = yield from appraise(problem, frequent)
    shares = [rating / votes[a.answer or ""] for a, rating in zip(frequent, ratings, strict=True)]
    return elect_by_weight(problem, frequent, shares)
