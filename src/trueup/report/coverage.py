"""The coverage curve: how often k attempts hold a right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.report import tables
from trueup.report.axes import Frame, across, share_axis, target_line
from trueup.report.labels import SIZE, stack
from trueup.report.svg import Scale, drawing, el, fit, path, tip
from trueup.report.words import interval, is_barred, percent, plural, safe

Row = Mapping[str, Any]
SIDE = 136.0
"""Room at the right for the names of the lines."""
LINE = 13.0


def figure(name: str, stratum: Mapping[str, Any], chosen: str | None, target: float) -> str:
    """The figure of one stratum with its table."""
    rows: Sequence[Row] = stratum["coverage"]
    frame = Frame(right=Frame().right - SIDE)
    most = max((row["k"] for row in rows), default=1)
    scale = Scale(1.0, float(max(most, 2)), frame.left + 12, frame.right - 6, log=True)
    kept = references(stratum["points"], chosen)
    drawn = drawing(
        share_axis(frame, "items with a right answer"),
        across(frame, scale, [float(row["k"]) for row in rows], lambda k: f"{k:.0f}", "k attempts per item"),
        _band(rows, scale, frame),
        target_line(frame, target)[0],
        *(_reference(point, frame, point["label"] == chosen) for point in kept),
        *(_dot(name, row, scale, frame) for row in rows),
        _names(rows, kept, chosen, frame),
        label=f"Coverage of {name}: pass@k for k from 1 to {most}",
    )
    caption = el(
        "figcaption", el("b", "Coverage of repeated sampling"), el("span", f"{plural(stratum['items'], 'item')}")
    )
    return el("figure", caption, drawn, _legend(), _reading(), _table(rows), class_="coverage")


def references(points: Sequence[Row], chosen: str | None) -> list[Row]:
    """The arms to compare with: the best vote, the best of all that may be deployed, the chosen one."""
    usable = [point for point in points if not is_barred(point)]
    votes = [point for point in usable if point["method"] == "vote"]
    wanted = [max(group, key=lambda point: point["accuracy"]) for group in (votes, usable) if group]
    wanted += [point for point in usable if point["label"] == chosen]
    return list({point["label"]: point for point in wanted}.values())


def _band(rows: Sequence[Row], scale: Scale, frame: Frame) -> str:
    across_k = [scale.at(row["k"]) for row in rows]
    low, high, mean = (
        [frame.shares.at(value) for value in values]
        for values in ([r["ci95"][0] for r in rows], [r["ci95"][1] for r in rows], [r["pass_at_k"] for r in rows])
    )
    if len(rows) < 2:
        return "".join(
            el("line", class_="bar", x1=x, x2=x, y1=a, y2=b) for x, a, b in zip(across_k, low, high, strict=True)
        )
    around = list(zip(across_k, high, strict=True)) + list(zip(across_k, low, strict=True))[::-1]
    curve = el("path", class_="curve", d=path(list(zip(across_k, mean, strict=True))))
    return el("path", class_="band", d=path(around, closed=True)) + curve


def _dot(name: str, row: Row, scale: Scale, frame: Frame) -> str:
    words = f"pass@{row['k']}: {percent(row['pass_at_k'])} ({interval(row['ci95'])})"
    return el(
        "g", tip(words), el("circle", cx=scale.at(row["k"]), cy=frame.shares.at(row["pass_at_k"]), r="4"),
        class_="knot", data_stratum=name, data_k=row["k"], data_pass_at_k=row["pass_at_k"],
        data_low=row["ci95"][0], data_high=row["ci95"][1],
    )  # fmt: skip


def _reference(point: Row, frame: Frame, is_chosen: bool) -> str:
    y = frame.shares.at(point["accuracy"])
    line = el("line", x1=frame.left, x2=frame.right, y1=y, y2=y)
    class_ = "reference chosen" if is_chosen else "reference"
    return el("g", line, class_=class_, data_label=point["label"], data_accuracy=point["accuracy"])


def _names(rows: Sequence[Row], kept: Sequence[Row], chosen: str | None, frame: Frame) -> str:
    """The names at the right ends of the lines, stacked so that none covers another."""
    named = [(point["accuracy"], point["label"], "chosen" if point["label"] == chosen else "") for point in kept]
    if rows:
        named.append((rows[-1]["pass_at_k"], f"pass@{rows[-1]['k']}", "curve-name"))
    named.sort(key=lambda entry: -entry[0])
    wanted = [frame.shares.at(share) for share, _, _ in named]
    middles = stack(wanted, [2 * LINE + 6] * len(named), frame.bottom + 10)
    return "".join(
        _name([fit(label, SIZE, SIDE - 12), percent(share)], class_, frame, wish, middle)
        for (share, label, class_), wish, middle in zip(named, wanted, middles, strict=True)
    )


def _name(lines: Sequence[str], class_: str, frame: Frame, wish: float, middle: float) -> str:
    x = frame.right + 14
    lead = el("path", class_="leader", d=path([(frame.right + 1, wish), (frame.right + 5, wish), (x - 3, middle)]))
    spans = (el("tspan", safe(text), x=x, y=middle - 3 + LINE * place) for place, text in enumerate(lines))
    return lead + el("text", *spans, class_=f"label {class_}".strip())


def _legend() -> str:
    keys = (("curve", "pass@k, 95 % band"), ("chosen", "chosen"), ("other", "best vote, best arm"))
    return el(
        "div", *(el("span", el("i", class_=f"key line {class_}"), text) for class_, text in keys), class_="legend"
    )


def _reading() -> str:
    sentence = (
        "The curve is the chance that at least one of k attempts is right, with its 95 % band. The gap from a method's "
        "line up to the curve is what better selection could still win; where the curve is flat, sampling buys nothing."
    )
    return el("p", sentence, class_="reading")


def _table(rows: Sequence[Row]) -> str:
    cells = [
        [
            tables.figure(str(row["k"]), row["k"]),
            tables.figure(percent(row["pass_at_k"]), row["pass_at_k"]),
            tables.figure(interval(row["ci95"]), None),
        ]
        for row in rows
    ]
    heads = ("k", "pass@k", "95 % interval")
    return tables.folded("The numbers", tables.table(heads, cells, label="Coverage by number of attempts"))
