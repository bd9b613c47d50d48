"""Where the numbers come from: prices, model, versions, seed, the raw study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trueup.report import tables
from trueup.report.svg import el
from trueup.report.words import as_given, count, dollars, floored, operations, safe

Study = Mapping[str, Any]
UNKNOWN = "unknown"


def section(study: Study) -> str:
    """Three short lists, the price table, and the study itself."""
    lists = el(
        "div", _list("Run", _run(study)), _list("Model", _model(study)), _list("Prices", _prices(study)), class_="lists"
    )
    return lists + _bought(study) + _raw(study)


def embedded(study: Study) -> str:
    """The study as JSON that no HTML parser can leave: ASCII, without `<`, `>` and `&`."""
    text = json.dumps(study, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="study">{text}</script>'


def _run(study: Study) -> list[tuple[str, object]]:
    task, plan = study["task"], study["plan"]
    return [
        ("task", task["name"]),
        ("task file", task["path"]),
        ("seed", task["seed"]),
        ("attempts per item", study["samples"]),
        ("target", as_given(plan["target"])),
        ("certificates, at one look", f"{floored(1 - plan['delta'])} confidence"),
        ("training run", "no price given" if plan["training_usd"] is None else dollars(plan["training_usd"])),
        ("trueup", study["trueup"]),
        ("study format", study["version"]),
    ]


def _model(study: Study) -> list[tuple[str, object]]:
    card = study["model"]
    return [
        ("name", card["name"]),
        ("fingerprint", card["fingerprint"]),
        ("billed as", card["billing"]),
        ("parameters", count(card["parameters"])),
        ("layers, width", f"{count(card['layers'])}, {count(card['width'])}"),
        ("FLOP formula", study["flop_formula"]),
        ("FLOPs a token", _each(card["parameters"])),
    ]


def _each(parameters: int | None) -> str:
    return UNKNOWN if parameters is None else f"{operations(2.0 * parameters)}, attention aside"


def _prices(study: Study) -> list[tuple[str, object]]:
    prices = study["prices"]
    rows: list[tuple[str, object]] = [
        ("dated", prices["date"]),
        ("core-hour", f"${prices['core_hour']}"),
        *([("GPU-hour", f"${prices['gpu_hour']}")] if prices.get("gpu_hour") else []),
    ]
    return [*rows, ("note", prices["note"])] if prices["note"] else rows


def _list(title: str, rows: list[tuple[str, object]]) -> str:
    pairs = "".join(el("div", el("dt", safe(name)), el("dd", safe(value))) for name, value in rows)
    return el("section", el("h3", safe(title)), el("dl", pairs))


def _bought(study: Study) -> str:
    models = study["prices"]["models"]
    if not models:
        return el(
            "p", "No token prices: the model runs on this machine and is billed by the core-hour.", class_="reading"
        )
    cells = [
        [
            tables.words(name, class_="name"),
            *(tables.figure(f"${row[key]}", float(row[key])) for key in ("prompt", "cached", "completion")),
        ]
        for name, row in models.items()
    ]
    heads = ("model", "prompt, per million tokens", "cached prompt", "completion")
    return tables.table(heads, cells, label="Token prices")


def _raw(study: Study) -> str:
    shown = el("pre", "", id="raw", class_="raw")
    sentence = el("p", "Every figure above is drawn from study.json, which is embedded in this file whole, as the "
                  "content of the element with the id “study”.", class_="reading")  # fmt: skip
    return (
        sentence
        + embedded(study)
        + el("details", el("summary", "Show the raw study"), shown, class_="numbers raw-study", hidden="hidden")
    )
