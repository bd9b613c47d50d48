"""Elements, scales and ticks: what every figure is drawn with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trueup.report.words import exact, safe

VOID = frozenset({"meta"})
WIDTH, HEIGHT = 480.0, 360.0
"""Figures are drawn this size and scaled to the page, so that text stays legible on a phone."""

# Advance widths of a Helvetica-like face in 1/1000 em; wide enough for the faces that replace it.
NARROW, WIDE, USUAL = frozenset("iljtfrI.,:;'|!()[]- "), frozenset("mwMWGOQ@%…"), 575.0


def el(name: str, /, *children: str, **attributes: object) -> str:
    """An element; children are markup, attributes are escaped, None leaves an attribute out.

    `class_` gives `class`, and `data_usd` gives `data-usd` with the exact value of study.json.
    """
    pairs = "".join(
        f' {_attribute(key)}="{_value(key, value)}"' for key, value in attributes.items() if _kept(key, value)
    )
    if name in VOID or (not children and name in SHAPES):
        return f"<{name}{pairs}/>"
    return f"<{name}{pairs}>{''.join(children)}</{name}>"


SHAPES = frozenset({"circle", "line", "path", "rect", "polyline", "polygon"})


def _kept(key: str, value: object) -> bool:
    return value is not None or key.startswith("data_")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(key: str, value: object) -> str:
    if key.startswith("data_"):
        return safe(exact(value))
    return safe(number(value) if isinstance(value, float) else value)


def number(value: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    """The `d` of straight lines through the points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + ("Z" if closed else "")


def strokes(lines: Sequence[tuple[float, float, float, float]]) -> str:
    """The `d` of separate lines, each from x1, y1 to x2, y2."""
    return "".join(path([(x1, y1), (x2, y2)]) for x1, y1, x2, y2 in lines)


def text_width(text: str, size: float) -> float:
    """How wide a text of this size will be, or a little less."""
    return sum(300.0 if c in NARROW else 870.0 if c in WIDE or ord(c) > 0x2FF else USUAL for c in text) * size / 1000


def fit(text: str, size: float, room: float) -> str:
    """The text, shortened where it would be wider than the room."""
    shown = text
    while text_width(shown, size) > room and len(shown) > 1:
        shown = shown[:-2] + "…"
    return shown


def drawing(*children: str, label: str, width: float = WIDTH, height: float = HEIGHT) -> str:
    """A figure that scales with the page; `label` is read out where it cannot be seen."""
    return el(
        "svg", *children, viewBox=f"0 0 {number(width)} {number(height)}", role="img", aria_label=label, class_="plot"
    )  # fmt: skip


def tip(text: str) -> str:
    """What pointing at a datum says, with or without JavaScript."""
    return el("title", safe(text))


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers to coordinates, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The coordinate of a value; a value outside lies beyond the ends."""
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (here - low) / (high - low)


def log_scale(values: Sequence[float], start: float, end: float, *, room: float = 1.35) -> Scale:
    """A logarithmic scale over positive values, with room at both ends and never less than a factor of 4."""
    low, high = (min(values), max(values)) if values else (1.0, 1.0)
    stretch = max(room, math.sqrt(4 * low / high))
    return Scale(low / stretch, high * stretch, start, end, log=True)


def log_ticks(scale: Scale, most: int = 7) -> list[float]:
    """Round numbers inside a logarithmic scale: 1, 2, 5 of each decade where they fit, else decades."""
    first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    for steps, stride in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 6)):
        ticks = [float(f"{s}e{power}") for power in range(first, last + 1, stride) for s in steps]
        inside = [tick for tick in ticks if scale.low <= tick <= scale.high]
        if len(inside) <= most:
            return inside
    return inside
