"""Whether one column rises with another: a permutation test.

Pitman 1937: without a connection every rearrangement of the second column was as likely as the one seen, so that the
share of them with at least its correlation is a p-value at its nominal level, however few the items. Items change
places within their cluster, and clusters as wholes with those of their own size (multi-level blocks, Winkler et al.
2015, doi:10.1016/j.neuroimage.2015.05.092): more would take items of one cluster for independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial

import numpy as np
from numpy.typing import NDArray

from trueup.plan.estimate import Codes, Column

EXACT, DRAWN = 10_000, 2_000
"""All rearrangements are tried where they are no more; else so many, the one seen among them."""
EQUAL = 1e-9

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rise:
    """The share of the rearrangements that rise at least as much as what was seen.

    `least` is the share of the steepest one: no pairing of these values could come to a smaller p.
    """

    p: float
    least: float


def rises_by_chance(first: Column, second: Column, codes: Codes, rng: np.random.Generator) -> Rise:
    """How often the second column would rise so with the first by chance; `codes` says the cluster of each."""
    places = _rearranged(_blocks(codes), rng)
    centred = first - first.mean()
    sums = second[places] @ centred
    slack = EQUAL * float(np.abs(sums).max())
    seen, steepest = (float((sums >= value - slack).mean()) for value in (second @ centred, sums.max()))
    return Rise(seen, steepest)


def _blocks(codes: Codes) -> list[Places]:
    """The places of each cluster's items as a row, a table for the clusters of one size."""
    rows = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    return [np.array([row for row in rows if len(row) == size]) for size in sorted({len(row) for row in rows})]


def _rearranged(blocks: Sequence[Places], rng: np.random.Generator) -> Places:
    """Rows that say which item stands in each place."""
    count = 1
    for clusters, size in (block.shape for block in blocks):
        count *= factorial(clusters) * factorial(size) ** clusters
    to = np.concatenate([block.ravel() for block in blocks])
    if count <= EXACT:
        rows = _combined([_every(block) for block in blocks])
    else:
        rows = np.concatenate([to[None], np.concatenate([_drawn(block, rng) for block in blocks], axis=1)])
    found = np.empty_like(rows)
    found[:, to] = rows
    return found


def _combined(parts: Sequence[Places]) -> Places:
    """Every row of each part with every row of the others."""
    chosen = np.indices([len(part) for part in parts]).reshape(len(parts), -1)
    return np.concatenate([part[rows] for part, rows in zip(parts, chosen, strict=True)], axis=1)


def _every(block: Places) -> Places:
    clusters, size = block.shape
    orders = np.array(list(permutations(range(clusters))))
    inner = np.array(list(product(permutations(range(size)), repeat=clusters)))
    which, within = np.indices((len(orders), len(inner))).reshape(2, -1)
    every: Places = np.take_along_axis(block[orders[which]], inner[within], axis=2).reshape(len(which), -1)
    return every


def _drawn(block: Places, rng: np.random.Generator) -> Places:
    clusters, size = block.shape
    orders = rng.random((DRAWN - 1, clusters)).argsort(axis=1)
    inner = rng.random((DRAWN - 1, clusters, size)).argsort(axis=2)
    drawn: Places = np.take_along_axis(block[orders], inner, axis=2).reshape(DRAWN - 1, -1)
    return drawn
