"""What a study says on the terminal when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from trueup.cli.screen import screen, table
from trueup.core.types import Json
from trueup.plan.engines import MIXED
from trueup.plan.words import as_given, floored

HELD_OUT = "accuracy (items): of the plan's method on items that had no say in choosing it"
AGAIN = "run the same study again to ask anew what failed; until then a failed answer counts as wrong"
ONE_LOOK = (
    "this confidence is that of one look: decide how many items, then look once; `trueup audit` holds at any number of "
    "looks"
)


def print_summary(study: dict[str, Any], folder: Path, fresh_calls: int, seconds: float) -> None:
    """The verdict per stratum, the plan, what it cost to learn, and where to read more."""
    console = screen()
    plan, model = study["plan"], study["model"]
    where = f" on {model['name']}: where the next unit of compute should go\n"
    console.print(Text.assemble("\n", (study["task"]["name"], "bold"), where))
    console.print(_verdicts(study))
    console.print(f"  {HELD_OUT}", highlight=False)
    for line in _grader(study):
        console.print(line, highlight=False, soft_wrap=True)
    for line in (*_caveats(study["strata"]), *_warnings(study["strata"])):
        console.print(line, style="yellow", highlight=False, soft_wrap=True)
    print_differences(plan)
    for line in _abstentions(study["strata"]):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        f"plan at target {as_given(plan['target'], '%')}: {_usd(plan['cost_per_request'], 1000)} per 1,000 requests, "
        f"{_usd(plan['cost_per_volume'])} for {plan['volume']:,.0f}"
    )
    for name, certificate in plan["certificate"].items():
        is_mixed = "engines" in study["strata"][name]
        told = f"uncertified: {MIXED}" if is_mixed else _certificate(certificate, plan["choices"][name]["n"])
        console.print(f"  {name}: {told}")
    if any(certificate["needs"] for certificate in plan["certificate"].values()):
        console.print(f"  {ONE_LOOK}", highlight=False, soft_wrap=True)
    for line in _training(plan):
        console.print(line)
    console.print(
        f"\nthis study: {study['ledger']['charges']:,} charges, {_spent(study['ledger']['totals'])} in all, as paid; "
        f"now {fresh_calls} new model calls in {seconds:.0f} s"
    )
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)
    console.print(f"policy: {folder / 'policy.toml'}  (trueup serve {folder / 'policy.toml'})", soft_wrap=True)


def _spent(totals: Sequence[dict[str, Any]]) -> str:
    """Tokens and dollars, at least so many where an endpoint keeps some to itself."""
    tokens = sum(t["prompt_tokens"] + t["completion_tokens"] for t in totals)
    known = f"{'at least ' if any(t['unknown_tokens'] for t in totals) else ''}{tokens:,} tokens"
    usd = _usd(sum(t["usd"] or 0 for t in totals))
    return f"{known}, {'at least ' if any(t['unpriced'] for t in totals) else ''}{usd}"


def print_points(strata: dict[str, Any]) -> None:
    """Every method of every stratum: accuracy, interval and cost."""
    for name, stratum in strata.items():
        rows = table(("method", "note"), ("accuracy", "95 %", "n", "tokens", "per 1,000"), title=name)
        for point in stratum["points"]:
            cost = point["cost"]
            tokens = (cost["prompt_tokens"], cost["completion_tokens"])
            rows.add_row(
                point["label"], _note(point), f"{point['accuracy']:.0%}",
                f"{point['ci95'][0]:.0%}-{point['ci95'][1]:.0%}", str(point["n"]),
                "unknown" if None in tokens else f"{sum(tokens):,.0f}", _usd(cost["usd"], 1000),
            )  # fmt: skip
        screen().print(rows)
        for line in _warnings({name: stratum}):
            screen().print(line, style="yellow", highlight=False, soft_wrap=True)
        for line in _abstentions({name: stratum}):
            screen().print(line, highlight=False, soft_wrap=True)
        coverage = ", ".join(f"{row['k']}: {row['pass_at_k']:.0%}" for row in stratum["coverage"])
        screen().print(f"  pass@k  {coverage}\n")


def print_differences(plan: dict[str, Any]) -> None:
    """Every model that answered strata of the plan as different engines."""
    for row in plan.get("engines", ()):
        screen().print(f"  {row['note']}", style="yellow", highlight=False, soft_wrap=True)


def _grader(study: dict[str, Any]) -> list[str]:
    """What graded the strata of a lone file, whose author named no verifier."""
    if not study["task"]["path"].lower().endswith(".jsonl"):
        return []
    return [
        f"  {name}: graded by `{stratum['verifier']}`; --set {name}.verifier=NAME takes another"
        for name, stratum in study["strata"].items()
    ]


def _caveats(strata: dict[str, Any]) -> list[str]:
    """What to know of a stratum before its cause is believed."""
    told = ((name, stratum["diagnosis"].get("caveat")) for name, stratum in strata.items())
    return [f"  {name}: {caveat}" for name, caveat in told if caveat]


def _warnings(strata: dict[str, Any]) -> list[str]:
    """Every arm that failed on some item, and the samples that could not be had, each with its first reason.

    What to do about these, and every model that answered as several engines.
    """
    lines = []
    for name, stratum in strata.items():
        unsampled = stratum["unsampled"]
        if unsampled["items"]:
            lines.append(
                f"  {name}, samples: {unsampled['items']} of {stratum['items']} failed: {unsampled['failure']}"
            )
        lines += [
            f"  {name}, {point['label']}: {point['failures']} of {point['n']} failed: {point['failure']}"
            for point in stratum["points"]
            if point["failures"]
        ]
        if unsampled["items"] or any(point["failures"] for point in stratum["points"]):
            lines.append(f"  {name}: {AGAIN}")
        lines += [f"  {name}: {row['note']}" for row in stratum.get("engines", ())]
    return lines


def _abstentions(strata: dict[str, Any]) -> list[str]:
    """Of every arm that abstained somewhere: how much it decided, and how much of all it decided wrongly."""
    return [
        f"  {name}, {point['label']}: decided {_counted(point['decided'])}, "
        f"wrong though decided {_counted(point['wrong_decided'])}"
        for name, stratum in strata.items()
        for point in stratum["points"]
        if point.get("abstained")
    ]


def _counted(share: dict[str, Any]) -> str:
    low, high = share["ci95"]
    return f"{share['count']} of {share['n']} ({low:.0%}-{high:.0%})"


def _note(point: dict[str, Any]) -> str:
    if point["failures"] == point["n"]:
        return "failed on every item"
    if point["oracle"]:
        return "oracle: an upper bound"
    return "for batches only" if point["batch"] else ""


def print_diagnosis(strata: dict[str, Any]) -> None:
    """The cause of every stratum's errors and the evidence for and against each candidate."""
    for name, stratum in strata.items():
        diagnosis = stratum["diagnosis"]
        told = f": {diagnosis['cause']} -> {diagnosis['lever']}. {diagnosis['summary']}"
        screen().print(Text.assemble((name, "bold"), told))
        rows = table(("test", "statistic"), ("value", "95 %", "threshold", "called"))
        for row in diagnosis["evidence"]:
            low, high = row["ci95"] or (None, None)
            rows.add_row(
                row["test"], row["statistic"], _share(row["value"]), f"{_share(low)} to {_share(high)}",
                _share(row["threshold"]), "yes" if row["called"] else "no",
            )  # fmt: skip
        screen().print(rows, "")


def _share(value: Json) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _verdicts(study: dict[str, Any]) -> Table:
    rows = table(("stratum", "n", "once", "cause", "lever", "plan"), ("accuracy", "95 %", "per 1,000"))
    for name, stratum in study["strata"].items():
        choice = study["plan"]["choices"][name]
        until_then = "until then " if choice["is_interim"] else ""
        rows.add_row(
            Text(name, "bold"), str(stratum["items"]), _once(stratum), stratum["diagnosis"]["cause"],
            stratum["diagnosis"]["lever"], Text.assemble(until_then, (choice["label"], "green")),
            *_held_out(choice), _usd(choice["usd"], 1000),
        )  # fmt: skip
    return rows


def _held_out(choice: dict[str, Any]) -> tuple[str, str]:
    """The accuracy, on how many items, and its interval."""
    if choice["accuracy"] is None:
        return "none (0)", "-"
    low, high = choice["ci95"]
    return f"{choice['accuracy']:.0%} ({choice['n']})", f"{low:.0%}-{high:.0%}"


def _once(stratum: dict[str, Any]) -> str:
    """How often one attempt is right: by the method `once`, else by coverage."""
    point = next((point for point in stratum["points"] if point["label"] == "once"), None)
    if point is None:
        return next((f"{row['pass_at_k']:.0%}" for row in stratum["coverage"] if row["k"] == 1), "-")
    return "failed" if point["failures"] == point["n"] else f"{point['accuracy']:.0%}"


def _training(plan: dict[str, Any]) -> list[str]:
    """What training would have to cost, or save, beside the arm that the plan chose."""
    rows = [row for row in plan["breakeven"] if row["a"] == "training"]
    chosen = [row for row in rows if row["b"] == plan["choices"][row["stratum"]]["label"]]
    asked = "" if plan["training_usd"] is not None else " (state its fixed cost with --training-usd)"
    head = f"training against the plan, on all items{asked}:"
    return [head, *(f"  {r['stratum']}: {r['note']}" for r in chosen)] if chosen else []


def _certificate(certificate: dict[str, Any], held_out: int) -> str:
    bound, n = floored(certificate["bound"], "%"), certificate["n"]
    drawn = f"{n} of {held_out}" if n < held_out else f"{n}"
    risk = f"{floored(1 - certificate['delta'], '%')} confidence, n = {drawn}"
    if certificate["status"] == "certified":
        return f"certified at {bound} or better ({risk})"
    return f"uncertified: at least {bound} ({risk}); {_lacking(certificate)}"


def _lacking(certificate: dict[str, Any]) -> str:
    """What would certify the target."""
    n, needs = certificate["n"], certificate["needs"]
    if not n:
        return "no item was left to certify on"
    if needs:
        return f"needs n = {needs:,}, looked at once"
    is_above = certificate["right"] > n * certificate["target"]
    return "more than a million items would be needed" if is_above else "its estimate does not clear the target"


def _usd(amount: Json, times: int = 1) -> str:
    if amount is None:
        return "unknown"
    dollars = amount * times
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.3g}"
