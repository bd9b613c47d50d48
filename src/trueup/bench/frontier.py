"""Accuracy against tokens: curves compared on the same cases.

Equal accuracy is a non-inferiority test and an interval of the ratio of tokens, both by paired cluster bootstrap.
Doubt is in our favour where it keeps a cheap rival from being shown as accurate: the cheapest that is not shown to
lose more than the margin is told too.
A curve is met anywhere between two of its points, by taking each of both settings with the chance that makes the
tokens come out; bands over many points at once are max-t (decide by them whether one curve lies above another).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.bench.spent import Spent
from trueup.plan import Resampler

MARGIN = 0.005
BAND = 0.95
STILL = 1e-9
Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rival:
    """A system, and what ours takes of its tokens."""

    system: str
    ratio: Band


@dataclass(frozen=True, slots=True)
class Cheapest:
    """Of the rivals shown to lose less than the margin to the reference, and of those not shown to lose more."""

    shown: Rival | None
    possible: Rival | None


def difference(ours: Spent, other: Spent, draws: Resampler) -> Band:
    """Accuracy of ours minus that of another."""
    return Band(float((ours.right - other.right).mean()), *draws.difference(ours.right, other.right))


def ratio(ours: Spent, other: Spent, draws: Resampler) -> Band:
    """Tokens of ours over those of another."""
    value = float(ours.tokens.sum() / other.tokens.sum())
    return Band(value, *draws.unbounded_ratio(ours.tokens, other.tokens, (0.0, 1.0)))


def cheapest(ours: Spent, rivals: Sequence[Spent], reference: Spent, draws: Resampler) -> Cheapest:
    """The rivals with the fewest tokens; None where no rival is as good as the reference, or may be."""
    known = Band(0.0, 0.0, 0.0)
    gains = [(one, known if one is reference else difference(one, reference, draws)) for one in rivals]
    shown = [rival for rival, gain in gains if gain.low > -MARGIN]
    possible = [rival for rival, gain in gains if gain.high >= -MARGIN]
    return Cheapest(_least(ours, shown, draws), _least(ours, possible, draws))


def _least(ours: Spent, rivals: Sequence[Spent], draws: Resampler) -> Rival | None:
    best = min(rivals, key=lambda rival: float(rival.tokens.mean()), default=None)
    return None if best is None else Rival(best.system, ratio(ours, best, draws))


def intervals(systems: Sequence[Spent], draws: Resampler) -> list[tuple[Band, Band]]:
    """Per system its accuracy and its tokens, each with its own interval."""
    accuracy, tokens = _bootstrapped(systems, draws)
    return [
        (_band(float(s.right.mean()), accuracy[:, place]), _band(float(s.tokens.mean()), tokens[:, place]))
        for place, s in enumerate(systems)
    ]


def lead(curve: Sequence[Spent], rivals: Sequence[Spent], draws: Resampler) -> list[Band]:
    """Per rival the accuracy of the curve at the rival's tokens minus the rival's; bands hold for all at once."""
    if not rivals:
        return []
    values = _lead(
        np.array([[s.right.mean() for s in curve]]), np.array([[s.tokens.mean() for s in curve]]),
        np.array([[s.right.mean() for s in rivals]]), np.array([[s.tokens.mean() for s in rivals]]),
    )[0]  # fmt: skip
    drawn = _lead(*_bootstrapped(curve, draws), *_bootstrapped(rivals, draws))
    spread = drawn.std(axis=0)
    moves = spread > STILL
    reach = np.abs(drawn - values)[:, moves] / spread[moves]
    width = float(np.quantile(reach.max(axis=1), BAND)) if moves.any() else 0.0
    return [Band(float(v), float(v - width * s), float(v + width * s)) for v, s in zip(values, spread, strict=True)]


def _lead(accuracy: Rows, tokens: Rows, rival_accuracy: Rows, rival_tokens: Rows) -> Rows:
    """Row by row; below its first point a curve is mixed with no answer at all, beyond its last one it stays."""
    order = np.argsort(tokens, axis=1)
    points = (np.take_along_axis(tokens, order, axis=1), np.take_along_axis(accuracy, order, axis=1))
    met = [np.interp(wanted, [0.0, *xs], [0.0, *ys]) for xs, ys, wanted in zip(*points, rival_tokens, strict=True)]
    return np.array(met) - rival_accuracy


def _bootstrapped(systems: Sequence[Spent], draws: Resampler) -> tuple[Rows, Rows]:
    """Mean accuracy and mean tokens, a row per draw and a column per system."""
    clusters = draws.weights.shape[1]
    columns = [np.ones_like(systems[0].right), *(s.right for s in systems), *(s.tokens for s in systems)]
    sums = np.stack([np.bincount(draws.codes, weights=column, minlength=clusters) for column in columns], axis=1)
    drawn = draws.weights.astype(float) @ sums
    means = drawn[:, 1:] / drawn[:, :1]
    return means[:, : len(systems)], means[:, len(systems) :]


def _band(value: float, drawn: Rows) -> Band:
    low, high = np.quantile(drawn, [(1.0 - BAND) / 2.0, (1.0 + BAND) / 2.0])
    return Band(value, float(low), float(high))
