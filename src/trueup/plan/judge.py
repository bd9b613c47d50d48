"""How often a judge is right, and its verdicts corrected.

After Lee et al. 2025, arXiv:2511.21140: q1 is the share of right answers that the judge passes, q0 the share of wrong
ones that it rejects, both measured on m1 and m0 graded answers. A share p of n verdicts then stands for an accuracy
(`core.judging`) that has the variance of p, q0 and q1 in it by the delta method. Measure them on answers of
the very policy that is judged: judges favour some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from trueup.core.errors import BadInput
from trueup.core.judging import true_share


@dataclass(frozen=True, slots=True)
class JudgeRates:
    """What a judge's verdicts on m1 right and m0 wrong answers were."""

    q0: float
    q1: float
    m0: int
    m1: int

    @property
    def edge(self) -> float:
        """How far it is from chance: 1 for a perfect judge, 0 for one that tells nothing."""
        return self.q0 + self.q1 - 1


@dataclass(frozen=True, slots=True)
class Corrected:
    """An accuracy as judged and as corrected; the value is not cut to [0, 1], its interval is."""

    judged: float
    value: float
    variance: float
    n: int
    ci95: tuple[float, float]


def measure_judge(passed: Sequence[bool], right: Sequence[bool]) -> JudgeRates:
    """The rates of a judge that passed these answers, of which these were right.

    Raises BadInput where there is no right or no wrong answer among them.
    """
    good = [said for said, truth in zip(passed, right, strict=True) if truth]
    bad = [said for said, truth in zip(passed, right, strict=True) if not truth]
    if not good or not bad:
        raise BadInput(f"a judge is measured on right and wrong answers; here are {len(good)} and {len(bad)}")
    return JudgeRates(1 - sum(bad) / len(bad), sum(good) / len(good), len(bad), len(good))


def correct_judged(judged: float, n: int, rates: JudgeRates) -> Corrected:
    """The accuracy behind a share of n answers that passed this judge.

    Raises BadInput for a judge that is no better than chance, whose verdicts say nothing.
    """
    value = true_share(judged, rates.q0, rates.q1)
    spread = (
        judged * (1 - judged) / n
        + (1 - value) ** 2 * rates.q0 * (1 - rates.q0) / rates.m0
        + value**2 * rates.q1 * (1 - rates.q1) / rates.m1
    )
    variance = spread / rates.edge**2
    reach = NormalDist().inv_cdf(0.975) * sqrt(variance)
    return Corrected(judged, value, variance, n, (max(0.0, value - reach), min(1.0, value + reach)))
