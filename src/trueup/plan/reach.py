"""What each way of answering reaches, item by item, on the items that have attempts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.outcome import Pool
from trueup.plan.estimate import Column
from trueup.plan.resample import Interval
from trueup.plan.sheet import Sheet, mean

CONSTRAINED = ("constrained",)
GREEDY = "greedy"
PLAIN = ("once", GREEDY, *CONSTRAINED)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of answering and how often it is right on each item; NaN where it was not tried."""

    label: str
    right: Column

    @property
    def accuracy(self) -> float:
        """The mean over the items that it was tried on."""
        return mean(self.right) or 0.0


@dataclass(frozen=True, slots=True)
class Gain:
    """How much more often one way is right than another, on the same items."""

    label: str
    value: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Reach:
    """The ways that the tests compare: those of the study's own model, and its solver.

    `selector` is the deployable way of making one answer of many attempts that did best: a measured arm, or
    the plain vote over the pool; of equals the last arm. `greedy`, over one attempt, `solver` and `constrained` may be
    missing, and with the latter its `gain` over free decoding. `others` is 1 where any other deployable arm is
    right, `oracle` where an arm that saw the reference is. What asks another model, or may come to the solver, is no
    way of sampling: it says nothing of what this model reaches.
    """

    selector: Way
    greedy: Gain | None
    solver: Way | None
    constrained: Way | None
    gain: Gain | None
    others: Column
    oracle: Column


def reach(sheet: Sheet) -> Reach:
    """Compare the ways on the items that have attempts."""
    tried = sheet.attempts > 0
    constrained = _best(sheet, sheet.sampling(CONSTRAINED))
    return Reach(
        selector=_selector(sheet),
        greedy=_over(sheet, GREEDY, sheet.pass_at_1) if GREEDY in sheet.arms else None,
        solver=_best(sheet, sheet.solving()),
        constrained=constrained,
        gain=_gain(sheet),
        others=_any(sheet, sheet.sampling(without=CONSTRAINED), tried),
        oracle=_any(sheet, sheet.sampling_oracles(), tried),
    )


def vote_rate(pool: Pool | None, n: int) -> float:
    """The chance that the most frequent answer of the first n attempts is right, ties being drawn by lot."""
    if pool is None or not pool.attempts:
        return float("nan")
    votes: Counter[str] = Counter()
    right: dict[str, bool] = {}
    for attempt, grade in list(zip(pool.attempts, pool.grades, strict=True))[:n]:
        if attempt.answer is not None:
            votes[attempt.answer] += 1
            right[attempt.answer] = grade.is_right
    tied = [answer for answer, count in votes.items() if count == max(votes.values())]
    return sum(right[answer] for answer in tied) / len(tied) if tied else 0.0


def _selector(sheet: Sheet) -> Way:
    most = int(sheet.attempts.max())
    vote = Way(f"a vote of {most} attempts", np.array([vote_rate(pool, most) for pool in sheet.pools]))
    ways = [Way(label, _tried(sheet, sheet.arms[label])) for label in sheet.sampling(without=PLAIN)]
    return max([*reversed(ways), vote], key=lambda way: way.accuracy)


def _best(sheet: Sheet, labels: list[str]) -> Way | None:
    ways = [Way(label, _tried(sheet, sheet.arms[label])) for label in labels]
    return max(ways, key=lambda way: way.accuracy, default=None)


def _tried(sheet: Sheet, right: Column) -> Column:
    return np.where(sheet.attempts > 0, right, np.nan)


def _gain(sheet: Sheet) -> Gain | None:
    """Constrained decoding with the fewest samples against free decoding with as many."""
    labels = sheet.sampling(CONSTRAINED)
    if not labels:
        return None
    label = min(labels, key=lambda name: _samples(sheet, name))
    n = _samples(sheet, label)
    return _over(sheet, label, sheet.pass_at_1 if n == 1 else np.array([vote_rate(pool, n) for pool in sheet.pools]))


def _over(sheet: Sheet, label: str, other: Column) -> Gain | None:
    """An arm against another way, on the same items."""
    value = mean(sheet.arms[label] - other)
    return None if value is None else Gain(label, value, sheet.draws.difference(sheet.arms[label], other))


def _samples(sheet: Sheet, label: str) -> int:
    return int(sheet.known_arms[label].settings.get("n", 1))


def _any(sheet: Sheet, labels: list[str], tried: NDArray[np.bool_]) -> Column:
    right = np.zeros(len(sheet.attempts))
    for label in labels:
        right = np.maximum(right, np.nan_to_num(sheet.arms[label]))
    return np.where(tried, right, 0.0)
