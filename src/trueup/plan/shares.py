"""A share of some things, with how many there are and its interval."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.plan.estimate import Codes, Column, accuracy_interval


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `n`, and the exact 95 % interval of the share, widened where things come in clusters."""

    count: int
    n: int
    value: float
    ci95: tuple[float, float]


def share_of(values: Column, codes: Codes) -> Share:
    """The share of ones among zeros and ones; `codes` says the cluster of each."""
    count, n = int(values.sum()), len(values)
    return Share(count, n, count / n if n else 0.0, accuracy_interval(values, codes))
