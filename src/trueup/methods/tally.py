"""Votes of attempts, by equivalence class of their answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from trueup.core.types import Answer, Attempt, Problem


def count(attempts: Sequence[Attempt]) -> Counter[str]:
    """Votes per answer; an attempt that could not be read has none."""
    return Counter(attempt.answer for attempt in attempts if attempt.answer is not None)


def elect(problem: Problem, attempts: Sequence[Attempt]) -> Answer:
    """The most frequent answer, in the words of its first attempt; ties fall by the problem's seed.

    Where nothing could be read the first attempt is returned as it stands, without a value.
    """
    votes = count(attempts)
    if not votes:
        return Answer.of(attempts[0], "no attempt could be read")
    winner = favourite(problem, votes)
    return Answer.of(voice_of(winner, attempts), f"{votes[winner]} of {len(attempts)} votes")


def favourite(problem: Problem, weights: Mapping[str, float]) -> str:
    """The answer of the greatest weight; ties fall by the problem's seed."""
    most = max(weights.values())
    tied = sorted(answer for answer, weight in weights.items() if weight == most)
    return random.Random(f"{problem.sampling.seed}:{problem.id}").choice(tied)


def voice_of(answer: str, attempts: Sequence[Attempt]) -> Attempt:
    """The first attempt that gave this answer."""
    return next(attempt for attempt in attempts if attempt.answer == answer)
