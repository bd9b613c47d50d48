"""Break-even: what each way costs in all, by how many requests it will answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trueup.plan.choose import share_wrong
from trueup.report import tables
from trueup.report.axes import Frame, across, upwards
from trueup.report.labels import SIZE, stack
from trueup.report.svg import Scale, drawing, el, fit, log_ticks, path, tip
from trueup.report.words import DASH, breakable, count, dollars, plural, prose, safe, short, tick_dollars

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
    """A figure per stratum that has two ways to draw, then what every comparison says."""
    plan = study["plan"]
    rows: Sequence[Row] = plan["breakeven"]
    if not rows:
        return el("p", "The plan compares no two ways, so there is nothing to break even.", class_="reading")
    figures = [
        _figure(name, [row for row in rows if row["stratum"] == name], stratum["points"], plan)
        for name, stratum in study["strata"].items()
    ]
    drawn = [figure for figure in figures if figure]
    return (el("div", *drawn, _reading(), class_="pair") if drawn else "") + _tables(rows, plan["choices"])


def ways(rows: Sequence[Row], points: Sequence[Row], plan: Row) -> list[Way]:
    """The arms that the rows name and whose price is known, none that is free; training where a crossing tells it.

    Each arm of a trained model that was compared has a line of its own.
    """
    named = {label for row in rows for label in (row["a"], row["b"])}
    arms = [Way(p["label"], 0.0, p["cost"]["usd"]) for p in points if p["label"] in named and p["cost"]["usd"]]
    crossings = _crossings(rows, arms, plan)
    if any(_counts_errors(group, arms, plan) for group in crossings.values()):
        wrong = {p["label"]: (plan.get("error_usd") or 0.0) * _wrong_share(p) for p in points}
        arms = [replace(way, each=way.each + wrong[way.label]) for way in arms]
    names = {label: f"{TRAINING}: {label}" if len(crossings) > 1 and label else TRAINING for label in crossings}
    lines = [
        Way(names[label], _fixed(group[0], plan), max(0.0, _after(group, arms, plan)[0]))
        for label, group in crossings.items()
    ]
    return lines + arms


def _crossings(rows: Sequence[Row], arms: Sequence[Way], plan: Row) -> dict[str, list[Row]]:
    """The rows that tell what training costs, by the trained model's arm that they compare; "" where none was."""
    known = {way.label for way in arms}
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["volume"] and TRAINING in (row["a"], row["b"]) and _other(row) in known and _fixed(row, plan):
            found.setdefault(row.get("trained", ""), []).append(row)
    return found


def _fixed(row: Row, plan: Row) -> float:
    fixed: float = row.get("fixed_usd") or plan["training_usd"] or 0.0
    return fixed


def _after(crossings: Sequence[Row], arms: Sequence[Way], plan: Row) -> list[float]:
    """Dollars a request after training, as each crossing implies."""
    each = {way.label: way.each for way in arms}
    return [each[_other(row)] - _fixed(row, plan) / row["volume"] for row in crossings]


def _counts_errors(crossings: Sequence[Row], arms: Sequence[Way], plan: Row) -> bool:
    """Whether the plan priced errors in; where nothing was measured, since what its crossings imply differs."""
    after = _after(crossings, arms, plan)
    is_measured = bool(crossings[0].get("trained") and plan.get("error_usd"))
    return is_measured or max(after) - min(after) > 0.01 * max(way.each for way in arms)


def _wrong_share(point: Row) -> float:
    """How often an arm answers wrongly; a study may be older than abstentions."""
    return share_wrong(point["accuracy"], point["abstained"] / point["n"] if point.get("abstained") else 0.0)


def _other(row: Row) -> str:
    other: str = row["b"] if row["a"] == TRAINING else row["a"]
    return other


def _figure(name: str, rows: Sequence[Row], points: Sequence[Row], plan: Row) -> str:
    known = ways(rows, points, plan)
    if len(known) < 2:
        return ""
    frame = Frame(left=58.0, right=Frame().right - SIDE)
    volume = (plan["volume"] or 0.0) * plan["shares"].get(name, 1.0)
    x, y = _scales(rows, known, volume, frame)
    chosen = plan["choices"][name]["label"] if name in plan["choices"] else ""
    crossings = [row for row in rows if row["volume"]]
    drawn = drawing(
        upwards(frame, [(y.at(tick), tick_dollars(tick)) for tick in log_ticks(y, most=8)], "total cost"),
        across(frame, x, log_ticks(x), short, "requests of this stratum"),
        _planned(frame, x, volume),
        *(_line(way, x, y, chosen) for way in known),
        _names(known, x, y, frame, chosen),
        *(_crossing(row, known, x, y, frame, chosen) for row in crossings),
        label=f"Total cost against volume on {name}",
    )
    caption = el("figcaption", el("b", breakable(name)), el("span", _verdict(crossings, chosen)))
    return el("figure", caption, drawn, class_="breakeven")


def _verdict(crossings: Sequence[Row], chosen: str) -> str:
    row = next((row for row in crossings if _other(row) == chosen), None)
    if row is None:
        return "no crossing"
    is_less = row.get("is_less_accurate")
    what = "training is cheaper and less often right" if is_less else "training pays"
    return f"{what} from {short_volume(row['volume'])} requests"


def _scales(rows: Sequence[Row], known: Sequence[Way], volume: float | None, frame: Frame) -> tuple[Scale, Scale]:
    volumes = [row["volume"] for row in rows if row["volume"]] + ([volume] if volume else [])
    low, high = (min(volumes) / 30, max(volumes) * 30) if volumes else (1e3, 1e7)
    totals = [way.total(v) for way in known for v in (low, high)]
    x = Scale(low, high, frame.left, frame.right, log=True)
    return x, Scale(min(totals) / 1.5, max(totals) * 1.5, frame.bottom, frame.top, log=True)


def _planned(frame: Frame, scale: Scale, volume: float) -> str:
    if not volume:
        return ""
    x = scale.at(volume)
    line = el("line", class_="target", x1=x, x2=x, y1=frame.top, y2=frame.bottom)
    return line + el("text", f"planned {short_volume(volume)}", class_="target-name middle", x=x, y=frame.top - 6)


def _line(way: Way, x: Scale, y: Scale, chosen: str) -> str:
    steps = STEPS if way.fixed and way.each else 1
    volumes = [x.low * (x.high / x.low) ** (step / steps) for step in range(steps + 1)]
    d = path([(x.at(volume), y.at(way.total(volume))) for volume in volumes])
    words = f"{way.label}: {dollars(way.total(x.high))} for {short_volume(x.high)} requests"
    return el(
        "path", tip(words), class_=f"way {_class(way, chosen)}".strip(), d=d, data_label=way.label, data_fixed=way.fixed
    )


def _class(way: Way, chosen: str) -> str:
    return TRAINING if way.fixed else "chosen" if way.label == chosen else ""


def _names(known: Sequence[Way], x: Scale, y: Scale, frame: Frame, chosen: str) -> str:
    ordered = sorted(known, key=lambda way: -way.total(x.high))
    wanted = [y.at(way.total(x.high)) for way in ordered]
    middles = stack(wanted, [LINE] * len(ordered), frame.bottom)
    return "".join(
        _name(way, wish, at, frame, _class(way, chosen)) for way, wish, at in zip(ordered, wanted, middles, strict=True)
    )


def _name(way: Way, wish: float, middle: float, frame: Frame, class_: str) -> str:
    start = frame.right + 16
    lead = el("path", class_="leader", d=path([(frame.right + 1, wish), (frame.right + 6, wish), (start - 2, middle)]))
    text = safe(fit(way.label, SIZE, SIDE - 12))
    return lead + el("text", text, class_=f"label line-{class_ or 'other'}", x=start, y=middle + 4)


def _crossing(row: Row, known: Sequence[Way], x: Scale, y: Scale, frame: Frame, chosen: str) -> str:
    arm = next((way for way in known if way.label == _other(row)), None)
    if arm is None:
        return ""
    at, up = x.at(row["volume"]), y.at(arm.total(row["volume"]))
    words = f"{row['a']} and {row['b']} cost the same at {count(round(row['volume']))} requests"
    drop, radius = (_drop(row["volume"], at, up, frame), "5") if arm.label == chosen else ("", "3")
    return el(
        "g", tip(words), drop, el("circle", cx=at, cy=up, r=radius), class_="crossing", data_stratum=row["stratum"],
        data_a=row["a"], data_b=row["b"], data_volume=row["volume"],
    )  # fmt: skip


def _drop(volume: float, at: float, up: float, frame: Frame) -> str:
    """From a crossing down to the axis, and its volume beside it."""
    line = el("line", class_="drop", x1=at, x2=at, y1=up, y2=frame.bottom)
    return line + el("text", short_volume(volume), class_="label", x=at + 6, y=frame.bottom - 8)


def short_volume(volume: float) -> str:
    """A volume to two digits: 400k, 1.2M."""
    return short(float(f"{volume:.2g}"))


def _reading() -> str:
    sentence = (
        "Both axes are logarithmic. A way without a fixed price is a straight line; training starts at its price and "
        "bends up. Left of a crossing (a dot; the large one is that of the chosen method) the method is cheaper, right "
        "of it training is, if it brings the same accuracy."
    )
    return el("p", sentence, class_="reading")


def _tables(rows: Sequence[Row], choices: Row) -> str:
    """The comparisons with the chosen methods in sight, the others folded."""
    first = [row for row in rows if row["b"] == choices.get(row["stratum"], {}).get("label") and row["a"] == TRAINING]
    others = [row for row in rows if row not in first]
    shown = _table(first, "Training against the chosen methods") if first else ""
    rest = _table(others, "Other comparisons") if others else ""
    if others and first:
        rest = tables.folded(
            f"{plural(len(others), 'other comparison')}, with the price of an error that decides them", rest
        )
    told = el("p", "Ways are compared on all items, with those that the choice was made on.", class_="reading")
    return el("div", told, shown, rest, class_="crossings")


def _table(rows: Sequence[Row], label: str) -> str:
    has_errors = any(row.get("error_usd") is not None for row in rows)
    heads = [
        "stratum",
        "way",
        "against",
        "break-even, requests",
        *(["error costs"] if has_errors else []),
        "what it says",
    ]
    return tables.table(heads, [_comparison(row, has_errors) for row in rows], label=label)


def _comparison(row: Row, has_errors: bool) -> list[tables.Cell]:
    error = row.get("error_usd")
    return [
        tables.words(row["stratum"], class_="name"),
        tables.words(row["a"], class_="name"),
        tables.words(row["b"], class_="name"),
        tables.figure("none" if row["volume"] is None else count(round(row["volume"])), row["volume"]),
        *([tables.figure(DASH if error is None else dollars(error), error)] if has_errors else []),
        tables.Cell(prose(row["note"]), class_="note"),
    ]
