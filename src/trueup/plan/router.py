"""Learn from a prompt's features whether a method will be right.

Logistic regression with an L2 penalty on scaled features, its log-odds calibrated by isotonic regression (Zadrozny and
Elkan 2002) on predictions for items that the regression had not seen. The penalty is the one of the lowest
cross-validated loss. Predictions to judge a router by are made for whole clusters that neither the regression, nor its
penalty, nor its calibration knew. Features that every item has are standardised, the rarer ones weighed by their
inverse document frequency; both are folded into the weights, so that what is fitted is linear in features as given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueup.core.errors import BadInput
from trueup.plan.estimate import Codes, Column

Rows = Sequence[Mapping[str, float]]
"""The features of each item by name; one that is missing is 0."""
Matrix = Any
"""A scipy.sparse.csr_array, a row per item."""
PENALTIES = (0.3, 3.0, 30.0)
FOLDS = 5
LEAST_ITEMS = 2
"""A feature of fewer items than this is left out: it could only name them."""


@dataclass(frozen=True, slots=True)
class Chance:
    """The log-odds bias + weights * features, and the knots from there to the share that was right."""

    bias: float
    weights: Mapping[str, float]
    penalty: float
    logits: tuple[float, ...]
    shares: tuple[float, ...]

    def of(self, rows: Rows) -> Column:
        """The calibrated chance for each item; between two knots it rises in a line."""
        each = [sum(self.weights.get(name, 0.0) * value for name, value in row.items()) for row in rows]
        return np.interp(self.bias + np.array(each, dtype=float), self.logits, self.shares)


def fit_chance(rows: Rows, right: Column, clusters: Sequence[str], *, seed: int) -> Chance:
    """Learn the chance of being right from these items.

    Raises BadInput for fewer than two clusters.
    """
    names, matrix = _matrix(rows)
    found = _fit(matrix, right, _codes(clusters, 2), seed)
    weights = {name: weight for name, weight in zip(names, found.line.weights.tolist(), strict=True) if weight}
    return Chance(found.line.bias, weights, found.penalty, tuple(found.logits.tolist()), tuple(found.shares.tolist()))


def held_out_chances(rows: Rows, right: Column, clusters: Sequence[str], *, seed: int) -> Column:
    """For each item the chance that is learned from the clusters of the other folds.

    Raises BadInput for fewer than four clusters: each fold's fit needs folds of its own.
    """
    _, matrix = _matrix(rows)
    codes = _codes(clusters, 4)
    chances = np.empty(len(right))
    for inside, outside in _folds(codes, seed):
        found = _fit(matrix[inside], right[inside], codes[inside], seed + 1)
        chances[outside] = np.interp(found.line.logits(matrix[outside]), found.logits, found.shares)
    return chances


def fold_of(clusters: Sequence[str], *, seed: int) -> Codes:
    """The fold in which `held_out_chances` predicts each item; chances of two folds come from two models."""
    return _fold(_codes(clusters, 1), seed)


@dataclass(frozen=True, slots=True)
class _Line:
    bias: float
    weights: Column

    def logits(self, matrix: Matrix) -> Column:
        logits: Column = self.bias + matrix @ self.weights
        return logits


@dataclass(frozen=True, slots=True)
class _Fit:
    line: _Line
    penalty: float
    logits: Column
    shares: Column


def _fit(matrix: Matrix, right: Column, codes: Codes, seed: int) -> _Fit:
    """The penalty of the lowest loss on items not seen, the calibration on these, and the line through all."""
    folds = _folds(codes, seed)
    tries = [(penalty, _held_out_logits(matrix, right, folds, penalty)) for penalty in PENALTIES]
    penalty, logits = min(tries, key=lambda one: _log_loss(one[1], right))
    return _Fit(_regress(matrix, right, penalty), penalty, *_isotonic(logits, right))


def _held_out_logits(matrix: Matrix, right: Column, folds: Sequence[tuple[Codes, Codes]], penalty: float) -> Column:
    logits = np.empty(len(right))
    for inside, outside in folds:
        logits[outside] = _regress(matrix[inside], right[inside], penalty).logits(matrix[outside])
    return logits


def _regress(matrix: Matrix, right: Column, penalty: float) -> _Line:
    from scipy.optimize import minimize

    centre, scale = _scaling(matrix)
    signs = 2.0 * right - 1.0

    def loss(theta: Column) -> tuple[float, Column]:
        weights = theta[1:] * scale
        margins = signs * (theta[0] + matrix @ weights - centre @ weights)
        pull = -signs / (1.0 + np.exp(np.clip(margins, -500, 500)))
        slope = scale * (matrix.T @ pull - centre * pull.sum()) + penalty * theta[1:]
        value = np.logaddexp(0.0, -margins).sum() + penalty / 2.0 * theta[1:] @ theta[1:]
        return float(value), np.concatenate([[pull.sum()], slope])

    # Where all items or none are right the bias has no finite optimum.
    limits = [(-20.0, 20.0), *[(None, None)] * len(scale)]
    theta = np.asarray(minimize(loss, np.zeros(1 + len(scale)), jac=True, method="L-BFGS-B", bounds=limits).x)
    weights = theta[1:] * scale
    return _Line(float(theta[0] - centre @ weights), weights)


def _matrix(rows: Rows) -> tuple[list[str], Matrix]:
    from scipy.sparse import csr_array

    seen = Counter(name for row in rows for name in row)
    names = sorted(name for name, times in seen.items() if times >= LEAST_ITEMS)
    place = {name: column for column, name in enumerate(names)}
    at = [i for i, row in enumerate(rows) for name in row if name in place]
    columns = [place[name] for row in rows for name in row if name in place]
    values = [value for row in rows for name, value in row.items() if name in place]
    return names, csr_array((np.array(values, float), (at, columns)), shape=(len(rows), len(names)))


def _scaling(matrix: Matrix) -> tuple[Column, Column]:
    """What to take off each column, and what to multiply it by then; columns of too few items by 0."""
    items, columns = matrix.shape
    present = np.bincount(matrix.indices, minlength=columns).astype(float)
    centre = np.bincount(matrix.indices, matrix.data, columns) / items
    spread = np.sqrt(np.maximum(np.bincount(matrix.indices, matrix.data**2, columns) / items - centre**2, 0.0))
    is_common = present == items
    standard = np.where(spread > 1e-9, 1.0 / np.maximum(spread, 1e-9), 0.0)
    rarity = np.where(present >= LEAST_ITEMS, np.log((1.0 + items) / (1.0 + present)) + 1.0, 0.0)
    return np.where(is_common, centre, 0.0), np.where(is_common, standard, rarity)


def _isotonic(logits: Column, right: Column) -> tuple[Column, Column]:
    """The knots: the mean log-odds of each block of equal shares, and its share."""
    from scipy.optimize import isotonic_regression

    # Items of the same log-odds are one point, or their order would matter.
    values, places = np.unique(logits, return_inverse=True)
    weights = np.bincount(places).astype(float)
    found = isotonic_regression(np.bincount(places, right) / weights, weights=weights)
    starts = np.asarray(found.blocks, dtype=int)[:-1]
    middles = np.add.reduceat(values * weights, starts) / np.add.reduceat(weights, starts)
    return middles, np.asarray(found.x, dtype=float)[starts]


def _log_loss(logits: Column, right: Column) -> float:
    return float(np.logaddexp(0.0, -(2.0 * right - 1.0) * logits).mean())


def _codes(clusters: Sequence[str], least: int) -> Codes:
    _, codes = np.unique(np.array(clusters, dtype=str), return_inverse=True)
    if len(np.unique(codes)) < least:
        raise BadInput(f"a router takes at least {least} independent items, here are {len(np.unique(codes))}")
    return codes


def _folds(codes: Codes, seed: int) -> list[tuple[Codes, Codes]]:
    """Items inside and outside each fold's training set."""
    fold = _fold(codes, seed)
    return [(np.flatnonzero(fold != part), np.flatnonzero(fold == part)) for part in np.unique(fold)]


def _fold(codes: Codes, seed: int) -> Codes:
    """Whole clusters, as even as can be."""
    _, places = np.unique(codes, return_inverse=True)
    number = int(places.max()) + 1
    return (np.random.default_rng(abs(seed)).permutation(number) % min(FOLDS, number))[places]
