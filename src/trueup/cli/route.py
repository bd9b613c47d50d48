"""Routers and tables of bins, learned from the outcomes of a study."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from trueup.cli.half import choosing, of_its_own
from trueup.cli.pilots import ask_pilots, ledger_clerk, piloted
from trueup.cli.pipeline import Findings, gather
from trueup.cli.request import Request, split_models
from trueup.cli.screen import screen, table
from trueup.core.errors import UnknownName
from trueup.core.files import write_whole
from trueup.core.outcome import Measured
from trueup.core.settings import join_words, one_word, split_words
from trueup.core.types import Json
from trueup.methods.compute_optimal import AGREEMENT, SIGNALS
from trueup.methods.prompt_features import LENGTH, features
from trueup.methods.start import CHOOSERS, starter
from trueup.plan.compute_optimal import Comparison, Pilot, best_per_bin, compare_bins
from trueup.plan.engines import mixtures, noted
from trueup.plan.logged import Logged, logged
from trueup.plan.router import fit_chance
from trueup.plan.router_trial import Operating, Trial, operate, try_router
from trueup.plan.sheet import lay_out
from trueup.plan.words import percent

HALFWAY = 5
"""The place in a curve of shares that is shown: half of the prompts go to the dear method."""

Folder = Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")]
Cheap = Annotated[str, typer.Option(help="The cheap method, as measured in the study.")]
Costly = Annotated[str, typer.Option(help="The dear one.")]
Only = Annotated[str | None, typer.Option("--stratum", help="This stratum alone.")]
Target = Annotated[float | None, typer.Option(help="Accuracy to reach at least cost; that of the study if left out.")]
PilotSize = Annotated[int, typer.Option("--pilot", help="Attempts that tell how hard a problem is.")]
Signal = Annotated[str, typer.Option(help="What is told by: agreement, or the mean rating of the stratum's rater.")]
Bins = Annotated[int, typer.Option(help="Bins of difficulty.")]
Budget = Annotated[
    float | None, typer.Option(help="What a method may cost a request on average, pilot included, in the study's unit.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

rooms = typer.Typer(
    no_args_is_help=True, help="Choose methods by the prompt, or by a pilot, and see what that is worth."
)


def add_commands(app: typer.Typer) -> None:
    """Put `trueup route` on the command line."""
    rooms.command("fit", epilog='Example: trueup route fit out/mixed --cheap once --costly "vote n=16"')(fit)
    rooms.command("bins", epilog="Example: trueup route bins out/mixed --pilot 4")(bins)
    app.add_typer(rooms, name="route")


def fit(
    folder: Folder,
    cheap: Cheap = "once",
    costly: Costly = "",
    target: Target = None,
    stratum: Only = None,
    as_json: AsJson = False,
) -> None:
    """Learn from a study which prompts the cheap method suffices for, and judge that against trivial routers."""
    request = Request.load(folder)
    wanted = replace(request, target=request.target if target is None else target).check().target
    findings = gather(request, folder, sealed=True, quiet=True)
    seed = findings.task["seed"]
    cheap, dear = (join_words(*split_words(words)) for words in (cheap, costly or f"vote n={request.samples}"))
    found: dict[str, Json] = {}
    for whole in _strata(findings, stratum):
        measured = whole if _asks_others((cheap, dear), request) else of_its_own(whole, findings.card)
        pair = logged(measured, (cheap, dear))
        for words in pair.names:
            starter(words)
        rows = [features(item.problem.prompt) for item in measured.stratum.items]
        trial = try_router(rows, pair, length=LENGTH, seed=seed)
        point = operate(np.array(trial.chances), pair, wanted)
        chance = fit_chance(rows, pair.right[0], pair.clusters, seed=seed)
        learned = {"cheap": cheap, "costly": dear, "threshold": point.threshold, **asdict(chance)}
        seen = {"trial": asdict(trial), **noted(mixtures(measured.engines))}
        path = _write(folder, f"router-{one_word(measured.stratum.name)}.json", learned | seen)
        found[measured.stratum.name] = seen | {"operating": asdict(point), "file": str(path)}
        if not as_json:
            _print_router(measured.stratum.name, trial, point, path)
    if as_json:
        print(json.dumps(found, indent=1))


def bins(
    folder: Folder,
    pilot: PilotSize = 4,
    signal: Signal = AGREEMENT,
    bins: Bins = 5,
    budget: Budget = None,
    stratum: Only = None,
    as_json: AsJson = False,
) -> None:
    """Find the best method for each bin of difficulty, and judge that against one method for all, the pilot charged.

    Ratings are those that the study has paid for: those of `weighted_best_of_n` of as many attempts, or of more.
    """
    if signal not in SIGNALS:
        raise UnknownName("signal", signal, SIGNALS)
    request = Request.load(folder)
    findings = gather(request, folder, sealed=True, quiet=True)
    found: dict[str, Json] = {}
    with ledger_clerk(findings, folder) as clerk:
        for whole in _strata(findings, stratum):
            measured = piloted(whole, pilot)
            logs = _deployable(measured)
            told = ask_pilots(measured, logs, clerk, size=pilot, signal=signal)
            truth = np.nan_to_num(lay_out(measured, seed=findings.task["seed"]).pass_at_1)
            compared = compare_bins(logs, told, truth=truth, bins=bins, seed=findings.task["seed"])
            spend = _usual_budget(logs, told) if budget is None else budget
            best = best_per_bin(logs, told, budget=spend, bins=bins)
            rows = {"pilot": pilot, "signal": signal, **asdict(best), "budget": spend, "unit": logs.unit}
            rows |= noted(mixtures(measured.engines))
            path = _write(folder, f"bins-{one_word(measured.stratum.name)}.json", rows)
            found[measured.stratum.name] = {"comparison": asdict(compared), "table": rows, "file": str(path)}
            if not as_json:
                _print_bins(measured.stratum.name, compared, rows, path)
    if as_json:
        print(json.dumps(found, indent=1))


def _asks_others(methods: Sequence[str], request: Request) -> bool:
    """Whether one of them names a further model of the study's."""
    return not {word for words in methods for word in re.findall(r"\w+", words)}.isdisjoint(
        split_models(request.models)
    )


def _strata(findings: Findings, only: str | None) -> Sequence[Measured]:
    """The strata, each with the half of its items that a plan is chosen on; the other half certifies."""
    names = [measured.stratum.name for measured in findings.measured]
    if only is not None and only not in names:
        raise UnknownName("stratum", only, names)
    wanted = [measured for measured in findings.measured if only in (None, measured.stratum.name)]
    return choosing(wanted)


def _deployable(measured: Measured) -> Logged:
    """What can answer one request, but for what chooses by a file."""
    return logged(replace(measured, arms=tuple(arm for arm in measured.arms if arm.method not in CHOOSERS)))


def _usual_budget(logs: Logged, pilot: Pilot) -> float:
    """What the most accurate method costs, with the pilot."""
    accuracy = logs.right.mean(axis=1)
    return float((logs.cost + pilot.cost).mean(axis=1)[accuracy >= accuracy.max()].min())


def _write(folder: Path, name: str, content: Mapping[str, Json]) -> Path:
    path = folder / name
    write_whole(path, json.dumps(content, indent=1) + "\n")
    return path


def _print_router(name: str, trial: Trial, point: Operating, path: Path) -> None:
    rows = table(("router", "share to the dear one"), ("accuracy", "95 %", trial.unit, "mean gain", "95 %"), title=name)
    for rule in trial.rules:
        stop = rule.stops[HALFWAY]
        rows.add_row(
            rule.name, percent(stop.share), percent(stop.accuracy), _span(stop.ci95), f"{stop.cost:.3g}",
            f"{rule.gain:+.1%}", f"{rule.ci95[0]:+.1%} to {rule.ci95[1]:+.1%}",
        )  # fmt: skip
    always = trial.rules[0].stops
    for label, stop in ((f"always {trial.cheap}", always[0]), (f"always {trial.costly}", always[-1])):
        rows.add_row(label, percent(stop.share), percent(stop.accuracy), _span(stop.ci95), f"{stop.cost:.3g}", "", "")
    screen().print(rows)
    screen().print(
        f"  {trial.verdict} n = {trial.n}.\n  At its threshold {point.threshold:.2f}, {percent(point.share)} go to "
        f"{trial.costly}: {percent(point.accuracy)} right.\n  router: {path}\n", soft_wrap=True,
    )  # fmt: skip


def _print_bins(name: str, compared: Comparison, rows: Mapping[str, Json], path: Path) -> None:
    shown = table(
        ("policy",), (f"budget ({compared.unit})", "accuracy", "95 %", "spent"), title=f"{name}, n = {compared.n}"
    )
    for policy, curve in compared.curves.items():
        for point in curve:
            if point.accuracy is not None and point.ci95 is not None:
                shown.add_row(
                    policy, f"{point.budget:.3g}", percent(point.accuracy), _span(point.ci95), f"{point.cost:.3g}"
                )
    screen().print(shown)
    chosen = ", ".join(f"bin {place}: {words}" for place, words in enumerate(rows["methods"], 1))
    screen().print(
        f"  of methods within {rows['budget']:.3g} {compared.unit}, hardest first: {chosen}; that spends "
        f"{rows['cost']:.3g}\n  table: {path}\n",
        soft_wrap=True,
    )


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.0%}-{interval[1]:.0%}"
