"""Vote in windows, stop at the first unanimous one (ESC).

Li et al. 2024, arXiv:2401.10480 (Early-Stopping Self-Consistency), section 3. A window with an attempt that failed or
could not be read is not unanimous; one that failed whole is the last. All attempts vote in the end, those of earlier
windows too.
Cost: between `window` and n samples, in calls of `window`.
"""

from __future__ import annotations

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Attempt, Problem
from trueup.methods.spare import spared
from trueup.methods.tally import count, elect


def early_stop_vote(problem: Problem, *, n: int = 40, window: int = 5) -> Flow[Answer]:
    """The vote of all attempts up to the first window that agrees on one answer, n at most."""
    attempts: list[Attempt] = []
    asked = 0
    while asked < n:
        size = min(window, n - asked)
        more = (yield from spared(sample(problem.prompt, size, start=asked), count(attempts))) or ()
        asked += size
        attempts += more
        if not more or size in count(more).values():
            break
    return elect(problem, attempts)
