"""What there is, whether it works here, and whom to cite: list, doctor, cite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from trueup.catalog import KINDS, describe, names
from trueup.cli.citations import citations
from trueup.cli.doctor import Finding, compare, examine, json_of, require_agreement
from trueup.cli.screen import screen, table
from trueup.core.errors import BadInput, Unavailable
from trueup.models.gate import TOLERANCE
from trueup.plan import read_policy

Kind = Annotated[str, typer.Argument(help="methods, verifiers, raters, solvers, sources, models or trainers.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Agree = Annotated[
    tuple[str, str] | None,
    typer.Option(
        help="Compare the next tokens of two models instead, on a fixed set of prompts.", metavar="MODEL MODEL"
    ),
]
Tolerance = Annotated[float | None, typer.Option(help=f"Log-probability they may be apart; {TOLERANCE} if left out.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="first.key=value or second.key=value; repeatable.")]
PolicyPath = Annotated[Path, typer.Argument(help="A policy.toml.", metavar="POLICY")]


def add_commands(app: typer.Typer) -> None:
    """Put `list`, `doctor` and `cite` on the command line."""
    app.command("list", epilog="Example: trueup list methods")(show)
    app.command(epilog="Example: trueup doctor")(doctor)
    app.command(epilog="Example: trueup cite out/mixed/policy.toml")(cite)


def show(kind: Kind = "methods", as_json: AsJson = False) -> None:
    """Every name of a kind, its settings and what it does."""
    rows = describe(kind)
    if as_json:
        print(json.dumps([{"name": r.name, "settings": r.settings, "about": r.about} for r in rows], indent=1))
        return
    shown = table((kind, "settings", ""))
    for row in rows:
        shown.add_row(row.name, " ".join(f"{k}={v}" for k, v in row.settings.items()), row.about)
    screen().print(shown)
    screen().print(f"kinds: {', '.join(KINDS)}")


def doctor(
    agree: Agree = None, tolerance: Tolerance = None, sets: Sets = None, as_json: AsJson = False
) -> None:  # fmt: skip
    """Check what trueup needs on this machine, or whether two engines agree; exit code 2 where something is amiss."""
    if agree is not None:
        _agree(agree, TOLERANCE if tolerance is None else tolerance, sets or (), as_json=as_json)
        return
    if sets or tolerance is not None:
        raise BadInput("--set and --tolerance are about two engines; name them with --agree MODEL MODEL")
    findings = examine()
    if as_json:
        print(json.dumps([{"what": f.what, "state": f.state, "detail": f.detail} for f in findings], indent=1))
    else:
        for finding in findings:
            _print_finding(finding)
    broken = [finding.what for finding in findings if finding.state == "broken"]
    if broken:
        raise Unavailable(f"{', '.join(broken)}: mend what is marked broken above")


def _agree(specs: tuple[str, str], tolerance: float, sets: Sequence[str], *, as_json: bool) -> None:
    found, cards = compare(specs, sets, tolerance)
    if as_json:
        print(json.dumps(json_of(found), indent=1))
    else:
        screen().print(str(found), soft_wrap=True, highlight=False)
    require_agreement(found, cards)


def cite(policy: PolicyPath, as_json: AsJson = False) -> None:
    """BibTeX for the methods that a policy uses."""
    used = [stratum.method for stratum in read_policy(policy).strata]
    found = citations(used, names("methods"))
    if as_json:
        print(json.dumps([{"method": c.method, "arxiv": c.arxiv, "reference": c.reference} for c in found], indent=1))
        return
    for citation in found:
        print(citation.bibtex())
    uncited = sorted(set(used) - {citation.method for citation in found})
    if uncited:
        print(f"% no paper to cite for: {', '.join(uncited)}")


def _print_finding(finding: Finding) -> None:
    colour = {"fine": "green", "warning": "yellow", "broken": "red"}[finding.state]
    state = Text(f"{finding.state:>8}", colour)
    screen().print(state, f" {finding.what}: {finding.detail}", soft_wrap=True)
