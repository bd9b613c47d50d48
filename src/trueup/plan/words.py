"""Figures in the sentences of a plan."""

from __future__ import annotations

import math
from decimal import Decimal

SIGN = " %"


def percent(share: float) -> str:
    """A share: `41 %`, with a decimal where it would round to nothing or all."""
    points = 100 * share
    digits = 1 if 0 < abs(points) < 1 or 99 < abs(points) < 100 else 0
    return f"{points + 0.0:.{digits}f}{SIGN}"


def floored(share: float, sign: str = SIGN) -> str:
    """A share that is promised, never rounded up: `94 %`, with a decimal where whole points would be: `89.8 %`."""
    tenths = math.floor(round(1000 * share, 9))
    is_whole = tenths in (0, 1000) or (10 <= tenths <= 990 and tenths % 10 < 5)
    return f"{tenths // 10}{sign}" if is_whole else f"{tenths / 10:.1f}{sign}"


def as_given(share: float, sign: str = SIGN) -> str:
    """A share that a person gave, with all its digits: `90 %`, `99.5 %`."""
    return f"{(100 * Decimal(str(share))).normalize():f}{sign}"


def points(share: float) -> str:
    """A difference of shares: `34 points`."""
    return percent(share).removesuffix(SIGN) + " points"


def between(interval: tuple[float, float]) -> str:
    """An interval of shares: `95 % interval 24 to 43`."""
    low, high = (percent(end).removesuffix(SIGN) for end in interval)
    return f"95 % interval {low} to {high}"


def dollars(usd: float) -> str:
    """Dollars to three digits, never in powers of ten."""
    if abs(usd) >= 1000:
        return f"${usd:,.0f}"
    return f"${Decimal(f'{usd:.3g}'):f}"


def many(number: float) -> str:
    """A number of requests or items."""
    return f"{number:,.0f}"
