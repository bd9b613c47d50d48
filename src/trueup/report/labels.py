"""Labels beside their points: placed so that none lies on another.

Candidate places stand around each point at growing distances; the cheapest set is sought by going round the
labels a few times, each moving to where it disturbs least. A label that still collides is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from trueup.report.svg import el, text_width
from trueup.report.words import safe

SIZE, LINE = 13.0, 14.0
"""A phone shows labels this large; a wide page a little smaller, so what is placed here has room there."""
DISTANCES = (9.0, 15.0, 24.0, 36.0, 50.0, 66.0, 84.0, 104.0)
ANGLES = (0, 180, 90, 270, 30, 150, 330, 210, 60, 120, 300, 240)
ROUNDS = 6
ON_LABEL, ON_DOT, ON_LINE, COVERED, CROSSED = 60.0, 30.0, 3.0, 60.0, 25.0
"""Prices: of a unit of area shared with a label, a point, a line; of a line over a label, a line over a line."""
LEADER = 14.0
"""From this distance on a label has a line to its point."""
STEPS = (0.15, 0.35, 0.55, 0.75, 0.9)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in drawing units."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that two boxes share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide * high if wide > 0 and high > 0 else 0.0

    def within(self, other: Box) -> bool:
        """Whether the other box holds this one whole."""
        return (
            self.left >= other.left and self.right <= other.right
            and self.top >= other.top and self.bottom <= other.bottom
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to be labelled, with the span of its bar."""

    x: float
    y: float
    low: float
    high: float
    text: str
    class_: str = ""

    @property
    def dot(self) -> Box:
        """What the point itself covers."""
        return Box(self.x - 6, self.y - 6, self.x + 6, self.y + 6)

    @property
    def bar(self) -> Box:
        """What its interval covers."""
        return Box(self.x - 1, min(self.low, self.high), self.x + 1, max(self.low, self.high))


@dataclass(frozen=True, slots=True)
class Placed:
    """A label in its place: its box, and how far it stands from its point."""

    mark: Mark
    box: Box
    distance: float

    @property
    def leader(self) -> tuple[float, float, float, float]:
        """From the edge of the point to the nearest place on the label."""
        x = min(max(self.mark.x, self.box.left), self.box.right)
        y = min(max(self.mark.y, self.box.top + 2), self.box.bottom - 2)
        start = 6 / (math.hypot(x - self.mark.x, y - self.mark.y) or 1.0)
        return self.mark.x + (x - self.mark.x) * start, self.mark.y + (y - self.mark.y) * start, x, y

    def tangle(self, other: Placed) -> float:
        """What it costs that the line of one runs over the label or the line of the other."""
        if self._covers(other.box) or other._covers(self.box):
            return COVERED
        return CROSSED if _meet(self, other) else 0.0

    def _covers(self, box: Box) -> bool:
        if self.distance <= LEADER:
            return False
        x1, y1, x2, y2 = self.leader
        steps = ((x1 + (x2 - x1) * step, y1 + (y2 - y1) * step) for step in STEPS)
        return any(box.left < x < box.right and box.top < y < box.bottom for x, y in steps)


def _meet(one: Placed, other: Placed) -> bool:
    """Whether two lines to points cut each other: the ends of each lie on both sides of the other."""
    if min(one.distance, other.distance) <= LEADER:
        return False
    ax, ay, bx, by = one.leader
    cx, cy, dx, dy = other.leader
    first = _side(ax, ay, bx, by, cx, cy) * _side(ax, ay, bx, by, dx, dy)
    second = _side(cx, cy, dx, dy, ax, ay) * _side(cx, cy, dx, dy, bx, by)
    return first < 0 and second < 0


def _side(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    """On which side of the line from a to b a point lies, as a sign."""
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


def place(marks: Sequence[Mark], room: Box, lines: Sequence[Box] = ()) -> list[Placed]:
    """A place for each label inside the room, off the lines if it can; a label for which there is none is missing."""
    thin = [*lines, *(mark.bar for mark in marks)]
    dots = [mark.dot for mark in marks]
    choices = [[(option, _alone(option.box, dots, thin)) for option in _candidates(mark, room)] for mark in marks]
    chosen: dict[int, Placed] = {}
    for _ in range(ROUNDS):
        before = dict(chosen)
        for index, options in enumerate(choices):
            others = [placed for at, placed in chosen.items() if at != index]
            if options:
                chosen[index] = _cheapest(options, others)
        if chosen == before:
            break
    kept: list[Placed] = []
    for placed in chosen.values():
        if not any(placed.box.overlap(other.box) for other in kept):
            kept.append(placed)
    return kept


def draw(placed: Sequence[Placed]) -> str:
    """The labels, each with a thin line to its point where it stands away from it."""
    leaders = "".join(_leader(label) for label in placed if label.distance > LEADER)
    return leaders + "".join(_text(label) for label in placed)


def stack(wanted: Sequence[float], heights: Sequence[float], floor: float) -> list[float]:
    """Middles nearest to the wanted ones, given downwards, so that nothing overlaps or passes the floor.

    Least squares under an order: pool neighbours that would collide, and give each pool its mean.
    """
    offsets = [sum(heights[:place]) + height / 2 for place, height in enumerate(heights)]
    pools: list[list[float]] = []
    for wish, offset in zip(wanted, offsets, strict=True):
        pools.append([wish - offset])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    starts = [fmean(pool) for pool in pools for _ in pool]
    over = floor - sum(heights)
    return [min(start, over) + offset for start, offset in zip(starts, offsets, strict=True)]


def _candidates(mark: Mark, room: Box) -> list[Placed]:
    wide = text_width(mark.text, SIZE)
    found = []
    for distance in DISTANCES:
        for angle in ANGLES:
            x = mark.x + distance * math.cos(math.radians(angle))
            y = mark.y - distance * math.sin(math.radians(angle))
            left = (
                x
                if angle in (0, 30, 330, 60, 300)
                else x - wide
                if angle in (180, 150, 210, 120, 240)
                else x - wide / 2
            )
            box = Box(left, y - LINE / 2, left + wide, y + LINE / 2)
            if box.within(room):
                found.append(Placed(mark, box, distance))
    return found


def _alone(box: Box, dots: Sequence[Box], thin: Sequence[Box]) -> float:
    """What a place costs by itself."""
    return ON_DOT * sum(box.overlap(dot) for dot in dots) + ON_LINE * sum(box.overlap(line) for line in thin)


def _cheapest(options: Sequence[tuple[Placed, float]], others: Sequence[Placed]) -> Placed:
    """The option that disturbs least, going from the nearest outwards."""
    best, least = options[0][0], math.inf
    for option, alone in options:
        price = option.distance + alone
        if price < least:
            price += ON_LABEL * sum(option.box.overlap(other.box) for other in others)
            price += sum(option.tangle(other) for other in others)
        if price < least:
            best, least = option, price
    return best


def _leader(label: Placed) -> str:
    x1, y1, x2, y2 = label.leader
    return el("line", class_="leader", x1=x1, y1=y1, x2=x2, y2=y2)


def _text(label: Placed) -> str:
    class_ = f"label {label.mark.class_}".strip()
    return el("text", safe(label.mark.text), class_=class_, x=label.box.left, y=label.box.bottom - 3)
