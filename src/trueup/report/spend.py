"""What the frontier counts as cost, and where each amount of it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueup.report.axes import Frame
from trueup.report.svg import Scale, el, log_scale, log_ticks
from trueup.report.words import known, short, tick_dollars

Point = Mapping[str, Any]
GUTTER = 44.0


@dataclass(frozen=True, slots=True)
class Spend:
    """The axis of cost.

    Amounts that a logarithm cannot show, nothing and unknown, have columns of their own at the ends.
    """

    unit: str
    scale: Scale
    ticks: Sequence[float]
    free: float
    unknown: float

    def cost(self, point: Point) -> float | None:
        """What a point costs in this unit: dollars for 1,000 requests, or tokens a request."""
        return _usd(point) if self.unit == "usd" else _tokens(point)

    def at(self, point: Point) -> float:
        """Where a point lies across."""
        cost = self.cost(point)
        if cost is None or not known(cost):
            return self.unknown
        return self.scale.at(cost) if cost > 0 else self.free

    @property
    def title(self) -> str:
        """What the axis is called."""
        return "cost per 1,000 requests" if self.unit == "usd" else "tokens per request"

    def name(self, amount: float) -> str:
        """An amount at a tick."""
        return tick_dollars(amount) if self.unit == "usd" else short(amount)


def _usd(point: Point) -> float | None:
    usd: float | None = point["cost"]["usd"]
    return None if usd is None else 1000 * usd


def _tokens(point: Point) -> float | None:
    prompt, completion = point["cost"]["prompt_tokens"], point["cost"]["completion_tokens"]
    return None if prompt is None or completion is None else float(prompt + completion)


def axis(points: Sequence[Point], frame: Frame) -> Spend:
    """Dollars where at least half of the arms have a price, or no more have a token count; else tokens."""
    usd, tokens = [_usd(p) for p in points], [_tokens(p) for p in points]
    unit = "usd" if usd.count(None) <= max(len(points) / 2, tokens.count(None)) else "tokens"
    costs = usd if unit == "usd" else tokens
    positive = [cost for cost in costs if cost is not None and known(cost) and cost > 0]
    left = frame.left + (GUTTER if 0 in costs else 0)
    right = frame.right - (GUTTER if None in costs else 0)
    scale = log_scale(positive, left, right)
    ticks = log_ticks(scale) if positive else []
    return Spend(unit, scale, ticks, frame.left + GUTTER / 2, frame.right - GUTTER / 2)


def ends(points: Sequence[Point], axis: Spend, frame: Frame) -> str:
    """The names of the columns for nothing and unknown, where there are such arms."""
    costs = [axis.cost(point) for point in points]
    columns = [("free", axis.free, 0 in costs), ("unknown", axis.unknown, None in costs)]
    return "".join(
        el("text", text, class_="tick middle", x=x, y=frame.bottom + 18) for text, x, is_needed in columns if is_needed
    )
