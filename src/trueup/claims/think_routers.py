"""Routers between two modes of one model, compared at one cost in tokens.

A router gives each item a chance to think; what it comes to is then an exact expectation over that chance. Routers that
rank the items by a number let the first ones think until they have spent as much as the policy they are compared with.
Axes: M item, N labelled item, P prompt token, D dial, 2 mode (short, think).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trueup.claims.think_models import Seen, Tokens
from trueup.plan.estimate import Column
from trueup.plan.router import fit_chance

Rows = Sequence[Mapping[str, float]]


def accuracy(seen: Seen, chance_2M: Column) -> Column:
    """How often each item comes right; what names no mode is wrong."""
    right_M: Column = (chance_2M * seen.right_2M).sum(0)
    return right_M


def tokens(seen: Seen, chance_2M: Column) -> Column:
    """The tokens that each item takes; what names no mode is taken to be as long as what does."""
    tokens_M: Column = (chance_2M * seen.length_2M).sum(0) / chance_2M.sum(0)
    return tokens_M


def flops(seen: Seen, chance_2M: Column) -> float:
    """FLOPs of a request, its prompt read."""
    return float(((chance_2M * seen.flops_L[seen.length_2M]).sum(0) / chance_2M.sum(0)).mean())


def think_rate(seen: Seen) -> float:
    """The mean chance to think."""
    return float(seen.chance_2M[1].mean())


def always(seen: Seen, mode: int) -> Column:
    """One mode for all items, 0 short and 1 thinking; axes 2M."""
    chance_2M = np.zeros(seen.chance_2M.shape)
    chance_2M[mode] = 1.0
    return chance_2M


def ranked(seen: Seen, urgency_M: Column, budget: float) -> Column:
    """The most urgent items think, until the mean tokens of all are the budget; equally urgent ones alike. Axes 2M."""
    low_M, high_M = (seen.length_2M[mode].astype(float) for mode in (0, 1))
    values, place_M = np.unique(-urgency_M, return_inverse=True)
    extra_K = np.bincount(place_M, high_M - low_M, minlength=len(values))
    left = budget * len(urgency_M) - low_M.sum() - np.concatenate([[0.0], extra_K.cumsum()[:-1]])
    share_K = np.clip(np.divide(left, extra_K, out=np.zeros(len(extra_K)), where=extra_K > 0), 0.0, 1.0)
    think_M = share_K[place_M]
    return np.stack([1.0 - think_M, think_M])


def at_random(seen: Seen, budget: float) -> Column:
    """Every item thinks as often, and all cost the budget; axes 2M."""
    return ranked(seen, np.zeros(seen.length_2M.shape[1]), budget)


def learned(seen: Seen, rows_N: Rows, rows_M: Rows, budget: float, seed: int) -> Column:
    """Items think in order of how little a logistic regression trusts their short answer; axes 2M.

    It learns from labels: whether the short answers to other items were right.
    """
    right_N = seen.labels_2N[0].astype(float)
    chance = fit_chance(rows_N, right_N, [str(place) for place in range(len(right_N))], seed=seed)
    return ranked(seen, -chance.of(rows_M), budget)


def characters(prompts_BP: Tokens) -> Rows:
    """Which token stands where in each prompt."""
    return [{f"{place}:{token}": 1.0 for place, token in enumerate(row)} for row in prompts_BP.tolist()]


def column_sums(sums_BD: Tokens) -> Rows:
    """What each column adds up to: features of one who knows where the difficulty lies."""
    return [{f"{place}:{total}": 1.0 for place, total in enumerate(row)} for row in sums_BD.tolist()]


def by_dial(values_M: Column, dials_M: Tokens) -> Column:
    """The mean of the items of each dial."""
    return np.array([values_M[dials_M == dial].mean() for dial in np.unique(dials_M)])


def spearman(rising_D: Column) -> float:
    """The rank correlation of a row of numbers with its own order; numbers that are the same share a rank."""
    values, place_D, count = np.unique(rising_D, return_inverse=True, return_counts=True)
    rank_D: NDArray[np.float64] = (count.cumsum() - (count - 1) / 2)[place_D]
    if len(values) == 1:
        return 0.0
    return float(np.corrcoef(rank_D, np.arange(len(rising_D)))[0, 1])
