"""A row of evidence, and the thresholds that the tests call at."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.plan.held import Held
from trueup.plan.losses import Losses
from trueup.plan.reach import Reach
from trueup.plan.resample import Interval
from trueup.plan.sheet import Sheet
from trueup.plan.structure import Trend

FORM = 0.02
"""Share of attempts unread, or cut without a right answer, that is worth a call."""
GAP = 0.05
"""Accuracy between two ways of answering that is worth a call."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one test found; `called` where the interval clears the threshold from above.

    `loss` is the accuracy that the cause explains; the losses of a stratum sum to 1 - pass@1.
    """

    test: str
    statistic: str
    value: float | None
    ci95: Interval | None
    threshold: float
    called: bool
    n: int
    note: str
    loss: float


@dataclass(frozen=True, slots=True)
class Case:
    """What the tests look at: a stratum's columns, what its ways reach, the losses, the target.

    `trend` says how failures go with the structure of what is asked, where prompts state puzzles or programs; `held`
    which wrong answers hold the reference among other words, where they are worth a call.
    """

    sheet: Sheet
    reach: Reach
    losses: Losses
    target: float
    at_chance: bool
    trend: Trend | None = None
    held: Held | None = None

    @property
    def items(self) -> int:
        """Items that have attempts."""
        return int((self.sheet.attempts > 0).sum())

    @property
    def samples(self) -> int:
        """Attempts at an item, at most."""
        return int(self.sheet.attempts.max())
