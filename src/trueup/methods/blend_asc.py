"""One budget for many problems, the next sample where the vote is least sure.

Feng, Alonso and Odonnat 2025, arXiv:2511.12309 (Blend-ASC): problems are ranked by two measures of how safe their
leader is, and the ranks are blended. Early on counts the posterior of Adaptive-Consistency, P(p1 > p2), which is the
better one at few votes; the more of the budget is spent, the more counts PPR-1v1, the density of the Beta posterior at
1/2 (Jain et al. 2021, arXiv:2109.05047), which is optimal in the long run: its weight is the share of the budget that
is spent. No threshold, and the budget is met exactly. So that samples can run side by side, a round serves the least
sure eighth of the problems and ranks them anew. What it buys is to know the most frequent answer, of hopeless problems
too: where that is often wrong an even spread may do as well. It is measured and never served: a request comes alone.
Cost: budget samples a problem on average, at least one each, in calls of one; fewer where all have had n.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, comb

from trueup.core.asks import Ask, BatchFlow, Sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.adaptive_vote import beta_lead
from trueup.methods.stopping import Votes
from trueup.methods.tally import elect

PARTS = 8


def blend_asc(problems: Sequence[Problem], *, budget: int = 8, n: int | None = None) -> BatchFlow:
    """The votes of all problems after `budget` samples a problem on average, at most n of any one.

    A problem of which a sample failed gets no further one. Raises BadInput for a budget or n below 1.
    """
    if budget < 1:
        raise BadInput(f"blend_asc budget is {budget}; give at least 1 sample a problem")
    if n is not None and n < 1:
        raise BadInput(f"blend_asc n is {n}; give at least 1")
    total, spent = budget * len(problems), 0
    pools: list[list[Attempt]] = [[] for _ in problems]
    live = list(range(len(problems)))
    while live and spent < total:
        chosen = least_sure([pools[place] for place in live], spent / total, _width(len(live), spent, total))
        places = [live[at] for at in chosen]
        asks: tuple[tuple[int, Ask], ...] = tuple(
            (place, Sample(problems[place].prompt, 1, len(pools[place]))) for place in places
        )
        replies = yield asks
        spent += len(places)
        for place, reply in zip(places, replies, strict=True):
            pools[place] += reply
            if not reply or len(pools[place]) == n:
                live.remove(place)
    return [
        elect(problem, pool) if pool else Answer("", None, "no attempt")
        for problem, pool in zip(problems, pools, strict=True)
    ]


def least_sure(pools: Sequence[Sequence[Attempt]], spent: float, width: int) -> list[int]:
    """The places of the pools of the lowest blended rank; ties fall to the smaller pool, then to the first."""
    votes = [Votes.of(pool, len(pool)) for pool in pools]
    by_lead = _ranks([beta_lead(vote.first, vote.second) for vote in votes])
    by_density = _ranks([-beta_at_half(vote.first, vote.second) for vote in votes])
    blended = [(1 - spent) * lead + spent * density for lead, density in zip(by_lead, by_density, strict=True)]
    return sorted(range(len(pools)), key=lambda at: (len(pools[at]) > 0, blended[at], len(pools[at]), at))[:width]


def beta_at_half(first: int, second: int) -> float:
    """The density of Beta(first + 1, second + 1) at 1/2: the evidence that both answers are equally likely."""
    votes = first + second
    return (votes + 1) * comb(votes, first) / (1 << votes)


def _width(live: int, spent: int, total: int) -> int:
    """How many problems a round serves: all of them first, then the least sure ones, never past the budget."""
    return min(live if spent == 0 else ceil(live / PARTS), total - spent)


def _ranks(values: Sequence[float]) -> list[int]:
    """The place of each value among the different ones, from the smallest."""
    place = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [place[value] for value in values]
