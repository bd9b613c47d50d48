"""Hold what a policy serves against what its study found: accuracy, evidence of a fall, cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from trueup.catalog import open_stratum
from trueup.cli.screen import screen, table
from trueup.core.errors import BadInput, UnknownName
from trueup.core.roles import Verifier
from trueup.core.types import Json
from trueup.plan import Policy, PolicyStratum, Resampler, Standing, hold_against, read_policy
from trueup.plan.words import as_given, dollars, floored
from trueup.run.grading import is_right
from trueup.tasks import build_chat, read_item, read_rows
from trueup.tasks.jsonl import Rows

FORM = '{"id", "stratum", "messages", "answer", "reference"}'
THOUSAND = 1000
ALARM = 3
"""The exit code that says so; 2 is that of an error."""

PolicyPath = Annotated[Path, typer.Argument(help="The policy.toml that is served.", metavar="POLICY")]
TrafficPath = Annotated[
    str, typer.Argument(help="What `trueup serve --traffic` wrote, with references added.", metavar="TRAFFIC")
]
Promise = Annotated[
    float | None, typer.Option(help="The accuracy to hold every stratum against; default: what its certificate proved.")
]
Delta = Annotated[float, typer.Option(help="The risk of any false alarm, ever, over all strata together.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@dataclass(frozen=True, slots=True)
class Audited:
    """One stratum's traffic: what was graded of it, and what it cost in dollars a request.

    `usd` and its interval are of the `priced` rows, None without one; `studied`, an accuracy on
    `studied_n` held-out items, and `planned_usd` are the study's.
    """

    rows: int
    standing: Standing
    studied: float | None
    usd: float | None
    usd_ci95: tuple[float, float] | None
    priced: int
    planned_usd: float | None
    studied_n: int | None


def add_commands(app: typer.Typer) -> None:
    """Put `trueup audit` on the command line."""
    app.command(epilog="Example: trueup audit out/mixed/policy.toml traffic.jsonl")(audit)


def audit(
    policy: PolicyPath, traffic: TrafficPath, promise: Promise = None, delta: Delta = 0.05, as_json: AsJson = False
) -> None:
    """Hold what is served against what was proved; exit code 3 where fewer answers are right than that.

    Rows are in the order of their requests. One with a `reference`, or with `right` (true or false, by whoever looked),
    is graded; which rows get one must not hang on their answers. Look as often as you like: the risk is of all looks.
    It is promised for independent requests, and a question that comes again counts again; leave out rows of requests
    that a client repeated because it got no answer.
    """
    plan = read_policy(policy)
    _demand_chance("promise", promise)
    _demand_chance("delta", delta)
    found = look(plan, read_rows(traffic, FORM), promise, delta)
    if as_json:
        print(json.dumps({"policy": plan.name, "delta": delta, "strata": {n: asdict(a) for n, a in found.items()}}))
    else:
        _print(plan, found, delta, traffic)
    if any(audited.standing.alarm_at for audited in found.values()):
        sys.exit(ALARM)


def look(plan: Policy, rows: Rows, promise: float | None, delta: float) -> dict[str, Audited]:
    """Each stratum that has traffic; the risk is shared by all strata of the policy.

    Raises UnknownName for a row of a stratum that the policy has not, BadInput for one that cannot be read.
    """
    strata = {stratum.name: stratum for stratum in plan.strata}
    by_stratum: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for place, row in rows:
        name = row.get("stratum")
        if name is None and len(strata) == 1:
            name = next(iter(strata))
        if not isinstance(name, str) or name not in strata:
            raise UnknownName("stratum", str(name), strata, hint=f"({place})")
        by_stratum.setdefault(name, []).append((place, row))
    return {name: _audited(strata[name], given, promise, delta / len(strata)) for name, given in by_stratum.items()}


def _audited(stratum: PolicyStratum, rows: Rows, promise: float | None, delta: float) -> Audited:
    verifier = open_stratum(stratum.name, stratum.recipe).verifier
    questions = [json.dumps([row.get("prompt"), row.get("messages"), row.get("schema")]) for _, row in rows]
    grades = [_grade(stratum, verifier, row, place) for place, row in rows]
    rights = [right for right in grades if right is not None]
    proved = stratum.proved if promise is None else promise
    usd = np.array([np.nan if row.get("usd") is None else _usd(row["usd"], place) for place, row in rows])
    mean, interval = _mean_usd(usd, questions)
    return Audited(
        len(rows), hold_against(rights, proved, delta), stratum.accuracy, mean, interval,
        int((~np.isnan(usd)).sum()), stratum.usd, stratum.held_out,
    )  # fmt: skip


def _grade(stratum: PolicyStratum, verifier: Verifier, row: Mapping[str, Any], place: str) -> bool | None:
    """Whether a row's answer is right; None where nothing says so."""
    right = row.get("right")
    if right is not None and not isinstance(right, bool):
        raise BadInput(f"{place}: right is {right!r}; it takes true or false")
    if right is not None or (verifier.needs_reference and row.get("reference") is None):
        return right
    answer = row.get("answer")
    if not isinstance(answer, str):
        raise BadInput(f"{place}: answer is {answer!r}; it takes the text that was served")
    item = read_item({"reference": None, **row, "id": place}, place, stratum.name)
    asked = build_chat(stratum.recipe, item.problem.prompt)
    return is_right(verifier, replace(item, problem=replace(item.problem, prompt=asked)), answer)


def _usd(given: Json, place: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not abs(given) <= sys.float_info.max:
        raise BadInput(f"{place}: usd is {given!r}; it takes dollars, or null where nobody knows")
    return float(given)


def _mean_usd(usd: np.ndarray[Any, Any], questions: Sequence[str]) -> tuple[float | None, tuple[float, float] | None]:
    known = ~np.isnan(usd)
    if not known.any():
        return None, None
    mean = float(usd[known].mean())
    draws = Resampler.of(questions, seed=0, name="usd")
    return mean, draws.unbounded_ratio(np.where(known, usd, 0.0), known.astype(float), (mean, mean))


def _demand_chance(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < 1:
        raise BadInput(f"{name} is {value:g}; give a number between 0 and 1")


def _print(plan: Policy, found: Mapping[str, Audited], delta: float, traffic: str) -> None:
    rows = table(
        ("stratum",),
        ("answers", "graded", "right", "95 %, at all looks", "in the study", "proved", "per 1,000", "95 %", "planned"),
        title=f"{plan.name}: what is served, against what was found",
    )
    for name, audited in found.items():
        rows.add_row(name, *_cells(audited))
    screen().print(rows)
    for name, audited in found.items():
        told = _verdict(name, audited, len(plan.strata) / delta, traffic)
        screen().print(f"  {told}", style="red" if audited.standing.alarm_at else None, highlight=False, soft_wrap=True)


def _cells(audited: Audited) -> list[str]:
    seen, unknown = audited.standing, "-"
    low, high = seen.interval
    cost = [unknown] * 2
    if audited.usd is not None and audited.usd_ci95 is not None:
        cost = [_per_thousand(audited.usd), "-".join(map(_per_thousand, audited.usd_ci95))]
    return [
        str(audited.rows), str(seen.n), f"{seen.right / seen.n:.0%}" if seen.n else unknown, f"{low:.0%}-{high:.0%}",
        unknown if audited.studied is None else f"{audited.studied:.0%}{_on(audited.studied_n)}",
        floored(seen.proved, "%") if seen.proved else unknown, *cost,
        unknown if audited.planned_usd is None else _per_thousand(audited.planned_usd),
    ]  # fmt: skip


def _on(n: int | None) -> str:
    """On how many items; a policy may be older than that."""
    return "" if n is None else f" ({n})"


def _per_thousand(usd: float) -> str:
    return dollars(usd * THOUSAND)


def _verdict(name: str, audited: Audited, alarm: float, traffic: str) -> str:
    """What a stratum's traffic says, and what to do about it."""
    seen = audited.standing
    if not seen.n:
        return f"{name}: nothing is graded; add a reference to rows of {traffic} that are drawn at random"
    if not seen.proved:
        return f"{name}: nothing was proved of it that could fall; give --promise, or plan with more items"
    proved = as_given(round(seen.proved, 4))
    against = f"evidence against {proved} was {seen.evidence:.3g} at most, alarm at {alarm:.3g}"
    if seen.alarm_at is None:
        return f"{name}: holds so far; {against}"
    return (
        f"{name}: ALARM at graded answer {seen.alarm_at}: {against}; study again, with its rows that have "
        f"a reference as a source (jsonl:{traffic}), and serve the new plan"
    )
