"""Bins of difficulty, and what every method reached in each half of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.plan.estimate import Codes, Column
from trueup.plan.logged import Logged

Sums = NDArray[np.float64]
"""Sums over the items of bin, half, bootstrap draw (and method)."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Per bin, half and draw: how many items; and per method right ones and cost."""

    n: Sums
    right: Sums
    cost: Sums

    def swapped(self) -> Sums:
        """Right ones that each half is chosen by: the other half's, of all bins where the bin's own is empty."""
        n, right = self.n[:, ::-1], self.right[:, ::-1]
        return np.where((n == 0)[..., None], right.sum(0), right)

    def pooled(self) -> Sums:
        """Right ones of both halves of the bin at each half's place."""
        return np.repeat(self.right.sum(1, keepdims=True), 2, 1)


def bin_edges(ease: Column, bins: int) -> tuple[float, ...]:
    """The inner quantiles; fewer where many items are equally hard, none where all are.

    Raises BadInput for fewer than two bins.
    """
    if bins < 2:
        raise BadInput(f"bins is {bins}; give at least 2")
    inner = np.quantile(ease, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf")
    return tuple(float(edge) for edge in np.unique(inner) if edge > ease.min())


def bin_of(ease: Column, edges: tuple[float, ...]) -> Codes:
    """The bin of each item, 0 the hardest; an edge belongs to the bin above it."""
    return np.searchsorted(np.array(edges), ease, side="right").astype(np.intp)


def halves_of(bins: Codes, clusters: Codes, seed: int) -> Codes:
    """The half of each item, 0 or 1: whole clusters, dealt out in turn within the bin of their first item."""
    number = int(clusters.max()) + 1
    first = np.zeros(number, dtype=np.intp)
    first[clusters[::-1]] = bins[::-1]
    shuffled = np.random.default_rng(abs(seed)).permutation(number)
    queue = shuffled[np.argsort(first[shuffled], kind="stable")]
    half = np.empty(number, dtype=np.intp)
    half[queue] = np.arange(number) % 2
    return half[clusters]


def random_bins(bins: Codes, times: int, seed: int) -> list[Codes]:
    """The same bins with their items shuffled."""
    rng = np.random.default_rng([abs(seed), times])
    return [rng.permutation(bins) for _ in range(times)]


def lay_cells(logs: Logged, bins: Codes, halves: Codes, clusters: Codes, weights: Sums) -> Cells:
    """The sums in every draw; `weights` says how often each cluster comes up in it."""
    draws, number = weights.shape
    parts = 2 * (int(bins.max()) + 1)
    methods = len(logs.names)
    columns = np.stack([np.ones(len(bins)), *logs.right, *logs.cost])
    by_cell = np.zeros((number, parts, len(columns)))
    np.add.at(by_cell, (clusters, 2 * bins + halves), columns.T)
    sums = (weights @ by_cell.reshape(number, -1)).reshape(draws, parts // 2, 2, len(columns)).transpose(1, 2, 0, 3)
    return Cells(sums[..., 0], sums[..., 1 : 1 + methods], sums[..., 1 + methods :])
