"""Race n attempts, cancel the rest once the leader is safe.

The Beta stopping rule of Aggarwal et al. 2023, arXiv:2305.11860, asked of every beginning of the attempts while
all of them are on their way, as its_hub does: it answers after one round of waiting, where `adaptive_vote` saves the
tokens that cancelled attempts have written. Cost: n prompts, and what was written until the stop.
"""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.adaptive_vote import lead_probability
from trueup.methods.tally import elect


def beta_vote(problem: Problem, *, n: int = 16, confidence: float = 0.95) -> Flow[Answer]:
    """The vote of the first attempts, in the order of their numbers, of whose leader the posterior is sure."""

    def is_safe(attempts: Sequence[Attempt]) -> bool:
        return lead_probability(attempts) >= confidence

    attempts = yield from sample(problem.prompt, n, until=is_safe)
    return elect(problem, attempts)
