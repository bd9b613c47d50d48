"""Break-even: what each way costs in all, by how many requests it will answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueup.report import tables
from trueup.report.axes import Frame, across, upwards
from trueup.report.labels import SIZE, stack
from trueup.report.svg import Scale, drawing, el, fit, log_ticks, path, tip
from trueup.report.words import breakable, count, dollars, prose, safe, short, tick_dollars

Row = Mapping[str, Any]
TRAINING = "training"
SIDE, LINE, STEPS = 136.0, 16.0, 32


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer: dollars once, then dollars a request."""

    label: str
    fixed: float
    each: float

    def total(self, volume: float) -> float:
        """Dollars for so many requests."""
        return self.fixed + self.each * volume


def section(study: Mapping[str, Any]) -> str:
    """A figure per stratum that has two ways to draw, then one table of all crossings."""
    plan = study["plan"]
    rows: Sequence[Row] = plan["breakeven"]
    if not rows:
        return el("p", "The plan compares no two ways, so there is nothing to break even.", class_="reading")
    figures = [
        _figure(name, [row for row in rows if row["stratum"] == name], stratum["points"], plan)
        for name, stratum in study["strata"].items()
    ]
    drawn = [figure for figure in figures if figure]
    return (el("div", *drawn, _reading(), class_="pair") if drawn else "") + _table(rows)


def ways(rows: Sequence[Row], points: Sequence[Row], training_usd: float | None) -> list[Way]:
    """The ways that the rows name and whose price is known."""
    usd = {point["label"]: point["cost"]["usd"] for point in points}
    found: dict[str, Way] = {}
    for row in rows:
        for label in (row["a"], row["b"]):
            if label == TRAINING and training_usd:
                found[label] = Way(label, training_usd, _trained(rows, usd, training_usd))
            elif usd.get(label) is not None:
                found[label] = Way(label, 0.0, usd[label])
    return list(found.values())


def _trained(rows: Sequence[Row], usd: Mapping[str, float | None], training_usd: float) -> float:
    """Dollars a request after training: what its crossing implies, else those of one attempt."""
    for row in rows:
        other = usd.get(row["b"] if row["a"] == TRAINING else row["a"])
        if TRAINING in (row["a"], row["b"]) and row["volume"] and other is not None:
            return max(0.0, other - training_usd / float(row["volume"]))
    once = usd.get("once")
    return 0.0 if once is None else once


def _figure(name: str, rows: Sequence[Row], points: Sequence[Row], plan: Row) -> str:
    known = ways(rows, points, plan["training_usd"])
    if len(known) < 2 or not all(way.fixed + way.each for way in known):
        return ""
    frame = Frame(left=58.0, right=Frame().right - SIDE)
    x, y = _scales(rows, known, plan["volume"], frame)
    crossings = [row for row in rows if row["volume"]]
    drawn = drawing(
        upwards(frame, [(y.at(tick), tick_dollars(tick)) for tick in log_ticks(y, most=8)], "total cost"),
        across(frame, x, log_ticks(x), short, "requests"),
        _planned(frame, x, plan["volume"]),
        *(_line(way, x, y) for way in known),
        _names(known, x, y, frame),
        *(_crossing(row, known, x, y, frame) for row in crossings),
        label=f"Total cost against volume on {name}",
    )
    caption = el("figcaption", el("b", breakable(name)), el("span", _verdict(crossings)))
    return el("figure", caption, drawn, class_="breakeven")


def _verdict(crossings: Sequence[Row]) -> str:
    if not crossings:
        return "the lines do not cross"
    return f"crosses at {short_volume(min(row['volume'] for row in crossings))} requests"


def _scales(rows: Sequence[Row], known: Sequence[Way], volume: float | None, frame: Frame) -> tuple[Scale, Scale]:
    volumes = [row["volume"] for row in rows if row["volume"]] + ([volume] if volume else [])
    low, high = (min(volumes) / 30, max(volumes) * 30) if volumes else (1e3, 1e7)
    totals = [way.total(v) for way in known for v in (low, high)]
    x = Scale(low, high, frame.left, frame.right, log=True)
    return x, Scale(min(totals) / 1.5, max(totals) * 1.5, frame.bottom, frame.top, log=True)


def _planned(frame: Frame, scale: Scale, volume: float | None) -> str:
    if not volume:
        return ""
    x = scale.at(volume)
    line = el("line", class_="target", x1=x, x2=x, y1=frame.top, y2=frame.bottom, data_volume=volume)
    return line + el("text", f"planned {short(volume)}", class_="target-name middle", x=x, y=frame.top - 6)


def _line(way: Way, x: Scale, y: Scale) -> str:
    steps = STEPS if way.fixed and way.each else 1
    volumes = [x.low * (x.high / x.low) ** (step / steps) for step in range(steps + 1)]
    d = path([(x.at(volume), y.at(way.total(volume))) for volume in volumes])
    class_ = "way training" if way.label == TRAINING else "way"
    words = f"{way.label}: {dollars(way.total(x.high))} for {short_volume(x.high)} requests"
    return el("path", tip(words), class_=class_, d=d, data_label=way.label, data_fixed=way.fixed)


def _names(known: Sequence[Way], x: Scale, y: Scale, frame: Frame) -> str:
    ordered = sorted(known, key=lambda way: -way.total(x.high))
    wanted = [y.at(way.total(x.high)) for way in ordered]
    middles = stack(wanted, [LINE] * len(ordered), frame.bottom)
    return "".join(_name(way, wish, at, frame) for way, wish, at in zip(ordered, wanted, middles, strict=True))


def _name(way: Way, wish: float, middle: float, frame: Frame) -> str:
    start = frame.right + 16
    lead = el("path", class_="leader", d=path([(frame.right + 1, wish), (frame.right + 6, wish), (start - 2, middle)]))
    return lead + el("text", safe(fit(way.label, SIZE, SIDE - 12)), class_="label", x=start, y=middle + 4)


def _crossing(row: Row, known: Sequence[Way], x: Scale, y: Scale, frame: Frame) -> str:
    arm = next((way for way in known if way.label in (row["a"], row["b"]) and way.label != TRAINING), None)
    if arm is None:
        return ""
    across_at, up_at = x.at(row["volume"]), y.at(arm.total(row["volume"]))
    words = f"{row['a']} and {row['b']} cost the same at {count(round(row['volume']))} requests"
    drop = el("line", class_="drop", x1=across_at, x2=across_at, y1=up_at, y2=frame.bottom)
    name = el("text", short_volume(row["volume"]), class_="label chosen end", x=across_at - 8, y=up_at - 10)
    return el(
        "g", tip(words), drop, el("circle", cx=across_at, cy=up_at, r="5"), name, class_="crossing",
        data_stratum=row["stratum"], data_a=row["a"], data_b=row["b"], data_volume=row["volume"],
    )  # fmt: skip


def short_volume(volume: float) -> str:
    """A volume to two digits: 400k, 1.2M."""
    return short(float(f"{volume:.2g}"))


def _reading() -> str:
    sentence = (
        "Both axes are logarithmic. A way without a fixed price is a straight line; training starts at its price and "
        "bends up. Left of a crossing (the dot) the flat-rate way is cheaper, right of it training is."
    )
    return el("p", sentence, class_="reading")


def _table(rows: Sequence[Row]) -> str:
    cells = [
        [
            tables.words(row["stratum"], class_="name"),
            tables.words(row["a"], class_="name"),
            tables.words(row["b"], class_="name"),
            tables.figure("none" if row["volume"] is None else count(round(row["volume"])), row["volume"]),
            tables.Cell(prose(row["note"]), class_="note"),
        ]
        for row in rows
    ]
    heads = ("stratum", "way", "against", "break-even, requests", "what it says")
    return el("div", tables.table(heads, cells, label="Break-even volumes"), class_="crossings")
