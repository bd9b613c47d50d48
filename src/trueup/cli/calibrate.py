"""Thresholds of stopping rules, calibrated on the choosing half of a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from trueup.arms import has_side_effects, make_arm
from trueup.catalog import names
from trueup.cli.half import choosing, of_its_own
from trueup.cli.pipeline import gather
from trueup.cli.request import Request
from trueup.cli.screen import screen, table
from trueup.core.errors import BadInput, UnknownName
from trueup.core.settings import join_words, settings_of, split_words
from trueup.core.stratum import Arm
from trueup.plan import Calibration, calibrate
from trueup.plan.engines import MIXED
from trueup.plan.words import floored

STEPS = "0.999,0.99,0.98,0.95,0.9,0.85,0.8,0.75,0.7,0.6"

Folder = Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")]
Method = Annotated[str, typer.Option(help="A method that stops by a threshold, with its other settings.")]
Setting = Annotated[str, typer.Option(help="Its threshold.")]
Values = Annotated[str, typer.Option(help="Thresholds to try, the safest first.")]
Margin = Annotated[float, typer.Option(help="Share of requests that stopping may turn from right to wrong.")]
Delta = Annotated[float, typer.Option(help="How often the guarantee may fail, over all that could have been sampled.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def add_commands(app: typer.Typer) -> None:
    """Put `trueup calibrate` on the command line."""
    app.command("calibrate", epilog="Example: trueup calibrate out/mixed --margin 0.05")(calibrate_threshold)


def calibrate_threshold(
    folder: Folder,
    method: Method = "adaptive_vote",
    setting: Setting = "confidence",
    values: Values = STEPS,
    margin: Margin = 0.02,
    delta: Delta = 0.05,
    as_json: AsJson = False,
) -> None:
    """Find the cheapest threshold of a stopping rule that is proved to do little harm.

    It is tried on logged samples, of the half of the items that a plan is chosen on; the other half certifies.
    """
    request = Request.load(folder)
    arms = _ladder(method, setting, values, request.samples)
    whole = make_arm(f"vote n={request.samples}")
    findings = gather(request, folder, sealed=True, quiet=True)
    seed = findings.task["seed"]
    strata = [of_its_own(m, findings.card) for m in findings.measured if not has_side_effects(m.stratum)]
    measured = choosing(strata)
    found = {m.stratum.name: calibrate(m, whole, arms, margin=margin, delta=delta, seed=seed) for m in measured}
    if not found:
        raise BadInput("every stratum has side effects, and is answered by one attempt: there is no threshold to find")
    if as_json:
        print(json.dumps({name: asdict(one) for name, one in found.items()}, indent=1))
        return
    for name, one in found.items():
        _print(name, one, margin, delta)


def _ladder(method: str, setting: str, values: str, samples: int) -> list[Arm]:
    if not method.split():
        raise BadInput("--method is empty; name one that stops by a threshold, such as adaptive_vote")
    name, settings = split_words(method)
    known = names("methods")
    if name in known and setting not in settings_of(known[name]):
        raise UnknownName(f"setting of {name}", setting, settings_of(known[name]))
    settings.setdefault("n", str(samples))
    steps = [value.strip() for value in values.split(",") if value.strip()]
    if not steps:
        raise BadInput("--values is empty; give thresholds, the safest first: 0.99,0.95,0.9")
    arms = [make_arm(f"{join_words(name, settings)} {setting}={step}") for step in steps]
    if any(arm.is_batch for arm in arms):
        raise BadInput(
            f"--method {method!r} spends one budget on a whole batch, so no request has a threshold of its own; "
            f"take a method for single problems, such as adaptive_vote"
        )
    return arms


def _print(name: str, found: Calibration, margin: float, delta: float) -> None:
    rows = table(("method", "accepted"), ("attempts", "accuracy", "harm", "p"), title=name)
    rows.add_row(found.whole.label, "", *_figures(found.whole.attempts, found.whole.accuracy))
    for trial in found.trials:
        rows.add_row(trial.label, "yes" if trial.accepted else "no",
                     *_figures(trial.attempts, trial.accuracy, trial.harm, trial.p))  # fmt: skip
    screen().print(rows)
    screen().print(f"  {_verdict(found, margin, delta)}\n", soft_wrap=True)


def _figures(attempts: float, *shares: float) -> Sequence[str]:
    return f"{attempts:.2f}", *(f"{share:.3f}" for share in shares)


def _verdict(found: Calibration, margin: float, delta: float) -> str:
    harm, confidence = ceil(round(1000 * margin, 9)) / 10, floored(1 - delta, "%")
    promise = f"turns at most {harm:.1f}% of requests from right to wrong ({confidence} confidence, n = {found.n})"
    if found.chosen is not None:
        return f"{found.chosen}: {promise}"
    if found.engines:
        return f"none accepted: {MIXED}"
    needs = (
        f"{found.needs:,} independent items, or clusters of sizes like these, without any harm, in the choosing half"
    )
    return f"none accepted: to prove that stopping {promise} takes {needs}"
