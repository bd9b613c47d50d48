"""The report, assembled: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.files import write_whole
from trueup.report import answers, breakeven, causes, costs, coverage, frontier, headline, provenance
from trueup.report.svg import el
from trueup.report.words import breakable, certificate, percent, plural, prose, safe

VERSION = 1
LARGEST = 500_000
"""Bytes that a report should stay under; texts of examples are cut shorter until it does."""
CUTS = (4000, 1000, 250)
NEEDED = ("task", "model", "prices", "samples", "strata", "plan", "ledger")


def write_report(study: Mapping[str, Any], path: Path) -> None:
    """Write the report of a study to a file, whole or not at all."""
    page = render(study)
    with suppress(OSError):  # in a folder that cannot be made nothing can be written
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page, "choose another --out")


def render(study: Mapping[str, Any]) -> str:
    """The report of a study as HTML.

    Raises BadInput where it is of another version, or lacks a part.
    """
    _inspect(study)
    figures = {name: _figures(name, stratum, study["plan"]) for name, stratum in study["strata"].items()}
    page = ""
    for most in CUTS:
        page = _page(study, figures, most)
        if len(page.encode()) < LARGEST:
            break
    return page


def _inspect(study: Mapping[str, Any]) -> None:
    if not isinstance(study, Mapping):
        raise BadInput(f"study.json is a {type(study).__name__}, no table; run `trueup study` again")
    if study.get("version") != VERSION:
        raise BadInput(
            f"study.json is of version {study.get('version')!r}, this trueup reads {VERSION}; run `trueup study` again"
        )
    for name in NEEDED:
        if study.get(name) is None:
            raise BadInput(f"study.json has no {name!r}; run `trueup plan` on its folder first")


def _page(study: Mapping[str, Any], figures: Mapping[str, str], most: int) -> str:
    title = f"{study['task']['name']}: {headline.finding(study)}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", safe(title)),
        el("style", "".join(map(str.strip, _data("style.css").splitlines()))),
    )
    main = el("main", *_sections(study, figures, most))
    body = el("body", _masthead(study), main, _footer(study), el("script", _data("script.js")))
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _data(name: str) -> str:
    return files("trueup.report").joinpath(name).read_text(encoding="utf-8")


def _masthead(study: Mapping[str, Any]) -> str:
    items = sum(stratum["items"] for stratum in study["strata"].values())
    each = plural(study["samples"], "attempt")
    kicker = f"Task {study['task']['name']} · {study['model']['name']} · {plural(items, 'item')} · {each} each"
    told = [*filter(None, [study.get("note")]), *(row["note"] for row in study["plan"].get("engines", ()))]
    return el(
        "header",
        el("div", el("span", "trueup", class_="brand"), _contents(study), class_="running"),
        *(el("p", safe(text), class_="banner") for text in told),
        el("p", safe(kicker), class_="kicker"),
        el("h1", safe(headline.finding(study)), data_cost_per_request=study["plan"]["cost_per_request"]),
        headline.facts(study),
    )


def _contents(study: Mapping[str, Any]) -> str:
    strata = (el("a", safe(name), href=f"#{anchor}") for name, anchor in headline.anchors(study).items())
    rest = (("breakeven", "Break-even"), ("costs", "Costs"), ("provenance", "Provenance"))
    return el("nav", *strata, *(el("a", text, href=f"#{anchor}") for anchor, text in rest), aria_label="Contents")


def _sections(study: Mapping[str, Any], figures: Mapping[str, str], most: int) -> list[str]:
    strata = [
        _section(anchor, name, figures[name] + _examples(study["strata"][name], most))
        for name, anchor in headline.anchors(study).items()
    ]
    return [
        el("section", el("h2", "What to do"), headline.decisions(study), id="decision"),
        *strata,
        _section("breakeven", "When does a fixed price pay?", breakeven.section(study)),
        _section("costs", "What this study cost", costs.section(study["ledger"])),
        _section("provenance", "Where the numbers come from", provenance.section(study)),
    ]


def _section(anchor: str, title: str, content: str) -> str:
    return el("section", el("h2", breakable(title)), content, id=anchor)


def _figures(name: str, stratum: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """What a section shows above its examples."""
    choice = plan["choices"].get(name)
    shown = (name, stratum, choice["label"] if choice else None, plan["target"])
    parts = (
        el("p", headline.chain(stratum["diagnosis"], choice), class_="chain"),
        el("p", prose(stratum["diagnosis"]["summary"]), class_="lead"),
        _verdicts(name, stratum, plan),
        el("div", frontier.figure(*shown), coverage.figure(*shown), class_="pair"),
        causes.figure(name, stratum["diagnosis"]),
    )
    return "".join(parts)


def _examples(stratum: Mapping[str, Any], most: int) -> str:
    return el("h3", "Wrong answers, verbatim") + answers.gallery(stratum["examples"], most)


def _verdicts(name: str, stratum: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    choice, proof, share = plan["choices"].get(name), plan["certificate"].get(name), plan["shares"].get(name)
    rows = [
        ("Choice", choice["reason"] if choice else "no method was chosen"),
        ("Certificate", _proof(proof)),
        ("Measured on", _measured(stratum, share)),
    ]
    return el("dl", *(el("div", el("dt", word), el("dd", prose(text))) for word, text in rows), class_="verdicts")


def _proof(proof: Mapping[str, Any] | None) -> str:
    if proof is None or not proof["note"]:
        return certificate(proof)
    short = certificate(proof) if proof["status"] == "certified" else str(proof["status"])
    return f"{short}; {proof['note']}"


def _measured(stratum: Mapping[str, Any], share: float | None) -> str:
    check = f"checked in flight by {stratum['check']}" if stratum["check"] else "no check without the reference"
    solver = f"solver {stratum['solver']}" if stratum["solver"] else "no solver"
    traffic = f", {percent(share)} of requests" if share is not None else ""
    return f"{plural(stratum['items'], 'item')}{traffic}; graded by {stratum['verifier']}; {check}; {solver}"


def _footer(study: Mapping[str, Any]) -> str:
    line = f"trueup {study['trueup']} · seed {study['task']['seed']} · prices of {study['prices']['date']}"
    return el("footer", safe(line))
