"""Figures in the sentences of a plan."""

from __future__ import annotations

from decimal import Decimal


def percent(share: float) -> str:
    """A share: `41 %`, with a decimal where it would round to nothing or all."""
    points = 100 * share
    digits = 1 if 0 < abs(points) < 1 or 99 < abs(points) < 100 else 0
    return f"{points + 0.0:.{digits}f} %"


def points(share: float) -> str:
    """A difference of shares: `34 points`."""
    return percent(share).removesuffix(" %") + " points"


def between(interval: tuple[float, float]) -> str:
    """An interval of shares: `95 % interval 24 to 43`."""
    low, high = (percent(end).removesuffix(" %") for end in interval)
    return f"95 % interval {low} to {high}"


def dollars(usd: float) -> str:
    """Dollars to three digits, never in powers of ten."""
    if abs(usd) >= 1000:
        return f"${usd:,.0f}"
    return f"${Decimal(f'{usd:.3g}'):f}"


def many(number: float) -> str:
    """A number of requests or items."""
    return f"{number:,.0f}"
