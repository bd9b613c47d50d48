"""The cluster bootstrap: intervals of means, ratios, differences, on few items too.

Clusters are drawn, never attempts alone: items of one cluster are not independent, and attempts at one item
even less so (Miller 2024, arXiv:2411.00640). All figures of a stratum use the same draws.
Percentiles of a bootstrap know nothing of what no draw can hold, and miss far too often on few items. So at each end
the interval counts one cluster more, that nobody has seen: as large as the largest, as bad or as good as can be, of an
exponential weight. That is Gaffke's limit of a bounded mean (Gaffke 2005; Learned-Miller and Thomas 2020,
arXiv:1905.06208), but for draws in place of exponential weights for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from trueup.plan.estimate import CONFIDENCE, Codes, Column

DRAWS = 2000
BLOCK = 4_000_000
TAIL = (1.0 - CONFIDENCE) / 2.0

Interval = tuple[float, float]
SHARE = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Resampler:
    """How often each cluster comes up in each draw, and what one that nobody has seen weighs there.

    `codes` says which cluster an item is in.
    """

    codes: Codes
    weights: NDArray[np.uint16]
    unseen: Column

    @classmethod
    def of(cls, clusters: Sequence[str], *, seed: int, name: str = "", draws: int = DRAWS) -> Resampler:
        """The draws for these items' clusters; the same seed and name give the same draws."""
        _, codes = np.unique(np.array(clusters, dtype=str), return_inverse=True)
        number = int(codes.max()) + 1
        rng = np.random.default_rng([abs(seed), crc32(name.encode())])
        step = max(1, BLOCK // number)
        blocks = [_draw(rng, min(step, draws - done), number) for done in range(0, draws, step)]
        return cls(codes, np.concatenate(blocks), rng.standard_exponential(draws))

    def mean(self, values: Column, span: Interval = SHARE) -> Interval:
        """The interval of the mean of values that lie within `span`; NaN is left out."""
        known = ~np.isnan(values)
        return self.ratio(np.where(known, values, 0.0), known.astype(float), span)

    def difference(self, first: Column, second: Column) -> Interval:
        """The interval of the mean of paired differences, first minus second."""
        return self.mean(first - second, DIFFERENCE)

    def ratio(self, top: Column, bottom: Column, span: Interval = SHARE) -> Interval:
        """The interval of sum(top) / sum(bottom), no bottom below 0 and the ratio of each item within `span`.

        Where all items have the same ratio the draws know no doubt. Then, if a share q of the population
        were different, n clusters would all be alike with probability (1 - q)^n: the exact limit.
        """
        kept = bottom > 0
        if not kept.any():
            return span
        each = top[kept] / bottom[kept]
        if np.ptp(each) < 1e-12 and not top[~kept].any():
            return _limit_of_no_doubt(float(each[0]), len(np.unique(self.codes[kept])), span)
        tops, bottoms = self._sums(top), self._sums(bottom)
        more = self.unseen * float(np.bincount(self.codes, weights=bottom).max())
        low, high = ((tops + end * more) / (bottoms + more) for end in span)
        return float(np.quantile(low, TAIL)), float(np.quantile(high, 1.0 - TAIL))

    def doubt(self) -> Doubt:
        """What these draws leave out, for a figure that is computed anew in each of them."""
        sizes = np.bincount(self.codes).astype(float)
        more = self.unseen * float(sizes.max())
        return Doubt(more / (self._sums(np.ones(len(self.codes))) + more), len(sizes))

    def unbounded_ratio(self, top: Column, bottom: Column, otherwise: Interval) -> Interval:
        """The percentile interval of sum(top) / sum(bottom) where no limit of an item's ratio is known.

        Draws whose bottom is not above 0 are left out; it is `otherwise` where none is.
        """
        tops, bottoms = self._sums(top), self._sums(bottom)
        kept = bottoms > 0
        if not kept.any():
            return otherwise
        low, high = np.quantile(tops[kept] / bottoms[kept], [TAIL, 1.0 - TAIL])
        return float(low), float(high)

    def _sums(self, values: Column) -> Column:
        by_cluster = np.bincount(self.codes, weights=values, minlength=self.weights.shape[1])
        step = max(1, BLOCK // len(by_cluster))
        blocks = [self.weights[at : at + step].astype(float) @ by_cluster for at in range(0, len(self.weights), step)]
        return np.concatenate(blocks)


@dataclass(frozen=True, slots=True)
class Doubt:
    """The share that one cluster more, that nobody has seen, would have of each draw, and how many were seen."""

    share: Column
    clusters: int

    def interval(self, drawn: Column, span: Interval) -> Interval:
        """The interval of a figure that lies within `span`: its value, followed by the same figure in each draw.

        The unseen cluster moves it towards an end of the span by its share, as it does a mean. Where all draws agree
        they know no doubt, and the limit is the exact one of a ratio.
        """
        if np.ptp(drawn) < 1e-12:
            return _limit_of_no_doubt(float(drawn[0]), self.clusters, span)
        low, high = (drawn[1:] + self.share * (end - drawn[1:]) for end in span)
        return float(np.quantile(low, TAIL)), float(np.quantile(high, 1.0 - TAIL))


def _draw(rng: np.random.Generator, draws: int, clusters: int) -> NDArray[np.uint16]:
    """As many clusters as there are, with replacement, counted per draw."""
    places = rng.integers(clusters, size=(draws, clusters)) + clusters * np.arange(draws)[:, None]
    return np.bincount(places.ravel(), minlength=draws * clusters).reshape(draws, clusters).astype(np.uint16)


def _limit_of_no_doubt(value: float, clusters: int, span: Interval) -> Interval:
    low, high = span
    doubt = 1.0 - TAIL ** (1.0 / clusters)
    return value - (value - low) * doubt, value + (high - value) * doubt


def cluster_bootstrap(values: Column, clusters: Sequence[str], *, seed: int) -> Interval:
    """The 95 % interval of the mean of shares."""
    return Resampler.of(clusters, seed=seed).mean(values)


def paired_bootstrap(first: Column, second: Column, clusters: Sequence[str], *, seed: int) -> Interval:
    """The 95 % interval of the mean difference of shares measured on the same items."""
    return Resampler.of(clusters, seed=seed).difference(first, second)
