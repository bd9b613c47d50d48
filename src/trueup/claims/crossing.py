"""From how many requests on training pays, in FLOPs, where both ways are as often right.

N* = (C_train - C_verifier) / (c_external - c_internal): what each way costs once, over what a request of it costs.
Both are taken at the accuracy that both reach: the lower of their best, less a margin, and the fewest samples for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from trueup.claims.curves import Curves
from trueup.core.types import Json
from trueup.plan.estimate import Column
from trueup.plan.resample import TAIL

MARGIN = 0.005
"""Accuracies nearer than this are equal."""
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Crossing:
    """`volume` is infinite where training never pays, 0 where it does from the first request on.

    `never` is the share of bootstrap draws in which it never pays.
    """

    accuracy: float
    external_samples: int
    internal_samples: int
    external_flops: float
    internal_flops: float
    volume: float
    ci95: tuple[float, float]
    never: float

    def row(self) -> dict[str, Json]:
        """The figures, with None for a volume without end."""
        return {
            "accuracy": self.accuracy,
            "external_samples": self.external_samples,
            "internal_samples": self.internal_samples,
            "external_flops_per_request": self.external_flops,
            "internal_flops_per_request": self.internal_flops,
            "breakeven_requests": _finite(self.volume),
            "breakeven_ci95": [_finite(x) for x in self.ci95],
            "share_never": self.never,
        }


@dataclass(frozen=True, slots=True)
class Way:
    """A way of answering: right or wrong and FLOPs per number of samples and item, and what each number costs once."""

    sizes: Sequence[int]
    right_KM: Column
    flops_KM: Column
    once_K: Column


def external(curves: Curves) -> Way:
    """Samples of the base model, chosen among by its verifier, which a single one does without.

    Of `curves.by_votes` they are chosen among by plain votes, which cost nothing once.
    """
    once_K = np.where(np.array(curves.sizes) > 1, curves.verifier_flops, 0.0)
    return Way(curves.sizes, curves.weighted_KM.astype(float), curves.external, once_K)


def internal(curves: Curves, training_flops: float) -> Way:
    """One sample of the trained model."""
    return Way(curves.sizes[:1], curves.pass1_M[None, :], curves.sampling_KM[:1], np.array([training_flops]))


def crossing(outside: Way, inside: Way, *, seed: int) -> Crossing:
    """The break-even volume, with its interval over items; every draw chooses the samples anew."""
    items = outside.right_KM.shape[1]
    rng = np.random.default_rng([abs(seed), 9])
    drawn = [_volume(outside, inside, rng.multinomial(items, np.full(items, 1 / items)) / items) for _ in range(DRAWS)]
    volumes = np.sort([volume for *_, volume in drawn])
    low, high = (float(volumes[round(share * (DRAWS - 1))]) for share in (TAIL, 1 - TAIL))
    level, o, i, volume = _volume(outside, inside, np.full(items, 1 / items))
    return Crossing(
        level, outside.sizes[o], inside.sizes[i], float(outside.flops_KM[o].mean()), float(inside.flops_KM[i].mean()),
        volume, (low, high), float(np.isinf(volumes).mean()),
    )  # fmt: skip


def _volume(outside: Way, inside: Way, weight_M: Column) -> tuple[float, int, int, float]:
    """The accuracy that both reach, the places of the fewest samples that reach it, and the volume."""
    accuracies = outside.right_KM @ weight_M, inside.right_KM @ weight_M
    level = float(min(accuracies[0].max(), accuracies[1].max()))
    o, i = (int(np.argmax(accuracy >= level - MARGIN)) for accuracy in accuracies)
    saved = float(outside.flops_KM[o] @ weight_M - inside.flops_KM[i] @ weight_M)
    return level, o, i, _crossing(float(inside.once_K[i] - outside.once_K[o]), saved)


def _crossing(once: float, saved: float) -> float:
    if saved <= 0:
        return inf
    return max(0.0, once / saved)


def _finite(volume: float) -> float | None:
    return None if volume == inf else volume
