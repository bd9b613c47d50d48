"""One attempt, taken as it comes: what every other method must beat.

Cost: 1 sample.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Problem


def once(problem: Problem) -> Flow[Answer]:
    """The first attempt's answer."""
    attempts = yield from sample(problem.prompt)
    return Answer.of(attempts[0])
