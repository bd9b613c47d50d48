"""What arms that may abstain decided, and how much of an answer with parts is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.report import tables
from trueup.report.svg import el
from trueup.report.words import count, interval, percent, safe

Point = Mapping[str, Any]


def coverage_lines(points: Sequence[Point]) -> str:
    """A line for every arm that abstained somewhere: how much it decided, and how much of all it decided wrongly."""
    rows = [
        f"{p['label']} abstained on {count(p['abstained'])} of {count(p['n'])}: it decided {_told(p['decided'])}, and "
        f"{_told(p['wrong_decided'])} wrongly"
        for p in points
        if p.get("abstained")
    ]
    return "".join(el("p", safe(row), class_="reading") for row in rows)


def parts_table(points: Sequence[Point]) -> str:
    """The measures of answers with parts; nothing where no answer has any."""
    measured = [point for point in points if point.get("parts")]
    if not measured:
        return ""
    heads = ("arm", "answered (CR)", "95 % interval", "sub-answers right (S-Acc)", "95 % interval", "of",
             "right by half or more (PM-0.5)", "95 % interval", "all right (EM)", "95 % interval")  # fmt: skip
    label = "Every arm with its measures of answers that have parts"
    return tables.folded("Answers in parts", tables.table(heads, [_parts_row(p) for p in measured], label=label))


def _parts_row(point: Point) -> list[tables.Cell]:
    s_acc, pm_half = point["parts"]["s_acc"], point["parts"]["pm_half"]
    return [
        tables.Cell(safe(point["label"]), point["label"], "name"),
        *_share(point["decided"]),
        *_share(s_acc),
        tables.figure(count(s_acc["n"]), s_acc["n"]),
        *_share(pm_half),
        *_share({"value": point["accuracy"], "ci95": point["ci95"]}),
    ]


def _share(share: Mapping[str, Any]) -> tuple[tables.Cell, tables.Cell]:
    return tables.figure(percent(share["value"]), share["value"]), tables.figure(interval(share["ci95"]), None)


def _told(share: Mapping[str, Any]) -> str:
    return f"{count(share['count'])} ({percent(share['value'])}; {interval(share['ci95'])})"
