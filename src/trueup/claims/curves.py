"""What a model's samples come to at 1, 2, 4, ... of them, item by item.

Plain arrays, kept as JSON between runs: answers are right or wrong, tokens and FLOPs are those of a request that
stopped at so many samples. Axes: M item, N attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trueup.core.types import Json
from trueup.plan.estimate import Column

Right = NDArray[np.bool_]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Curves:
    """A row per number of samples in `sizes`, an entry per item.

    `tokens_KM` are generated ones, `sampling_KM` and `rating_KM` FLOPs of the samples and of the verifier that read
    them. `verifier_flops` is what the verifier took to train, its own examples included.
    """

    sizes: tuple[int, ...]
    greedy_M: Right
    pass1_M: Column
    majority_KM: Right
    weighted_KM: Right
    covered_KM: Right
    tokens_KM: Column
    sampling_KM: Column
    rating_KM: Column
    verifier_flops: float

    @property
    def single(self) -> Right:
        """The first attempt of each item."""
        first: Right = self.majority_KM[0]
        return first

    @property
    def external(self) -> Column:
        """FLOPs of sampling and rating, axes KM; a single sample is not rated."""
        several_K1 = np.array(self.sizes)[:, None] > 1
        total_KM: Column = self.sampling_KM + np.where(several_K1, self.rating_KM, 0.0)
        return total_KM

    @property
    def by_votes(self) -> Curves:
        """The same samples without a verifier: chosen among by plain votes, and no FLOPs but theirs."""
        unrated_KM = np.zeros_like(self.rating_KM)
        return replace(self, weighted_KM=self.majority_KM, rating_KM=unrated_KM, verifier_flops=0.0)

    def to_json(self) -> Json:
        """This, as JSON."""
        return {
            "sizes": list(self.sizes),
            "greedy": _bits(self.greedy_M),
            "pass1": [round(float(x), 6) for x in self.pass1_M],
            **{name: [_bits(row) for row in rows] for name, rows in zip(CURVES, self._curves(), strict=True)},
            **{name: rows.tolist() for name, rows in zip(COSTS, self._costs(), strict=True)},
            "verifier_flops": self.verifier_flops,
        }

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Curves:
        """What `to_json` wrote."""
        return cls(
            tuple(table["sizes"]),
            _flags(table["greedy"]),
            np.array(table["pass1"], float),
            *_three([np.stack([_flags(bits) for bits in table[name]]) for name in CURVES]),
            *_three([np.array(table[name], float) for name in COSTS]),
            float(table["verifier_flops"]),
        )

    def _curves(self) -> Sequence[Right]:
        return self.majority_KM, self.weighted_KM, self.covered_KM

    def _costs(self) -> Sequence[Column]:
        return self.tokens_KM, self.sampling_KM, self.rating_KM


CURVES = ("majority", "weighted", "covered")
COSTS = ("tokens", "sampling_flops", "rating_flops")


def doublings(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... up to `most`."""
    return tuple(2**i for i in range(most.bit_length()) if 2**i <= most)


def _three(rows: Sequence[T]) -> tuple[T, T, T]:
    first, second, third = rows
    return first, second, third


def _bits(row: Right) -> str:
    return "".join("1" if right else "0" for right in row)


def _flags(bits: str) -> Right:
    return np.array([bit == "1" for bit in bits], bool)
