"""The accuracy-cost frontier: every arm of a stratum, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from trueup.report import decided, labels, spend, tables
from trueup.report.axes import Frame, across, share_axis, target_line
from trueup.report.labels import Box, Mark, Placed
from trueup.report.spend import Spend
from trueup.report.svg import drawing, el, fit, path, tip
from trueup.report.words import (
    count,
    duration,
    interval,
    is_barred,
    operations,
    per_thousand,
    percent,
    plural,
    safe,
)

Point = Mapping[str, Any]
LONGEST = 190.0
RANKS = ("chosen", "best", "oracle", "other")


def figure(name: str, stratum: Mapping[str, Any], chosen: str | None, target: float) -> str:
    """The figure of one stratum with its table."""
    points: Sequence[Point] = stratum["points"]
    frame = Frame()
    axis = spend.axis(points, frame)
    best = pareto(points, axis)
    classes = [_class(point, best, chosen) for point in points]
    marks = [_mark(point, class_, axis, frame) for point, class_ in zip(points, classes, strict=True)]
    goal, goal_name = target_line(frame, target, [box for mark in marks for box in (mark.dot, mark.bar)])
    corners = _corners(best, axis, frame)
    drawn = drawing(
        share_axis(frame, "right answers"),
        across(frame, axis.scale, axis.ticks, axis.name, axis.title),
        spend.ends(points, axis, frame),
        goal,
        el("path", class_="stairs", d=path(corners)) if corners else "",
        *(el("line", class_=f"bar {m.class_}", x1=m.x, x2=m.x, y1=m.low, y2=m.high) for m in marks),
        *(_dot(name, point, mark) for point, mark in zip(points, marks, strict=True)),
        labels.draw(_placed(marks, frame, [goal_name, *_thin(corners)])),
        label=f"Accuracy against cost of {plural(len(points), 'arm')} on {name}",
    )
    told = _failures(points) + decided.coverage_lines(points)
    tabled = _table(points, classes) + decided.parts_table(points)
    return el("figure", _caption(points, axis), drawn, _reading(), told, tabled, class_="frontier")


def pareto(points: Sequence[Point], axis: Spend) -> list[Point]:
    """The arms that no arm of the same or lower cost beats; an upper bound is none of them."""
    known_cost = [p for p in points if not is_barred(p) and axis.cost(p) is not None]
    best: list[Point] = []
    for point in sorted(known_cost, key=lambda p: (axis.cost(p) or 0.0, -p["accuracy"])):
        if not best or point["accuracy"] > best[-1]["accuracy"]:
            best.append(point)
    return best


def _class(point: Point, best: Sequence[Point], chosen: str | None) -> str:
    if is_barred(point):
        return "oracle"
    if point["label"] == chosen:
        return "chosen"
    return "best" if point in best else "other"


def _corners(best: Sequence[Point], axis: Spend, frame: Frame) -> list[tuple[float, float]]:
    """The stepped line through the best arms, to the right edge."""
    corners: list[tuple[float, float]] = []
    for point in best:
        x, y = axis.at(point), frame.shares.at(point["accuracy"])
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    return [*corners, (frame.right, corners[-1][1])] if corners else []


def _thin(corners: Sequence[tuple[float, float]]) -> list[Box]:
    """What the stepped line covers."""
    return [
        Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)
        for (x1, y1), (x2, y2) in pairwise(corners)
    ]


def _mark(point: Point, class_: str, axis: Spend, frame: Frame) -> Mark:
    low, high = (frame.shares.at(end) for end in point["ci95"])
    y = frame.shares.at(point["accuracy"])
    return Mark(axis.at(point), y, low, high, fit(point["label"], labels.SIZE, LONGEST), class_)


def _dot(name: str, point: Point, mark: Mark) -> str:
    ring = el("circle", class_="ring", cx=mark.x, cy=mark.y, r="9") if mark.class_ == "chosen" else ""
    cost = point["cost"]
    return el(
        "g", tip(_sentence(point)), ring,
        el("circle", cx=mark.x, cy=mark.y, r="5"), class_=f"point {mark.class_}", data_stratum=name,
        data_label=point["label"], data_accuracy=point["accuracy"], data_low=point["ci95"][0],
        data_high=point["ci95"][1], data_usd=cost["usd"], data_prompt_tokens=cost["prompt_tokens"],
        data_completion_tokens=cost["completion_tokens"], data_n=point["n"],
    )  # fmt: skip


def _sentence(point: Point) -> str:
    bound = " An upper bound: its check saw the reference." if point["oracle"] else ""
    bound += " It spends one budget on many requests at once, so it cannot be served." if point.get("batch") else ""
    return (
        f"{point['label']}: {percent(point['accuracy'])} right ({interval(point['ci95'])}, n = {point['n']}), "
        f"{per_thousand(point['cost']['usd'])} per 1,000 requests.{bound}"
    )


def _placed(marks: Sequence[Mark], frame: Frame, lines: Sequence[Box]) -> list[Placed]:
    ranked = sorted(marks, key=lambda mark: RANKS.index(mark.class_))
    return labels.place(ranked, Box(frame.left + 2, frame.top - 8, frame.right + 12, frame.bottom - 2), lines)


def _caption(points: Sequence[Point], axis: Spend) -> str:
    n = max((point["n"] for point in points), default=0)
    unit = "dollars" if axis.unit == "usd" else "tokens"
    return el("figcaption", el("b", f"Accuracy against {unit}"), el("span", f"{plural(len(points), 'arm')}, n = {n}"))


def _reading() -> str:
    keys = (
        ("chosen", "chosen"),
        ("best", "on the frontier"),
        ("other", "beaten"),
        ("oracle", "not to be served: saw the reference, needs a batch, or failed on every item"),
    )
    legend = "".join(el("span", el("i", class_=f"key {class_}"), text) for class_, text in keys)
    sentence = (
        "Up is better, left is cheaper. Each dot is an arm that was run on every item; its bar is the 95 % interval, "
        "and the stepped line joins the arms that nothing cheaper beats. The chosen one won on some of these items, "
        "so that its dot may be too high."
    )
    return el("div", legend, class_="legend") + el("p", sentence, class_="reading")


def _failures(points: Sequence[Point]) -> str:
    """Which arms failed on which share of the items, and why they did first."""
    rows = [
        f"{p['label']}: {count(p['failures'])} of {count(p['n'])} failed: {p.get('failure') or 'no reason on record'}"
        for p in points
        if p["failures"]
    ]
    return "".join(el("p", safe(row), class_="reading") for row in rows)


def _table(points: Sequence[Point], classes: Sequence[str]) -> str:
    heads = ("arm", "right", "95 % interval", "of", "per 1,000 requests", "tokens in", "tokens out", "time", "compute",
             "decided", "decided wrongly", "abstained", "unreadable", "failed", "place")  # fmt: skip
    rows = [_row(point, class_) for point, class_ in zip(points, classes, strict=True)]
    label = "Every arm with its accuracy and cost"
    return tables.folded("The numbers, per request", tables.table(heads, rows, label=label))


def _row(point: Point, class_: str) -> list[tables.Cell]:
    cost = point["cost"]
    place = {"oracle": "not to be served", "chosen": "chosen", "best": "frontier", "other": "beaten"}[class_]
    return [
        tables.Cell(safe(point["label"]), point["label"], "name"),
        tables.figure(percent(point["accuracy"]), point["accuracy"]),
        tables.figure(interval(point["ci95"]), None),
        tables.figure(count(point["n"]), point["n"]),
        tables.figure(per_thousand(cost["usd"]), cost["usd"]),
        tables.figure(count(cost["prompt_tokens"]), cost["prompt_tokens"]),
        tables.figure(count(cost["completion_tokens"]), cost["completion_tokens"]),
        tables.figure(duration(cost["seconds"]), cost["seconds"]),
        tables.figure(operations(cost["flops"]), cost["flops"]),
        *(_number(point, name) for name in ("decided", "wrong_decided", "abstained", "unparsable")),
        tables.figure(count(point["failures"]), point["failures"]),
        tables.words(place),
    ]


def _number(point: Point, name: str) -> tables.Cell:
    """A count, or that of a share; unknown where the study is older than it."""
    found = point.get(name)
    value = found["count"] if isinstance(found, Mapping) else found
    return tables.figure(count(value), value)
