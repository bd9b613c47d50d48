"""Fit a head to graded attempts; measure it on other items.

Ridge-penalised logistic regression by Newton's method on standardised features; the loss is convex, so the same
pools give the same head. Legend: N texts, F features.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.outcome import Pool
from trueup.raters.features import describe
from trueup.raters.head import Head

ROUNDS = 50
ENOUGH = 1e-10
CONSTANT = 1e-9
FOLDS = 25
"""Parts of the clusters, each rated by a head that was fitted to the others; where they are few, each is a part."""

Rows = Sequence[tuple[Sequence[float], bool]]
"""The features of attempts, and whether each is right."""


@dataclass(frozen=True, slots=True)
class Discrimination:
    """How well ratings tell right from wrong: the probability that the right one of two is rated higher.

    `overall` compares any two attempts, `within` two at the same item, which is what selection is about; ties count
    half, None says that there was no pair. `items` is the number that had both right and wrong attempts, `unrated` the
    number that no head could be fitted for.
    """

    overall: float | None
    within: float | None
    items: int
    unrated: int = 0


def fit_head(pools: Sequence[Pool], *, penalty: float = 1.0, about: str = "") -> Head:
    """The head that makes these grades likeliest, with `penalty` as the weights' prior precision.

    Raises BadInput where the attempts are all right or all wrong, or there is none.
    """
    return _head(_together(_described(pools)), penalty, about)


def learn_head(pools: Sequence[Pool], source: str) -> Head:
    """A head fitted to these pools of a source, which says what one like it is worth on items left out."""
    described, clusters = _described(pools), _clusters(pools)
    found, worth = _head(_together(described)), _held_out(described, clusters)
    count = max(clusters) + 1
    grouped, unit = (f" in {count} clusters", "clusters") if count < len(pools) else ("", "items")
    about = (
        f"fitted to {sum(len(pool.attempts) for pool in pools)} attempts at {len(pools)} items of {source}{grouped}; "
        f"on {unit} left out AUC {_told(worth.overall)} over all attempts, {_told(worth.within)} between attempts at "
        f"the same item ({worth.items} items with both kinds)"
    )
    if worth.unrated:
        about += f"; {worth.unrated} of {len(pools)} items could not be left out: all other attempts are of one kind"
    return replace(found, about=about)


def held_out(pools: Sequence[Pool], *, penalty: float = 1.0) -> Discrimination:
    """The discrimination of heads fitted to all clusters of items but a fold, each on the items of that fold.

    Items are not rated where all attempts at the others are right, or all are wrong.
    """
    return _held_out(_described(pools), _clusters(pools), penalty)


def discrimination(ratings: Sequence[Sequence[float]], right: Sequence[Sequence[bool]]) -> Discrimination:
    """The discrimination of ratings, a list per item, given which were right."""
    flat = [x for row in ratings for x in row], [y for row in right for y in row]
    inside = [pair for row, truth in zip(ratings, right, strict=True) for pair in [_pairs(row, truth)] if pair[1]]
    won, met = map(sum, zip(*inside, strict=True)) if inside else (0.0, 0)
    overall_won, overall_met = _pairs(*flat)
    return Discrimination(_ratio(overall_won, overall_met), _ratio(won, met), len(inside))


def _described(pools: Sequence[Pool]) -> list[Rows]:
    return [
        [(describe(pool.item.problem, a.text), g.is_right) for a, g in zip(pool.attempts, pool.grades, strict=True)]
        for pool in pools
    ]


def _clusters(pools: Sequence[Pool]) -> list[int]:
    """The cluster of each item, counted from 0."""
    places: dict[str, int] = {}
    return [places.setdefault(pool.item.cluster, len(places)) for pool in pools]


def _together(described: Iterable[Rows]) -> Rows:
    return [row for rows in described for row in rows]


def _is_mixed(rows: Rows) -> bool:
    """Whether there are right and wrong ones."""
    return len({is_right for _, is_right in rows}) == 2


def _held_out(described: Sequence[Rows], clusters: Sequence[int], penalty: float = 1.0) -> Discrimination:
    ratings: list[list[float]] = []
    right: list[list[bool]] = []
    folds = [cluster % FOLDS for cluster in clusters]
    for fold in sorted(set(folds)):
        inside = _together(rows for rows, its in zip(described, folds, strict=True) if its != fold)
        if _is_mixed(inside):
            model = _head(inside, penalty)
            outside = [rows for rows, its in zip(described, folds, strict=True) if its == fold]
            ratings += [[model.probability(x) for x, _ in rows] for rows in outside]
            right += [[is_right for _, is_right in rows] for rows in outside]
    return replace(discrimination(ratings, right), unrated=len(described) - len(ratings))


def _head(rows: Rows, penalty: float = 1.0, about: str = "") -> Head:
    import numpy as np

    if not _is_mixed(rows):
        raise BadInput(
            f"a head learns from right and wrong attempts; these {len(rows)} are all of one kind, sample more"
        )
    x_NF, y_N = np.array([x for x, _ in rows]), np.array([float(y) for _, y in rows])
    mean_F, scale_F = x_NF.mean(0), x_NF.std(0)
    scale_F = np.where(scale_F > CONSTANT, scale_F, np.inf)
    weight_F = _fitted((x_NF - mean_F) / scale_F, y_N, penalty)
    plain_F = weight_F[1:] / scale_F
    bias = float(weight_F[0] - plain_F @ mean_F)
    return Head(tuple(float(w) for w in plain_F), bias, about)


def _fitted(x_NF: Any, y_N: Any, penalty: float) -> Any:
    """The bias, which is not penalised, and the weights."""
    import numpy as np

    x_NF = np.hstack([np.ones((len(x_NF), 1)), x_NF])
    ridge_FF = penalty * np.diag([0.0, *[1.0] * (x_NF.shape[1] - 1)])
    weight_F = np.zeros(x_NF.shape[1])
    for _ in range(ROUNDS):
        p_N = 1 / (1 + np.exp(-(x_NF @ weight_F).clip(-500, 500)))
        slope_F = x_NF.T @ (p_N - y_N) + ridge_FF @ weight_F
        curve_FF = (x_NF * (p_N * (1 - p_N))[:, None]).T @ x_NF + ridge_FF
        step_F = np.linalg.solve(curve_FF, slope_F)
        weight_F = weight_F - step_F
        if abs(step_F).max() < ENOUGH:
            return weight_F
    warnings.warn(f"the head was still moving after {ROUNDS} rounds; raise penalty", stacklevel=3)
    return weight_F


def _pairs(ratings: Sequence[float], right: Sequence[bool]) -> tuple[float, int]:
    """Pairs of a right and a wrong one that were won, and that there are."""
    ups = [x for x, y in zip(ratings, right, strict=True) if y]
    downs = sorted(x for x, y in zip(ratings, right, strict=True) if not y)
    won = sum((bisect_left(downs, up) + bisect_right(downs, up)) / 2 for up in ups)
    return won, len(ups) * len(downs)


def _told(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.2f}"


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
