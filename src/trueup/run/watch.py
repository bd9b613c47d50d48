"""The seconds of one rating, whatever else runs meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trueup.core.cost import CPU
from trueup.core.roles import Rater


@dataclass(slots=True)
class Watch:
    """Begins with a rating, and is entered for each step that it takes on the event loop.

    Other flows' steps in between are not in it, nor what a thread or a process does that the rater does not count.
    """

    rater: Rater
    _steps: float = 0.0
    _began: float = 0.0
    _counted: float = field(init=False)

    def __post_init__(self) -> None:
        self._counted = _counted(self.rater)

    def __enter__(self) -> None:
        self._began = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._steps += time.thread_time() - self._began

    @property
    def seconds(self) -> float:
        """Core-seconds so far; of a rater on a GPU, those that it held it for, and its steps on the loop."""
        return self._steps + _counted(self.rater) - self._counted


def billing_of(rater: Rater) -> str:
    """What its seconds are paid as."""
    return str(getattr(rater, "billing", CPU))


def _counted(rater: Rater) -> float:
    """What a rater has spent beside the event loop, as far as it counts that."""
    return float(getattr(rater, "seconds", 0.0))
