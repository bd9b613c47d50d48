"""Watch whether what is served stays as right as was proved, however often one looks.

Evidence that answers are wrong more often than `allowed` multiplies, answer by answer, 1 + k (wrong - allowed), k > 0
chosen beforehand: while they are not, its mean stays at 1 or below, and so it ever reaches 1 / delta with probability
delta at most (Ville 1939; Waudby-Smith and Ramdas 2024, arXiv:2010.09686). For k = (p - allowed) / (allowed (1 -
allowed)) the factors are the likelihood ratio of a chance p, and mixed over all p above `allowed` alike (Robbins 1970)
the evidence is a ratio of beta functions, which counts alone decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from trueup.plan.estimate import CONFIDENCE, Column

TINY = 1e-300
MOST_LOG = 700.0
"""The logarithm of the most evidence that a float holds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What n answers in the order of their requests tell of an accuracy that was proved.

    `interval` holds the accuracy with probability 95 % at all looks together. `evidence` is the most there ever was
    against `proved`, and `alarm_at` the answer, counted from 1, at which it reached 1 / delta; None where it did not,
    or nothing was proved.
    """

    n: int
    right: int
    interval: tuple[float, float]
    proved: float | None
    evidence: float
    alarm_at: int | None


def hold_against(rights: Sequence[bool], proved: float | None, delta: float) -> Standing:
    """Hold graded answers to independent requests, in their order, against an accuracy that was proved.

    `delta` is the risk of an alarm, ever, while the accuracy is what was proved.
    """
    n, right = len(rights), sum(rights)
    grown = log_evidence(rights, 1.0 - proved) if proved else np.full(n, -inf)
    reached = np.flatnonzero(grown >= -log(delta))
    most = exp(min(float(grown.max()), MOST_LOG)) if n else 0.0
    first = int(reached[0]) + 1 if len(reached) else None
    return Standing(n, right, anytime_interval(right, n), proved, most, first)


def log_evidence(rights: Sequence[bool], allowed: float) -> Column:
    """Shape [n]: the logarithm of the evidence after each answer, that more than a share `allowed` of them is wrong."""
    from scipy.special import betaincc, betaln, xlog1py, xlogy

    wrong = np.cumsum(~np.asarray(rights, dtype=bool))
    right = np.arange(1, len(rights) + 1) - wrong
    if allowed >= 1:
        return np.zeros(len(rights))
    a, b = wrong + 1.0, right + 1.0
    with np.errstate(divide="ignore"):
        mixed = betaln(a, b) + np.log(betaincc(a, b, allowed)) - log(1.0 - allowed)
    told: Column = mixed - xlogy(wrong, allowed) - xlog1py(right, -allowed)
    return told


def anytime_interval(right: int, n: int) -> tuple[float, float]:
    """The accuracies that the answers so far speak against with evidence below 20, 1 / (1 - 95 %) (Robbins 1970)."""
    return _least(right, n), 1.0 - _least(n - right, n)


def _least(right: int, n: int) -> float:
    """The lower limit: what a mixture over all chances speaks against by so much and no more."""
    from scipy.optimize import brentq
    from scipy.special import betaln, xlog1py, xlogy

    if right == 0:
        return 0.0

    def excess(p: float) -> float:
        told = betaln(right + 1, n - right + 1) - xlogy(right, p) - xlog1py(n - right, -p)
        return float(told) + log(1.0 - CONFIDENCE)

    return float(brentq(excess, TINY, right / n, xtol=TINY))
