"""How far a direct model stays behind, or gets ahead of, one sample that reasons.

Differences are paired over the test items, their intervals from the bootstrap over items. Axes: M item, K number of
samples or of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueup.claims.curves import Curves
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.resample import Interval

STEPS = "steps"
"""The name of the model that reasons."""
FLAT, SURELY_FLAT = 0.005, 0.015
"""A last doubling that adds less than the one, and surely less than the other, has stopped gaining."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A direct arm minus pass@1 of the steps, with its interval."""

    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Gap:
    """What one pair of one seed says; `majority` and `weighted` have an entry per number of samples.

    `steps_once` is how often one sample with steps is right.
    """

    steps_once: float
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
        """Whether votes end below the steps."""
        return self.majority[-1].ci95[1] < 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's curves and what its training took; `cut_KM` where its steps were cut behind k of them.

    `flops_per_token` is what training takes for one that it reads; `training_flops` may hold a pilot's besides.
    """

    curves: Curves
    learned_tokens: float
    training_flops: float
    flops_per_token: float
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
    once = against(direct.pass1_M, steps.pass1_M)
    return Gap(float(steps.pass1_M.mean()), once, majority, weighted, covered, against(last, before))


def last_doubling(direct: Sequence[Curves], seed: int) -> Difference:
    """What it adds to majority over all seeds' models; one seed's is mostly noise. An item's seeds are one cluster."""
    last, before = (np.concatenate([curves.majority_KM[k] for curves in direct]).astype(float) for k in (-1, -2))
    draws = Resampler.of([str(i) for i in range(len(direct[0].pass1_M))] * len(direct), seed=seed, name="doubling")
    return Difference(float((last - before).mean()), draws.difference(last, before))


def is_flat(doubling: Difference) -> bool:
    """Whether it has stopped gaining."""
    return doubling.value < FLAT and doubling.ci95[1] < SURELY_FLAT
