"""What the choice by difficulty comes to on one seed's logs.

Factors and differences are those of plan/compute_optimal.py. Whether beams help in one bin and harm in another is
tested on bins of true ease, as the paper shows it: a z-test of the difference between two means of paired differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from trueup.claims.gap import Difference
from trueup.claims.search_logs import Logs, Size, name_of
from trueup.plan import Resampler
from trueup.plan.bins import bin_edges, bin_of
from trueup.plan.compute_optimal import BASELINE, CHARGED, FIXED, PREDICTED, Comparison, compare_bins
from trueup.plan.estimate import Codes, Column
from trueup.plan.resample import Interval

BINS = 5


@dataclass(frozen=True, slots=True)
class Interaction:
    """Beams minus best-of-N at their largest, in the easiest and the middle bin; `p` that the two are alike."""

    easiest: float
    middle: float
    p: float


@dataclass(frozen=True, slots=True)
class Factor:
    """What best-of-N weighted pays over what a policy needs to be as often right; 0 where it never is."""

    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Found:
    """What one seed's verdict rests on; differences to the best fixed method have an entry per budget."""

    once: float
    factor: Factor
    charged_factor: Factor
    over_fixed: Sequence[Difference]
    charged_over_fixed: Sequence[Difference]
    interaction: Interaction
    hardest_gain: Difference
    comparison: Comparison
    budgets: tuple[float, ...]


def compare(size: Size, logs: Logs, seed: int) -> Found:
    """One seed's figures; the budgets are those of best-of-N weighted."""
    table = logs.table
    budgets = tuple(float(table.cost[table.of(name)].mean()) for name in size.baseline)
    found = compare_bins(
        table, logs.pilot, truth=logs.truth, bins=BINS, budgets=budgets, baseline=size.baseline, seed=seed
    )
    bins = bin_of(logs.truth, bin_edges(logs.truth, BINS))
    return Found(
        float(table.right[table.of(name_of("vote", 1))].mean()),
        _factor(found, PREDICTED, budgets[-1]),
        _factor(found, CHARGED, budgets[-1]),
        over_fixed(found, PREDICTED),
        over_fixed(found, CHARGED),
        _interaction(size, logs, bins),
        _hardest_gain(logs, bins == 0, seed),
        found,
        budgets,
    )


def over_fixed(found: Comparison, policy: str) -> list[Difference]:
    """A policy minus the best fixed method, at every budget that affords both."""
    rows = [row for row in found.contrasts if (row.policy, row.reference) == (policy, FIXED)]
    return [
        Difference(row.difference, row.difference_ci95)
        for row in rows
        if row.difference is not None and row.difference_ci95 is not None
    ]


def interaction(easiest_M: Column, middle_M: Column) -> Interaction:
    """From the items' paired differences; without any spread the two bins are alike or surely not."""
    means = float(easiest_M.mean()), float(middle_M.mean())
    error = sqrt(sum(float(part.var(ddof=1)) / len(part) for part in (easiest_M, middle_M)))
    gap = abs(means[1] - means[0])
    p = erfc(gap / error / sqrt(2)) if error > 0 else float(gap == 0)
    return Interaction(*means, p)


def _factor(found: Comparison, policy: str, budget: float) -> Factor:
    row = next(row for row in found.contrasts if (row.policy, row.reference, row.budget) == (policy, BASELINE, budget))
    return Factor(row.factor, row.factor_ci95)


def _interaction(size: Size, logs: Logs, bins: Codes) -> Interaction:
    table, n = logs.table, size.beams[-1]
    gain_M = table.right[table.of(name_of("beam", n))] - table.right[table.of(name_of("weighted", n))]
    top = int(bins.max())
    return interaction(gain_M[bins == top], gain_M[bins == top // 2])


def _hardest_gain(logs: Logs, inside: NDArray[np.bool_], seed: int) -> Difference:
    """The best method's share of right answers in the hardest bin minus one sample's; the best there has luck in it."""
    table = logs.table
    once_M = table.right[table.of(name_of("vote", 1))][inside]
    best_M = max((row[inside] for row in table.right), key=lambda row: float(row.mean()))
    draws = Resampler.of([str(i) for i in range(int(inside.sum()))], seed=seed, name="hardest")
    return Difference(float((best_M - once_M).mean()), draws.difference(best_M, once_M))
