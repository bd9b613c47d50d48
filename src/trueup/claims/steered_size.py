"""How large proxy-tuning's models, their training and their trial are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from trueup.claims.start import SCRATCH, Start, laboratory

if TYPE_CHECKING:
    from trueup.train.laboratory.tasks import Chain, Facts


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a model learns and gets its habit, and how fast it does and is tuned."""

    learn_steps: int
    habit_steps: int
    lr: float = 4e-3
    tuning_lr: float = 2e-3


@dataclass(frozen=True, slots=True)
class Size:
    """How large the models, their training and the trial are; `held` items choose settings, `items` judge them.

    They are drawn apart, but chains of two operations are few: at `cpu` 6 % of `items` are among `held`.
    `small` and `large` are widths from scratch; pretrained weights make the large model, at a pace of its own.
    """

    modulus: int
    most: int
    facts: int
    small: int
    large: int
    pace: Pace
    tuning_steps: int
    held: int
    items: int
    alphas: Sequence[float] = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
    rows: int = 64
    stop_ratio: float = 1.25
    large_pace: Pace | None = None
    start: Start = SCRATCH

    @property
    def skill(self) -> Chain:
        """What tuning teaches."""
        laboratory()
        from trueup.train.laboratory.tasks import Chain

        return Chain(self.modulus, True, self.most)

    @property
    def knowledge(self) -> Facts:
        """What pre-training alone shows."""
        laboratory()
        from trueup.train.laboratory.tasks import Facts

        return Facts(self.facts, 1)

    @property
    def dials(self) -> range:
        """Lengths of chains; the trial is without those of one operation, too few to hold any out."""
        return range(1, self.most + 1)

    @property
    def pace_of_large(self) -> Pace:
        """That of the small one where it has none of its own."""
        return self.large_pace or self.pace

    @property
    def stops(self) -> list[int]:
        """The steps of tuning behind which it may be stopped, each so many times the one before."""
        count = int(log(self.tuning_steps) / log(self.stop_ratio)) + 1
        return sorted({round(self.tuning_steps / self.stop_ratio**i) for i in range(count)})
