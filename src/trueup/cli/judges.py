"""How often a judge, or a stratum's own check, is right on the samples of a study."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trueup.arms import make_arm
from trueup.catalog import names, open_model
from trueup.cli.half import Half, open_half
from trueup.cli.hearings import Heard, Witness, hear
from trueup.cli.pipeline import split_sets
from trueup.cli.request import Request, split_models
from trueup.cli.screen import screen, warn
from trueup.core.asks import Flow
from trueup.core.errors import BadInput, UnknownName
from trueup.core.outcome import Pool
from trueup.core.settings import settings_of
from trueup.core.stratum import Arm
from trueup.methods.hearing import JUDGES, PAIRWISE, Verdict, hear_check, hear_judge
from trueup.methods.verdicts import Bench
from trueup.models import Sealed
from trueup.plan.engines import mixtures, noted, tell
from trueup.plan.past import read_past

JUDGE = "judge"
"""What methods call the model of --model."""
OWN = "model"
"""What the study's own model is called by --set."""
MISFITS = {"q0": "is measured here", "q1": "is measured here", "model": "would have others attempt the problems"}
DECIMALS = 3

Folder = Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")]
Method = Annotated[str, typer.Option(help=f"How the judge is asked: {', '.join(JUDGES)}, with settings.")]
With = Annotated[list[str] | None, typer.Option("--with", help="NAME=MODEL that judges, not the study's own model.")]
Spec = Annotated[str | None, typer.Option("--model", help=f"MODEL that judges: short for --with {JUDGE}=MODEL.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="NAME.key=value for that model; repeatable.")]
Only = Annotated[str | None, typer.Option("--stratum", help="The stratum to measure on, where there are several.")]
Limit = Annotated[int | None, typer.Option(help="Problems to ask about, at most; drawn by the seed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of n attempts, pairs or texts, with its exact interval, as a setting of a method."""

    setting: str
    value: float
    ci95: tuple[float, float]
    n: int
    about: str

    @property
    def rounded(self) -> float:
        """As it is typed."""
        return round(self.value, DECIMALS)

    def __str__(self) -> str:
        """The setting, its interval and what it is a share of."""
        low, high = self.ci95
        return f"{self.setting}={self.rounded:g} (95 % {low:.2f}-{high:.2f}, n = {self.n:,} {self.about})"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured of whom, how far it is to be trusted, and what to type."""

    about: Mapping[str, str]
    rates: tuple[Rate, Rate]
    note: str | None = None
    use: str | None = None


def add_commands(rooms: typer.Typer) -> None:
    """Put `judge` and `check` among what can be learned."""
    rooms.command("judge", epilog='Example: trueup learn judge out/mixed --method "judge_best k=3" --limit 50')(judge)
    rooms.command("check", epilog="Example: trueup learn check out/mixed --stratum sudoku")(check)


def judge(
    folder: Folder,
    method: Method = "judge_best",
    models: With = None,
    model: Spec = None,
    sets: Sets = None,
    stratum: Only = None,
    limit: Limit = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """How often a judge rejects wrong attempts (q0) and passes right ones (q1): `judge_best q0=.. q1=..`.

    Its calls are charged to the study's ledger, so a killed run goes on where it stopped.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"--limit is {limit}; ask about at least 1 problem")
    given = [*(models or ()), *([f"{JUDGE}={model}"] if model else ())]
    arm = _judging(method, list(split_models(given)))
    bench = _bench(arm)
    half = open_half(folder, stratum)
    witness, spec = _witness(half.request, given, sets or (), bench.model)
    pools = _pools(half, spec, n=arm.settings.get("n"), limit=limit)
    heard = hear(half, folder, witness, partial(_judged, arm.method, bench), pools, quiet=quiet)
    _tell(half, heard, _judge_finding(heard, arm, bench, spec), as_json=as_json)


def check(folder: Folder, stratum: Only = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """How often a stratum's own check passes right attempts and wrong ones; no model is asked."""
    half = open_half(folder, stratum)
    known = half.measured.stratum
    if known.check is None:
        raise BadInput(f"stratum {known.name!r} has no check to measure; name one that needs no reference in the task")
    pools = _pools(half, half.request.model)
    heard = hear(half, folder, Witness(Sealed(half.findings.card), {}), _checked, pools, quiet=quiet)
    _tell(half, heard, _check_finding(heard, known.check.name), as_json=as_json)


def _judging(text: str, given: Sequence[str]) -> Arm:
    """The method that has the judge judge, which is the one model that is given unless the method names another."""
    arm = make_arm(text)
    if arm.method not in JUDGES:
        raise UnknownName("judge", arm.method, JUDGES, hint="(as --method)")
    for key in MISFITS.keys() & arm.settings.keys():
        raise BadInput(f"--method {text!r} sets {key}, which {MISFITS[key]}; leave it out")
    named = arm.settings.get("judge_model") or (given[0] if len(given) == 1 else "")
    if given and named not in given:
        raise BadInput(
            f"--with names {', '.join(given)}; say which one judges: --method '{text} judge_model={given[0]}'"
        )
    return replace(arm, settings={**arm.settings, "judge_model": named}) if named else arm


def _bench(arm: Arm) -> Bench:
    known = settings_of(names("methods")[arm.method])
    k, tokens, name = (arm.settings.get(key, known[key].default) for key in ("k", "tokens", "judge_model"))
    bench = Bench(k, tokens, name)
    bench.refuse_misfits(arm.method)
    return bench


def _witness(request: Request, given: Sequence[str], sets: Sequence[str], name: str) -> tuple[Witness, str]:
    """Who judges, set up as in the study and by `sets`, and its specification."""
    specs = split_models(list(dict.fromkeys((*request.models, *given))))
    if name and name not in specs:
        raise UnknownName("model", name, specs, hint=f"(give --with {name}=MODEL)")
    settings, further = split_sets(request.sets), split_sets(sets)
    for owner in further.keys() - {OWN, *specs}:
        raise UnknownName("--set", owner, {OWN, *specs})
    both = {owner: settings.get(owner, {}) | further.get(owner, {}) for owner in (OWN, *specs)}
    own = open_model(request.model, both[OWN])
    others = {name: open_model(specs[name], both[name])} if name else {}
    return Witness(own, others, name), specs[name] if name else request.model


def _pools(half: Half, spec: str, *, n: int | None = None, limit: int | None = None) -> Sequence[Pool]:
    """So many pools of the half, in an order drawn by the seed; none of an item that who is asked was trained on.

    Raises BadInput where none is left.
    """
    past, stratum = read_past(spec), half.measured.stratum
    items = past.without(stratum.items, stratum.recipe) if past else stratum.items
    known = {item.problem.id for item in items}
    pools = [pool for pool in half.measured.pools if pool.attempts and pool.item.problem.id in known]
    if not pools:
        raise BadInput(
            f"stratum {stratum.name!r} has no attempts to ask {spec} about, or it was trained on all of them"
        )
    random.Random(f"{half.seed}:{stratum.name}:judge").shuffle(pools)
    return [replace(pool, attempts=pool.attempts[:n], grades=pool.grades[:n]) for pool in pools[:limit]]


def _judge_finding(heard: Heard, arm: Arm, bench: Bench, spec: str) -> Finding:
    found = heard.rates()
    is_paired = arm.method == PAIRWISE
    wrong, right = ("right one second", "right one first") if is_paired else ("on wrong attempts", "on right attempts")
    rates = Rate("q0", found.q0, found.q0_ci95, found.m0, wrong), Rate("q1", found.q1, found.q1_ci95, found.m1, right)
    about = {"method": arm.label, "judge": spec}
    if rates[0].rounded + rates[1].rounded <= 1:
        return Finding(about, rates, "no better than chance, which cannot be corrected: take another judge, or vote")
    note = "the limits leave room for no better than chance; ask about more problems" if found.may_be_chance else None
    further = f"--with {bench.model}={spec} " if bench.model else ""
    return Finding(about, rates, note, further + _use(arm, rates))


def _check_finding(heard: Heard, name: str) -> Finding:
    found, arm = heard.rates(), make_arm("reset_and_discard")
    low, high = found.q0_ci95
    rates = (
        Rate("true_positive_rate", found.q1, found.q1_ci95, found.m1, "right attempts"),
        Rate("false_positive_rate", 1 - found.q0, (1 - high, 1 - low), found.m0, "wrong attempts"),
    )
    return Finding({"method": arm.method, "check": name}, rates, use=_use(arm, rates))


def _use(arm: Arm, rates: Sequence[Rate]) -> str:
    settings = {**arm.settings, **{rate.setting: f"{rate.rounded:g}" for rate in rates}}
    return f'--methods "{replace(arm, settings=settings).label}"'


def _judged(method: str, bench: Bench, pool: Pool) -> Flow[list[Verdict]]:
    return hear_judge(method, pool.item.problem, bench, pool.attempts, pool.grades)


def _checked(pool: Pool) -> Flow[list[Verdict]]:
    return hear_check(pool.item.problem, pool.attempts, pool.grades)


def _tell(half: Half, heard: Heard, finding: Finding, *, as_json: bool) -> None:
    name, of = half.measured.stratum.name, len(half.measured.pools)
    warn(tell({f"{name}, verdicts": heard.engines}))
    if as_json:
        rows = {rate.setting: {"value": rate.value, "ci95": rate.ci95, "n": rate.n} for rate in finding.rates}
        counts = {"problems": len(heard.verdicts), "read": heard.read, "silent": heard.silent, "failed": heard.failed}
        ends = {"new_calls": heard.fresh_calls, "note": finding.note, "use": finding.use}
        seen = noted(mixtures(half.measured.engines)) | noted(mixtures(heard.engines), "verdict_engines")
        print(json.dumps({"stratum": name, **finding.about, **rows, **counts, **ends, **seen}, indent=1))
        return
    lines = [
        f"{name}: {', '.join(finding.about.values())}; {len(heard.verdicts)} of {of} problems that a plan is chosen on",
        f"  {heard.read:,} verdicts, {heard.silent:,} texts without one, {heard.fresh_calls:,} new calls",
        *(f"  {rate}" for rate in finding.rates),
        *([f"  {finding.note}"] if finding.note else ()),
        *([f"  use it as {finding.use}"] if finding.use else ()),
    ]
    if heard.failed:
        lines.insert(2, f"  {len(heard.failed)} problems could not be asked about: {next(iter(heard.failed.values()))}")
    for line in lines:
        screen().print(line, soft_wrap=True, highlight=False)
