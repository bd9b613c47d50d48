"""Choosing among many completions, for whole arrays of problems.

What `methods` do for one problem at a time, as array operations, for claims that sample millions of tokens.
Axes: M problem, N attempt, T token.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trueup.train.laboratory.tasks.reading import UNREADABLE, Codes


def majority(codes_MN: Codes) -> Codes:
    """The commonest readable answer, the first seen among equals; unreadable where no answer is."""
    return weighted(codes_MN, np.ones(codes_MN.shape))


def weighted(codes_MN: Codes, ratings_MN: NDArray[np.floating]) -> Codes:
    """The answer of the largest sum of ratings: best-of-N weighted (Li et al. 2023, arXiv:2206.02336)."""
    readable_MN = codes_MN != UNREADABLE
    same_MNN = (codes_MN[:, :, None] == codes_MN[:, None, :]) & readable_MN[:, None, :]
    sum_MN = np.where(readable_MN, np.einsum("mij,mj->mi", same_MNN, ratings_MN), -np.inf)
    return np.take_along_axis(codes_MN, sum_MN.argmax(1)[:, None], 1)[:, 0]


def best(codes_MN: Codes, ratings_MN: NDArray[np.floating]) -> Codes:
    """The answer of the highest rating, a readable one before all others."""
    rank_MN = np.where(codes_MN != UNREADABLE, ratings_MN, -np.inf)
    return np.take_along_axis(codes_MN, rank_MN.argmax(1)[:, None], 1)[:, 0]
