"""Spread samples over items whose curves of accuracy are known.

Damani et al. 2024, arXiv:2410.04707, eq. 3: one by one, each to the largest marginal gain, which is exact where curves
are concave. A vote's are not (an even attempt adds nothing), so blocks are compared by their gain per sample; the
last block may not fit, and the result is then optimal but for that block. What an online rule is held against.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from trueup.plan.estimate import Column

TINY = 1e-12

Curves = NDArray[np.float64]
"""A row per item: the chance of a right answer after 0, 1, 2, ... samples."""


def allocate(curves: Curves, total: int) -> NDArray[np.intp]:
    """How many of `total` samples each item gets; what could gain nothing stays unspent."""
    taken = np.zeros(len(curves), dtype=np.intp)
    heap = [_entry(curves[place], place, 0, total) for place in range(len(curves))]
    heapq.heapify(heap)
    while heap and total:
        gain, place, size = heapq.heappop(heap)
        if gain > -TINY:
            break
        if size <= total:
            taken[place] += size
            total -= size
        if total:
            heapq.heappush(heap, _entry(curves[place], place, int(taken[place]), total))
    return taken


def coverage_curve(p: float, most: int) -> Column:
    """1 - (1 - p)^k for k = 0 to `most`: a check tells the right one."""
    return np.array([1.0 - (1.0 - p) ** k for k in range(most + 1)])


def vote_curve(p: float, most: int) -> Column:
    """P(the vote is right) for k = 0 to `most` where wrong attempts agree; ties fall by chance, no vote is wrong."""
    from scipy.special import bdtr

    k = np.arange(1, most + 1)
    half = k // 2
    above = 1.0 - bdtr(half.astype(float), k, p)
    tie = np.where(k % 2 == 0, bdtr(half.astype(float), k, p) - bdtr(half - 1.0, k, p), 0.0)
    return np.concatenate([[0.0], above + tie / 2.0])


def _entry(curve: Column, place: int, at: int, total: int) -> tuple[float, int, int]:
    """The best block from here on as (minus its gain per sample, the item, its size)."""
    ahead = curve[at + 1 : at + 1 + total] - curve[at]
    if not len(ahead):
        return 0.0, place, 0
    rates = ahead / np.arange(1, len(ahead) + 1)
    best = int(rates.argmax())
    return -float(rates[best]), place, best + 1
