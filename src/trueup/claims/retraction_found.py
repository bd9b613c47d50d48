"""What one seed says of retraction: how right answers fall with the wrong turns, and what more data would bring.

Differences are paired over the items, their intervals from the bootstrap over items. Axes: M item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.retraction_models import APPEND, BEFORE, DELETE, FORMAL, FORWARD, GREEDY, LAST, Right, Seen, Tokens
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.resample import Interval

STEEPEST = 3
"""Wrong turns beyond so many count as so many."""
SLOPED = (FORWARD, APPEND, DELETE)


@dataclass(frozen=True, slots=True)
class Slope:
    """How much is right more with each wrong turn, by least squares; `p` is two-sided, its error robust."""

    value: float
    p: float


@dataclass(frozen=True, slots=True)
class Found:
    """One seed; all but `learned` and `began` is of the end of the learning curve.

    `easy` is what is right without a wrong turn, `deep` and its interval what is right where there are some, and
    `over_append`, `over_forward` deletion's lead there. `slopes` are of each arm, `apart` of deletion minus the others.
    `learned` is what the last of the data brought where there are wrong turns, `began` how often append-only search was
    right without one before.
    """

    easy: Mapping[str, float]
    deep: Mapping[str, float]
    deep_ci95: Mapping[str, Interval]
    slopes: Mapping[str, Slope]
    apart: Mapping[str, Slope]
    over_append: Difference
    over_forward: Difference
    learned: Mapping[str, Difference]
    began: float


def compare(seen: Mapping[str, Mapping[str, Seen]], turns_M: Tokens, seed: int) -> Found:
    """All that a verdict takes of one seed."""
    last, before = ({name: one.right_M.astype(float) for name, one in seen[point].items()} for point in (LAST, BEFORE))
    deep_M, depth_M = turns_M > 0, np.minimum(turns_M, STEEPEST)
    draws = Resampler.of([str(i) for i in np.flatnonzero(deep_M)], seed=seed, name="retraction")

    def lead(one_M: Column, other_M: Column) -> Difference:
        gap_M = (one_M - other_M)[deep_M]
        return Difference(float(gap_M.mean()), draws.mean(gap_M, (-1.0, 1.0)))

    return Found(
        {name: float(right_M[~deep_M].mean()) for name, right_M in last.items()},
        {name: float(right_M[deep_M].mean()) for name, right_M in last.items()},
        {name: draws.mean(right_M[deep_M]) for name, right_M in last.items()},
        {name: slope(last[name], depth_M) for name in SLOPED},
        {name: slope(last[DELETE] - last[name], depth_M) for name in (FORWARD, APPEND)},
        lead(last[DELETE], last[APPEND]),
        lead(last[DELETE], last[FORWARD]),
        {name: lead(last[name], before[name]) for name in (*SLOPED, GREEDY, FORMAL)},
        float(before[APPEND][~deep_M].mean()),
    )


def slope(values_M: Column, depth_M: Tokens) -> Slope:
    """Least squares on the wrong turns, with White's standard error (HC0, 1980) and a normal tail.

    Values that are all alike have no slope, and no doubt of it.
    """
    centred_M = depth_M - depth_M.mean()
    spread = float(centred_M @ centred_M)
    value = float(centred_M @ values_M) / spread
    left_M = values_M - values_M.mean() - value * centred_M
    error = sqrt(float(((centred_M * left_M) ** 2).sum())) / spread
    return Slope(value, erfc(abs(value) / error / sqrt(2)) if error > 0 else 1.0)


def by_band(right_M: Sequence[bool] | Right, turns_M: Tokens) -> list[float]:
    """What is right with no wrong turn, with one or two, with three or more."""
    values_M = np.asarray(right_M, float)
    return [
        float(values_M[(turns_M >= low) & (turns_M <= high)].mean())
        for low, high in ((0, 0), (1, 2), (3, max(turns_M)))
    ]
