"""Estimates and exact intervals: pass@k, accuracy, a certificate's bound.

pass@k: Chen et al. 2021, arXiv:2107.03374, eq. 1, in product form. Binomial intervals: Clopper and Pearson
1934; where items come in clusters the sample is shrunk by its design effect, and for the degrees of freedom that are
left to tell it by (Korn and Graubard 1998). Clusters of sizes m say as much as n^2 / sum m^2 of one size (Kish 1965).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]
"""One number per item; NaN where the item has no such result."""
Codes = NDArray[np.intp]
"""The number of each item's cluster, counted from 0."""

CONFIDENCE = 0.95


def pass_at_k(attempts: Column, right: Column, k: int) -> Column:
    """Per item the chance that k of its attempts hold a right one; NaN where it has fewer than k.

    1 - C(n - c, k) / C(n, k) is unbiased; 1 - (1 - c / n)^k is not.
    """
    wrong = attempts - right
    miss = np.ones_like(wrong)
    for j in range(k):
        miss *= np.maximum(wrong - j, 0.0) / np.maximum(attempts - j, 1.0)
    return np.where(attempts >= k, 1.0 - miss, np.nan)


def exact_interval(right: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The Clopper-Pearson interval of a share; n may be an effective size, no whole number."""
    tail = (1.0 - confidence) / 2.0
    return lower_bound(right, n, tail), 1.0 - lower_bound(n - right, n, tail)


def lower_bound(right: float, n: float, delta: float) -> float:
    """The exact bound that an accuracy lies under with probability delta at most; 0 without a right answer."""
    from scipy.special import betaincinv

    return float(betaincinv(right, n - right + 1.0, delta)) if right > 0 else 0.0


def tail(right: Column, n: Column, accuracy: float) -> Column:
    """P(at least so many right of n) at this accuracy: the exact p-value against anything lower."""
    from scipy.special import betainc

    return np.where(right > 0, betainc(np.maximum(right, 1.0), n - right + 1.0, accuracy), 1.0)


def accuracy_interval(values: Column, codes: Codes) -> tuple[float, float]:
    """The exact interval of a mean of zeros and ones, allowing for clusters; NaN is left out."""
    known = ~np.isnan(values)
    values, codes = values[known], codes[known]
    if not len(values):
        return 0.0, 1.0
    n = _effective_size(values, codes)
    return exact_interval(float(values.mean()) * n, n)


def _effective_size(values: Column, codes: Codes) -> float:
    """Items that would say as much if they were independent: n over the design effect, n at most.

    The variance is one of few clusters where there are few: it is held to be larger by the square of the ratio of
    Student's quantiles. Where all clusters are alike, which proves nothing of their items, each counts once.
    """
    from scipy.special import stdtrit

    _, places, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    n, mean = len(values), float(values.mean())
    if len(sizes) == n:
        return float(n)
    clusters = n**2 / float(sizes @ sizes)
    rights = np.bincount(places, weights=values).astype(float)
    if np.array_equal(rights * n, sizes * rights.sum()):
        return clusters
    variance, freedom = _variance(rights, sizes), max(1.0, clusters - 1.0)
    quantile, of_items = (float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) for degrees in (freedom, n - 1))
    return min(float(n), mean * (1.0 - mean) / variance) * (of_items / quantile) ** 2


def _variance(rights: Column, sizes: NDArray[np.intp]) -> float:
    """The variance of a mean over clusters: the larger of two estimates, one and the same where sizes are equal.

    One is of the clusters' distances from it (Bell and McCaffrey 2002, Survey Methodology 28(2)), and far too small
    where the few largest happen to be alike. The other is (1 + (sum m^2 / n - 1) rho) p (1 - p) / n (Kish 1965), with
    rho from the agreement inside clusters (Fleiss and Cuzick 1979, Applied Psychological Measurement 3(4), eq. 3): it
    misses clusters that are far apart though each is mixed. As p is the sample's own, 1 - sum m^2 / n^2 divides it.
    """
    n, share = float(sizes.sum()), sizes / sizes.sum()
    p, squares = float(rights.sum()) / n, float(share @ share)
    between = float(((rights - p * sizes) ** 2 / (1.0 - share)).sum()) / n**2
    within = float((rights * (1.0 - rights / sizes)).sum()) / (n - len(sizes))
    agreement = (squares * p * (1.0 - p) - (squares - 1.0 / n) * within) / (1.0 - squares)
    return max(between, agreement)
