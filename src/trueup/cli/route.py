"""Routers and tables of bins, learned from the outcomes of a study."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from trueup.cli.half import choosing, of_its_own
from trueup.cli.pipeline import LEDGER_FILE, Findings, gather
from trueup.cli.request import Request, split_models
from trueup.cli.screen import screen, table, warn
from trueup.cli.snapshot import snapshot
from trueup.core.errors import BadInput, UnknownName
from trueup.core.files import write_whole
from trueup.core.outcome import Measured, Pool
from trueup.core.settings import join_words, one_word, split_words
from trueup.core.types import Json, Problem
from trueup.methods.appraise import appraise
from trueup.methods.compute_optimal import AGREEMENT, RATING, SIGNALS, agreement
from trueup.methods.prompt_features import LENGTH, features
from trueup.methods.start import CHOOSERS, starter
from trueup.models import Sealed
from trueup.plan.compute_optimal import Comparison, Pilot, best_per_bin, compare_bins
from trueup.plan.engines import mixtures, noted
from trueup.plan.logged import Logged, in_unit, logged, pilot_cost, with_attempts
from trueup.plan.router import fit_chance
from trueup.plan.router_trial import Operating, Trial, operate, try_router
from trueup.plan.sheet import lay_out
from trueup.plan.words import percent
from trueup.run import Clerk, Tab, answer
from trueup.run.watch import billing_of

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
    findings = gather(Request.load(folder), folder, sealed=True, quiet=True)
    found: dict[str, Json] = {}
    for whole in _strata(findings, stratum):
        measured = _piloted(whole, pilot)
        logs, told = _pilot(measured, findings, pilot)
        if signal == RATING:
            told = _rated_pilot(measured, findings, folder, told, pilot, logs.unit)
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


def _piloted(whole: Measured, size: int) -> Measured:
    """What is known of the items that a pilot can be made of; a warning of those that it cannot.

    Raises BadInput where that is all of them.
    """
    measured = with_attempts(whole, size)
    items, left = len(whole.stratum.items), len(whole.stratum.items) - len(measured.stratum.items)
    why = next((f": {pool.failure}" for pool in whole.pools if len(pool.attempts) < size and pool.failure), "")
    told = f"{whole.stratum.name}: {left} of {items} items left out, which have fewer than {size} attempts{why}"
    warn([told] * (left > 0))
    return measured


def _pilot(measured: Measured, findings: Findings, size: int) -> tuple[Logged, Pilot]:
    logs = logged(replace(measured, arms=tuple(arm for arm in measured.arms if arm.method not in CHOOSERS)))
    cost = pilot_cost(measured, size, findings.card, findings.prices, logs.unit)
    by_id = {pool.item.problem.id: pool.attempts[:size] for pool in measured.pools}
    ease = [agreement(by_id[item.problem.id]) for item in measured.stratum.items]
    return logs, Pilot(np.array(ease), cost)


def _rated_pilot(measured: Measured, findings: Findings, folder: Path, pilot: Pilot, size: int, unit: str) -> Pilot:
    """The pilot told by the mean rating of its attempts, which is charged too.

    Raises BadInput for a stratum without a rater, or ratings that are not in the ledger.
    """
    stratum, by_id = measured.stratum, {pool.item.problem.id: pool for pool in measured.pools}
    if stratum.rater is None:
        raise BadInput(
            f"stratum {stratum.name!r} has no rater for --signal {RATING}; "
            f"take --signal {AGREEMENT}, or another --stratum"
        )
    shut = replace(stratum, rater=_Ledgered(stratum.rater.fingerprint, billing_of(stratum.rater)))
    pools = [by_id[item.problem.id] for item in stratum.items]

    async def read() -> list[tuple[float, float]]:
        return [await _rated(pool, Tab(shut, pool.item), clerk, size, unit) for pool in pools]

    with snapshot(folder / LEDGER_FILE) as ledger:
        clerk = Clerk(Sealed(findings.card), ledger, findings.prices)
        ease, cost = zip(*asyncio.run(read()), strict=True)
    return Pilot(np.array(ease), pilot.cost + np.array(cost))


async def _rated(pool: Pool, tab: Tab, clerk: Clerk, size: int, unit: str) -> tuple[float, float]:
    """The mean rating of a pool's first attempts, and their part of what their ask cost.

    They are read out of the shortest beginning of the pool that was rated in one ask.
    """
    for end in range(size, len(pool.attempts) + 1):
        try:
            ratings = await answer(appraise(pool.item.problem, pool.attempts[:end]), tab, clerk)
        except _Unrated:
            continue
        return sum(ratings[:size]) / size, (in_unit(tab.cost, unit) or 0.0) * size / end
    raise BadInput(
        f"the ledger has no ratings of the first {size} attempts at {pool.item.problem.id!r}; "
        f"run `trueup study` again with `weighted_best_of_n n={size}` among its --methods"
    )


class _Unrated(BadInput):
    """Texts that the ledger has no ratings of."""


@dataclass(frozen=True, slots=True)
class _Ledgered:
    """Implements Rater with another's fingerprint and billing, and rates nothing: the ledger has to have it."""

    fingerprint: str
    billing: str

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """No ratings; raises `_Unrated`."""
        raise _Unrated(f"no ratings of {len(texts)} texts at {problem.id!r}")

    async def close(self) -> None:
        """Nothing to close."""


def _usual_budget(logs: Logged, pilot: Pilot) -> float:
    """What the most accurate method costs, and the pilot on top."""
    accuracy, cost = logs.right.mean(axis=1), logs.cost.mean(axis=1)
    return float(cost[accuracy >= accuracy.max()].min() + pilot.cost.mean())


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
