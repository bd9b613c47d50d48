"""The evidence for the cause: one bar per test, in the order they were asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trueup.report import tables
from trueup.report.svg import Scale, el, number, tip
from trueup.report.words import DASH, count, interval, percent, prose, safe

Evidence = Mapping[str, Any]
LENGTH, DEPTH = 240.0, 22.0
TINY, NARROW = 0.0005, 0.06
"""Losses too small to draw, and to name in the strip."""


def figure(name: str, diagnosis: Mapping[str, Any]) -> str:
    """The bars and the table of one stratum, which are one thing."""
    evidence: Sequence[Evidence] = diagnosis["evidence"]
    scale = axis(evidence)
    heads = (
        "test",
        "what it measures",
        _ends(scale),
        "value",
        "95 % interval",
        "threshold",
        "loss",
        "n",
        "what was found",
    )
    rows = [_row(name, row, scale, diagnosis["cause"]) for row in evidence]
    caption = el("figcaption", el("b", "Evidence for the cause"), el("span", _verdict(diagnosis["cause"])))
    grid = tables.table(heads, rows, label="Evidence for the cause", sortable=False)
    return el("figure", caption, split(name, evidence, diagnosis["cause"]), grid, _reading(), class_="causes")


def split(name: str, evidence: Sequence[Evidence], cause: str) -> str:
    """One attempt's accuracy and what each cause takes from it, as parts of a whole."""
    losses = [(row["test"], row["loss"]) for row in evidence if row.get("loss", 0.0) > TINY]
    rest = 1.0 - sum(loss for _, loss in losses)
    if not losses or rest < -TINY:
        return ""
    kept = [_part("right at once", rest, "kept")] if rest > TINY else []
    lost = [
        _part(test, loss, "cause" if test == cause else "lost", data_stratum=name, data_cause=test, data_loss=loss)
        for test, loss in losses
    ]
    return el("div", *kept, *lost, class_="split")


def _part(word: str, share: float, class_: str, **data: object) -> str:
    words = el("b", percent(share)) + safe(word) if share > NARROW else ""
    title = f"{word} {percent(share)}"
    return el("span", words, class_=class_, title=title, style=f"flex-grow:{share:.4f}", **data)


def axis(evidence: Sequence[Evidence]) -> Scale:
    """One axis for all bars: shares from 0 to 100 %, further where a value lies further."""
    ends = [v for row in evidence for v in (row["value"], row["threshold"], *(row["ci95"] or ())) if v is not None]
    low = min([0.0, *ends])
    return Scale(math.floor(10 * low) / 10, max([1.0, *ends]), 4.0, LENGTH - 4)


def _verdict(cause: str) -> str:
    return "nothing to mend" if cause == "none" else safe(f"the cause: {cause}")


def _ends(scale: Scale) -> str:
    return f"{percent(scale.low)} to {percent(scale.high)}"


def _row(name: str, row: Evidence, scale: Scale, cause: str) -> list[tables.Cell]:
    badge = "the cause" if row["test"] == cause else "called" if row["called"] else ""
    called = el("span", badge, class_="called") if badge else ""
    return [
        tables.Cell(safe(row["test"]) + called, class_="test"),
        tables.Cell(prose(row["statistic"]), class_="statistic"),
        tables.Cell(_bar(name, row, scale), class_="strip"),
        tables.figure(DASH if row["value"] is None else percent(row["value"]), row["value"]),
        tables.figure(interval(row["ci95"]) if row["ci95"] else DASH, None),
        tables.figure(DASH if row["threshold"] is None else percent(row["threshold"]), row["threshold"]),
        tables.figure(_points(row.get("loss")), row.get("loss")),
        tables.figure(count(row["n"]) if row["n"] else DASH, row["n"]),
        tables.Cell(prose(row["note"]), class_="note"),
    ]


def _points(share: float | None) -> str:
    if share is None:
        return DASH
    return f"{100 * share:.1f}".removesuffix(".0") + " points"


def _bar(name: str, row: Evidence, scale: Scale) -> str:
    zero, middle = scale.at(max(0.0, scale.low)), DEPTH / 2
    parts = [el("rect", class_="track", x=scale.start, y="7", width=scale.end - scale.start, height="8")]
    if row["value"] is not None:
        here = scale.at(row["value"])
        parts.append(el("rect", class_="fill", x=min(zero, here), y="7", width=abs(here - zero), height="8"))
    if row["ci95"] and None not in row["ci95"]:
        low, high = (scale.at(end) for end in row["ci95"])
        parts.append(el("line", class_="bar", x1=low, x2=high, y1=middle, y2=middle))
    if row["threshold"] is not None:
        at = scale.at(row["threshold"])
        parts.append(el("line", class_="threshold", x1=at, x2=at, y1="2", y2=DEPTH - 2))
    return el(
        "svg", tip(f"{row['test']}: {percent(row['value'])}"), *parts, viewBox=f"0 0 {number(LENGTH)} {number(DEPTH)}",
        class_="evidence called" if row["called"] else "evidence", role="img", data_stratum=name, data_test=row["test"],
        data_value=row["value"], data_threshold=row["threshold"], data_called=row["called"],
    )  # fmt: skip


def _reading() -> str:
    sentence = (
        "The strip shares out what one attempt gets right and what each cause costs it. In the table a bar is the "
        "statistic, the thin line its 95 % interval, the upright tick the threshold that the interval must clear for "
        "the test to be called. The cause is the called test that explains most of the loss; answers that cannot be "
        "read come first, since all else is read through them."
    )
    return el("p", sentence, class_="reading")
