"""How often a judge is right, and its verdicts corrected.

After Lee et al. 2025, arXiv:2511.21140: q1 is the share of right answers that the judge passes, q0 the share of wrong
ones that it rejects, both measured on m1 and m0 graded answers. A share p of n verdicts then stands for an accuracy
(`core.judging`) that has the variance of p, q0 and q1 in it by the delta method. Measure them on answers of
the very policy that is judged: judges favour some. A check that needs no reference has the same two rates:
its true positive rate is q1, its false positive rate 1 - q0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.judging import true_share
from trueup.plan.estimate import accuracy_interval


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """What a judge's verdicts on m1 right and m0 wrong answers were, with exact 95 % intervals."""

    q0: float
    q1: float
    m0: int
    m1: int
    q0_ci95: tuple[float, float]
    q1_ci95: tuple[float, float]

    @property
    def edge(self) -> float:
        """How far it is from chance: 1 for a perfect judge, 0 for one that tells nothing."""
        return self.q0 + self.q1 - 1

    @property
    def may_be_chance(self) -> bool:
        """Whether the intervals leave room for a judge that tells nothing."""
        return self.q0_ci95[0] + self.q1_ci95[0] <= 1


@dataclass(frozen=True, slots=True)
class Corrected:
    """An accuracy as judged and as corrected; the value is not cut to [0, 1], its interval is.

    `variance` is by the shares as they are, the interval by shares that never are 0 or 1.
    """

    judged: float
    value: float
    variance: float
    n: int
    ci95: tuple[float, float]


def measure_judge(passed: Sequence[bool], right: Sequence[bool], clusters: Sequence[str] | None = None) -> JudgeRates:
    """The rates of a judge that passed these answers, of which these were right.

    Answers of one cluster are not independent, which widens the intervals; left out, each is its own. Raises BadInput
    where there is no right or no wrong answer among them.
    """
    said, truth = np.array(passed, dtype=bool), np.array(right, dtype=bool)
    _, codes = np.unique(clusters, return_inverse=True) if clusters else (None, np.arange(len(said)))
    m0, m1 = int((~truth).sum()), int(truth.sum())
    if not (m0 and m1):
        raise BadInput(f"a judge is measured on right and wrong answers; here are {m1} and {m0}: sample more problems")
    rejects, passes = (~said[~truth]).astype(float), said[truth].astype(float)
    return JudgeRates(
        float(rejects.mean()), float(passes.mean()), m0, m1,
        accuracy_interval(rejects, codes[~truth]), accuracy_interval(passes, codes[truth]),
    )  # fmt: skip


def correct_judged(judged: float, n: int, rates: JudgeRates) -> Corrected:
    """The accuracy behind a share of n answers that passed this judge.

    Raises BadInput for a judge that is no better than chance, whose verdicts say nothing.
    """
    value = true_share(judged, rates.q0, rates.q1)
    variance = _variance(judged, n, rates.q0, rates.q1, rates.m0, rates.m1)
    return Corrected(judged, value, variance, n, _interval(judged, n, rates))


def _interval(judged: float, n: int, rates: JudgeRates) -> tuple[float, float]:
    """By adjusted shares, about what can be; everything where these shares are no better than chance."""
    p, q0, q1 = _adjusted(judged, n), _adjusted(rates.q0, rates.m0), _adjusted(rates.q1, rates.m1)
    if q0 + q1 <= 1:
        return 0.0, 1.0
    middle = min(1.0, max(0.0, true_share(p, q0, q1)))
    reach = NormalDist().inv_cdf(0.975) * sqrt(_variance(p, n + 4, q0, q1, rates.m0 + 4, rates.m1 + 4))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _adjusted(share: float, n: int) -> float:
    """A share with two successes and two failures more (Agresti and Coull 1998)."""
    return (share * n + 2) / (n + 4)


def _variance(p: float, n: int, q0: float, q1: float, m0: int, m1: int) -> float:
    value = true_share(p, q0, q1)
    spread = p * (1 - p) / n + (1 - value) ** 2 * q0 * (1 - q0) / m0 + value**2 * q1 * (1 - q1) / m1
    return spread / (q0 + q1 - 1) ** 2
