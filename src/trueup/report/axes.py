"""The frame of a figure: shares upwards, something logarithmic across."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueup.report.labels import Box
from trueup.report.svg import HEIGHT, WIDTH, Scale, el, strokes
from trueup.report.words import as_given, percent, safe

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
NAME = 80.0
"""How wide the name of the target is."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area in drawing units; two figures side by side share its top and bottom."""

    left: float = 46.0
    right: float = WIDTH - 14.0
    top: float = 30.0
    bottom: float = HEIGHT - 48.0

    @property
    def shares(self) -> Scale:
        """0 to 100 % upwards, a little inside the frame so that points at the ends are whole."""
        return Scale(0.0, 1.0, self.bottom - 8, self.top + 8)


def share_axis(frame: Frame, title: str) -> str:
    """Horizontal rules at every fifth, named on the left; the title stands above them."""
    return upwards(frame, [(frame.shares.at(tick), percent(tick)) for tick in TICKS], title)


def upwards(frame: Frame, ticks: Sequence[tuple[float, str]], title: str) -> str:
    """Rules at these heights, named on the left, and the title of the axis above them."""
    rules = el("path", class_="rule", d=strokes([(frame.left, y, frame.right, y) for y, _ in ticks]))
    names = (el("text", safe(name), x=frame.left - 8, y=y + 4) for y, name in ticks)
    return rules + el("g", *names, class_="ticks end") + el("text", safe(title), class_="axis", x=2, y=14)


def across(frame: Frame, scale: Scale, ticks: Sequence[float], name: Callable[[float], str], title: str) -> str:
    """The axis below: a base line, ticks with their names, and the title at its right end."""
    places = [scale.at(tick) for tick in ticks]
    lines = [(frame.left, frame.bottom, frame.right, frame.bottom)]
    lines += [(x, frame.bottom, x, frame.bottom + 4) for x in places]
    names = (el("text", safe(name(tick)), x=x, y=frame.bottom + 18) for tick, x in zip(ticks, places, strict=True))
    end = el("text", safe(title), class_="axis end", x=frame.right, y=frame.bottom + 38)
    return el("path", class_="base", d=strokes(lines)) + el("g", *names, class_="ticks middle") + end


def target_line(frame: Frame, target: float, taken: Sequence[Box] = ()) -> tuple[str, Box]:
    """The target as a dotted line, named at the end that is free, and the box of that name."""
    y = frame.shares.at(target)
    line = el("line", class_="target", x1=frame.left, x2=frame.right, y1=y, y2=y, data_target=target)
    left = Box(frame.left + 4, y - 17, frame.left + NAME, y)
    right = Box(frame.right - NAME, y - 17, frame.right - 4, y)
    is_left = not any(left.overlap(box) for box in taken) or any(right.overlap(box) for box in taken)
    place, class_ = (left.left, "target-name") if is_left else (right.right, "target-name end")
    return line + el("text", f"target {as_given(target)}", class_=class_, x=place, y=y - 5), left if is_left else right
