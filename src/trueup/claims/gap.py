"""How far a direct model stays behind, or gets ahead of, one sample that reasons.

Differences are paired over the test items, their intervals from the bootstrap over items. Axes: M item, K number of
samples or of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueup.claims.curves import Curves
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.resample import Interval

FLAT = 0.005
"""A last doubling that adds less has stopped gaining."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A direct arm minus pass@1 of the steps, with its interval."""

    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Gap:
    """What one pair of one seed says; `majority` and `weighted` have an entry per number of samples."""

    once: Difference
    majority: Sequence[Difference]
    weighted: Sequence[Difference]
    covered: Sequence[Difference]
    last_doubling: Difference

    @property
    def majority_crosses(self) -> bool:
        """Whether votes overtake the steps at some number of samples."""
        return any(at.ci95[0] > 0 for at in self.majority)

    @property
    def verifier_crosses(self) -> bool:
        """Whether the verifier's choice does."""
        return any(at.ci95[0] > 0 for at in self.weighted)

    @property
    def stays_behind(self) -> bool:
        """Whether votes end below the steps, and have stopped gaining."""
        return self.majority[-1].ci95[1] < 0 and self.last_doubling.value < FLAT


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's curves and what its training took; `cut_KM` where its steps were cut behind k of them."""

    curves: Curves
    learned_tokens: float
    training_flops: float
    cut_KM: Column | None


def gap(direct: Curves, steps: Curves, seed: int) -> Gap:
    """Compare a direct model's curves with one sample of the steps, item by item."""
    draws = Resampler.of([str(i) for i in range(len(steps.pass1_M))], seed=seed, name="gap")

    def against(values_M: Column, other_M: Column) -> Difference:
        return Difference(float((values_M - other_M).mean()), draws.difference(values_M, other_M))

    majority, weighted, covered = (
        [against(row.astype(float), steps.pass1_M) for row in rows]
        for rows in (direct.majority_KM, direct.weighted_KM, direct.covered_KM)
    )
    last, before = direct.majority_KM[-1].astype(float), direct.majority_KM[-2].astype(float)
    return Gap(against(direct.pass1_M, steps.pass1_M), majority, weighted, covered, against(last, before))
