"""Two policies on the same items, right or wrong each once.

McNemar's test with the mid-p (Fagerland, Lydersen and Laake 2013), and Tango's score interval of the difference of two
accuracies (Tango 1998). Exact McNemar is over-conservative, and Wald's interval too short on few items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.plan.resample import Interval

Z = 1.959963984540054
"""Two-sided 95 %."""
HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Paired:
    """`won` items are right by the first policy alone, `lost` ones by the second alone; `p` is two-sided."""

    n: int
    won: int
    lost: int
    p: float
    ci95: Interval

    @property
    def difference(self) -> float:
        """The first policy's accuracy minus the second's."""
        return (self.won - self.lost) / self.n


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """Compare the first policy with the second, an entry per item.

    Raises BadInput where they are not of the same items.
    """
    if len(first) != len(second) or not len(first):
        raise BadInput(f"{len(first)} items against {len(second)}: a paired test needs the same ones, at least one")
    won, lost = int((first & ~second).sum()), int((second & ~first).sum())
    return Paired(len(first), won, lost, mcnemar(won, lost), tango(len(first), won, lost))


def mcnemar(won: int, lost: int) -> float:
    """The two-sided mid-p of so many items that changed either way; 1 where none did."""
    from scipy.special import bdtr

    fewer, flips = min(won, lost), won + lost
    if won == lost:
        return 1.0
    below = bdtr(fewer - 1, flips, 0.5) if fewer else 0.0
    return float(below + bdtr(fewer, flips, 0.5))


def tango(n: int, won: int, lost: int) -> Interval:
    """The 95 % score interval of the difference of two paired accuracies."""

    def excess(difference: float) -> float:
        off = won - lost - n * difference
        return off * off - Z * Z * n * _variance(n, won, lost, difference)

    middle = (won - lost) / n
    return _crossing(excess, middle, -1.0), _crossing(excess, middle, 1.0)


def _variance(n: int, won: int, lost: int, difference: float) -> float:
    """Of one item's difference, at the likeliest share of `lost` under this difference (Tango, eq. 4)."""
    b = (2 * n - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    share = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    return max(0.0, 2 * share + difference * (1 - difference))


def _crossing(excess: Callable[[float], float], inside: float, outside: float) -> float:
    """Where the statistic leaves the interval on this side, by bisection."""
    if excess(outside) <= 0:
        return outside
    for _ in range(HALVINGS):
        between = (inside + outside) / 2
        inside, outside = (between, outside) if excess(between) <= 0 else (inside, between)
    return inside
