"""Vote in windows, stop at the first unanimous one (ESC).

Li et al. 2024, arXiv:2401.10480 (Early-Stopping Self-Consistency), section 3. A window with an attempt that could not
be read is not unanimous. All attempts vote in the end, those of earlier windows too.
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
    while len(attempts) < n:
        size = min(window, n - len(attempts))
        more = (yield from spared(sample(problem.prompt, size, start=len(attempts)), count(attempts))) or ()
        attempts += more
        answers = {attempt.answer for attempt in more}
        if len(more) < size or (len(answers) == 1 and None not in answers):
            break
    return elect(problem, attempts)
