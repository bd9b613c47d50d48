"""How often the leading answer is right, by its frequency, fitted to logged attempts.

Isotonic regression (pool adjacent violators; Barlow et al. 1972): the rising function with the least squared error.
Every beginning of a problem's attempts, in several orders, is a case: its leader's frequency, and whether it is right;
all cases of a problem together weigh 1. `lookahead_vote table=FILE` stops by it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.outcome import Measured, Pool
from trueup.core.types import Attempt
from trueup.plan.engines import Mixture, mixtures, noted
from trueup.plan.estimate import Column

ORDERS = 20


@dataclass(frozen=True, slots=True)
class Rightness:
    """Points of a rising function; `problems` is how many it was fitted to, `engines` which ones were mixed in them."""

    frequency: tuple[float, ...]
    right: tuple[float, ...]
    problems: int
    engines: tuple[Mixture, ...] = ()

    def save(self, path: Path) -> None:
        """Write it to a file."""
        table = {"frequency": self.frequency, "right": self.right, "problems": self.problems}
        path.write_text(json.dumps(table | noted(self.engines)) + "\n")


def fit_rightness(
    measured: Measured, frequency: Callable[[Sequence[Attempt]], float], *, orders: int = ORDERS, seed: int = 0
) -> Rightness:
    """The chance that a leader is right, by the frequency that this function sees in the attempts so far.

    Raises BadInput where the stratum has no attempts.
    """
    pools = [pool for pool in measured.pools if pool.attempts]
    if not pools:
        raise BadInput(f"stratum {measured.stratum.name!r} has no attempts to fit to; run `trueup sample` first")
    cases = [case for pool in pools for case in _cases(pool, frequency, orders, seed)]
    at, right, weight = np.array(cases).T
    places, heights = _isotonic(at, right, weight)
    return Rightness(tuple(map(float, places)), tuple(map(float, heights)), len(pools), mixtures(measured.engines))


def _cases(
    pool: Pool, frequency: Callable[[Sequence[Attempt]], float], orders: int, seed: int
) -> list[tuple[float, float, float]]:
    """Frequency, whether the leader is right (a share where several lead), weight."""
    dice = random.Random(f"{seed}:{pool.item.problem.id}:rightness")
    good = {a.answer for a, grade in zip(pool.attempts, pool.grades, strict=True) if grade.is_right}
    size = len(pool.attempts)
    cases = []
    for _ in range(orders):
        order = dice.sample(pool.attempts, size)
        for taken in range(1, size + 1):
            share = _share_right(order[:taken], good)
            cases.append((frequency(order[:taken]), share, 1.0 / (orders * size)))
    return cases


def _share_right(attempts: Sequence[Attempt], good: set[str | None]) -> float:
    votes = Counter(attempt.answer for attempt in attempts if attempt.answer is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    leaders = [answer for answer, number in votes.items() if number == most]
    return sum(answer in good for answer in leaders) / len(leaders)


def _isotonic(at: Column, right: Column, weight: Column) -> tuple[Column, Column]:
    """The fitted steps, each by its two ends, so that lines between points follow it."""
    from scipy.optimize import isotonic_regression

    places, inverse = np.unique(np.round(at, 12), return_inverse=True)
    weights = np.bincount(inverse, weight)
    means = np.bincount(inverse, weight * right) / weights
    fitted = isotonic_regression(means, weights=weights)
    ends = np.unique(np.concatenate([fitted.blocks[:-1], fitted.blocks[1:] - 1]))
    return places[ends], np.clip(fitted.x[ends], 0.0, 1.0)
