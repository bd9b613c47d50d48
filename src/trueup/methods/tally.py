"""Votes of attempts, by equivalence class of their answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

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
    most = max(votes.values())
    tied = sorted(answer for answer, n in votes.items() if n == most)
    winner = random.Random(f"{problem.sampling.seed}:{problem.id}").choice(tied)
    voice = next(attempt for attempt in attempts if attempt.answer == winner)
    return Answer.of(voice, f"{most} of {len(attempts)} votes")
