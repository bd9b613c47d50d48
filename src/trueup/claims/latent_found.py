"""What one seed says: what errors go with, what models satisfy, what their states tell.

Shares are paired over the test items, their intervals from the bootstrap over items. Correlations are Spearman's, each
partial to the other cause: the ranks stay, the items are drawn. Axes: M item, D draw, H held-out problem, K target of
a probe (the solution last), L layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trueup.claims.gap import Difference
from trueup.claims.latent_probe import Probed
from trueup.plan import Resampler
from trueup.plan.estimate import Column

MARGIN = 0.05
FEWEST = 30
UNKNOWN = Difference(0.0, (-1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Answers:
    """An arm's answers by item: whether both equations hold, whether both limits are kept, how far off they are.

    `satisfied_M` is the share of the four constraints that hold, the composite that hides which; `off_M` the larger
    distance of the two values from the solution, NaN where nothing could be read.
    """

    equal_M: Column
    bounded_M: Column
    satisfied_M: Column
    off_M: Column


@dataclass(frozen=True, slots=True)
class Causes:
    """Partial rank correlations of the error with distance and with sweeps needed, and the first minus the second."""

    distance: Difference
    sweeps: Difference
    more: Difference


@dataclass(frozen=True, slots=True)
class Latent:
    """Where an inner layer tells a sweep best against the solution: R2 of that sweep minus R2 of the solution.

    `over_blank` is that minus the same in a model that learned nothing; `best_L` the sweep that each layer tells best,
    the solution counting as one more.
    """

    layer: int
    sweep: int
    ahead: Difference
    over_blank: Difference
    best_L: tuple[int, ...]
    r2_LK: NDArray[np.float64]
    blank_LK: NDArray[np.float64]

    @property
    def is_shown(self) -> bool:
        """Whether a sweep is told better than the solution, thanks to training, and later layers tell later ones.

        Iteration inside implies this. The reverse is weaker: a sweep is also the beginning of a series for the
        solution, whose terms a model may build without order.
        """
        rises = all(first <= second for first, second in pairwise(self.best_L))
        return self.ahead.ci95[0] > MARGIN and self.over_blank.ci95[0] > 0 and rises


@dataclass(frozen=True, slots=True)
class Found:
    """What a seed's verdict rests on, by size where mappings; all but `beyond` on as many sweeps as were trained.

    `causes` are of the largest direct model's error. `nearest` is direct minus nearest problem, `taught` minus the
    base held to the form, `written` sweeps minus direct, each in equality; `grown` the largest direct minus the
    smallest. `edge` is direct's equality where it needs as many sweeps as were ever trained, `beyond` that on more
    sweeps minus `edge`.
    """

    causes: Causes
    bounded: Mapping[str, float]
    nearest: Mapping[str, Difference]
    taught: Mapping[str, Difference]
    written: Mapping[str, Difference]
    grown: Difference
    edge: Mapping[str, float]
    beyond: Mapping[str, Difference]
    latent: Mapping[str, Latent]


def causes(error_M: Column, distance_M: Column, sweeps_M: Column, draws: Resampler) -> Causes:
    """What an error goes with; items without one are left out, and of too few nothing is known."""
    known_M = ~np.isnan(error_M)
    if known_M.sum() < FEWEST:
        return Causes(UNKNOWN, UNKNOWN, UNKNOWN)
    ranks_3M = np.stack([_ranks(values_M[known_M]) for values_M in (error_M, distance_M, sweeps_M)])
    weight_DM = np.concatenate([np.ones((1, len(error_M))), draws.weights[:, draws.codes]])[:, known_M]
    error_distance, error_sweeps, distance_sweeps = _correlations(ranks_3M, weight_DM)
    by_distance = _partial(error_distance, error_sweeps, distance_sweeps)
    by_sweeps = _partial(error_sweeps, error_distance, distance_sweeps)
    return Causes(*(_interval(values_D) for values_D in (by_distance, by_sweeps, by_distance - by_sweeps)))


def latent(probes: Probed, draws: Resampler) -> Latent:
    """The inner layer and sweep that are most ahead of the solution; the limits allow for the choice."""
    weight_DH = np.concatenate([np.ones((1, len(draws.codes))), draws.weights[:, draws.codes]])
    taught_LKD, blank_LKD = (_r2(part_LKH, weight_DH) for part_LKH in (probes.taught_LKH, probes.blank_LKH))
    ahead_LKD, blank_ahead_LKD = (part[:, :-1] - part[:, -1:] for part in (taught_LKD, blank_LKD))
    inner_LKD, over_LKD = ahead_LKD[1:-1], (ahead_LKD - blank_ahead_LKD)[1:-1]
    at = np.unravel_index(inner_LKD[:, :, 0].argmax(), inner_LKD.shape[:2])
    best_L = tuple(int(k) + 2 for k in taught_LKD[1:, :, 0].argmax(1))
    return Latent(
        int(at[0]) + 1, int(at[1]) + 2, _picked(inner_LKD, at), _picked(over_LKD, at), best_L,
        taught_LKD[:, :, 0], blank_LKD[:, :, 0],
    )  # fmt: skip


def paired_over(draws: Resampler, first_M: Column, second_M: Column, rows: NDArray[np.bool_]) -> Difference:
    """A paired difference on some of the items; the others weigh nothing."""
    return over(draws, np.where(rows, first_M - second_M, np.nan))


def over(draws: Resampler, values_M: Column) -> Difference:
    """A mean of differences that may be negative, NaN left out."""
    return Difference(float(np.nanmean(values_M)), draws.mean(values_M, (-1.0, 1.0)))


def apart(draws: Resampler, values_M: Column, rows: NDArray[np.bool_], others: NDArray[np.bool_]) -> Difference:
    """A mean on some of the items minus that on others."""
    weight_DM = np.concatenate([np.ones((1, len(values_M))), draws.weights[:, draws.codes]])
    total_2D = np.stack([weight_DM[:, part].sum(1) for part in (rows, others)])
    sum_2D = np.stack([weight_DM[:, part] @ values_M[part] for part in (rows, others)])
    drawn = (total_2D > 0).all(0)
    means_2D = sum_2D[:, drawn] / total_2D[:, drawn]
    return _interval(means_2D[0] - means_2D[1])


def _ranks(values_M: Column) -> Column:
    """Ranks, those of ties averaged."""
    _, codes, counts = np.unique(values_M, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[codes], float)


def _correlations(values_3M: NDArray[np.float64], weight_DM: NDArray[np.float64]) -> Sequence[Column]:
    """The weighted correlations of the first with the second and third, and of these, a value per draw."""
    total_D = weight_DM.sum(1)
    mean_3D = [weight_DM @ values_M / total_D for values_M in values_3M]

    def covariance(i: int, j: int) -> Column:
        return np.asarray(weight_DM @ (values_3M[i] * values_3M[j]) / total_D - mean_3D[i] * mean_3D[j])

    spread_3D = [np.sqrt(np.maximum(covariance(i, i), 1e-12)) for i in range(3)]
    return [covariance(i, j) / (spread_3D[i] * spread_3D[j]) for i, j in ((0, 1), (0, 2), (1, 2))]


def _partial(wanted: Column, other: Column, between: Column) -> Column:
    return np.asarray((wanted - other * between) / np.sqrt(np.maximum((1 - other**2) * (1 - between**2), 1e-12)))


def _r2(errors_LKH: NDArray[np.float64], weight_DH: NDArray[np.float64]) -> NDArray[np.float64]:
    """Held-out R2 per draw; the errors are in units of the target's variance."""
    return np.asarray(1 - errors_LKH @ weight_DH.T / weight_DH.sum(1))


def _interval(values_D: Column) -> Difference:
    """The first is the figure, the others the draws."""
    low, high = np.quantile(values_D[1:], [0.025, 0.975])
    return Difference(float(values_D[0]), (float(low), float(high)))


def _picked(values_LKD: NDArray[np.float64], at: tuple[np.intp, ...]) -> Difference:
    """One figure of several, chosen by the items that it is taken of: limits that all of them keep at once.

    How far any of them moves in a draw, each in units of its own spread (White 2000, studentized). To choose anew in
    every draw would not do: the best of a draw lies above the best by chance once more.
    """
    moved_LKD = values_LKD[:, :, 1:] - values_LKD[:, :, :1]
    spread_LK1 = np.maximum(moved_LKD.std(2, keepdims=True), 1e-12)
    farthest = moved_LKD / spread_LK1
    low, high = np.quantile(farthest.min((0, 1)), 0.025), np.quantile(farthest.max((0, 1)), 0.975)
    value, spread = float(values_LKD[at][0]), float(spread_LK1[at][0])
    return Difference(value, (value + float(low) * spread, value + float(high) * spread))
