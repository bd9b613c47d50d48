"""From what was measured to the whole of study.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from trueup import __version__
from trueup.core.cost import FLOP_FORMULA, Prices, sample_cost
from trueup.core.errors import BadInput
from trueup.core.outcome import Measured
from trueup.core.roles import ModelCard
from trueup.core.types import Json
from trueup.plan.breakeven import Breakeven, breakeven, trained
from trueup.plan.certify import Certificate, certify, halves, largest_cluster
from trueup.plan.choose import Choice
from trueup.plan.diagnose import Diagnosis, diagnose
from trueup.plan.engines import differences, mixtures, noted
from trueup.plan.examples import examples
from trueup.plan.measure import Coverage, Point, coverage, mean_cost, measure
from trueup.plan.mix import choose_all
from trueup.plan.sheet import lay_out
from trueup.plan.wish import Wish
from trueup.plan.words import dollars, many, percent

VERSION = 1
DIGITS = 12
UNMEASURED_LEVERS = ("training", "bigger model or training")
"""What a study prescribes and has no arm of: the arm that it chooses then is what to do until it is done."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured on one stratum, and the cause of its errors."""

    measured: Measured
    points: tuple[Point, ...]
    coverage: tuple[Coverage, ...]
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class Finding(Seen):
    """All that the plan knows of one stratum.

    `held_out` is the chosen arm as measured on the items that had no say in the choice; None where there are none.
    """

    choice: Choice
    held_out: Point | None
    certificate: Certificate
    breakeven: tuple[Breakeven, ...]

    @property
    def chosen(self) -> Point:
        """The chosen arm as measured on all items."""
        return next(point for point in self.points if point.label == self.choice.label)


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all strata."""

    card: ModelCard
    prices: Prices
    wish: Wish
    samples: int
    shares: Mapping[str, float]


def assess(
    strata: Sequence[Measured],
    model: ModelCard,
    prices: Prices,
    wish: Wish,
    *,
    task: Mapping[str, Any],
    samples: int,
    ledger: Mapping[str, Any],
) -> dict[str, Any]:
    """The complete study: JSON, and the same bytes for the same results and seed.

    Raises BadInput where a stratum has nothing that could be planned with, or a figure is too large.
    """
    shares = wish.shares_of([measured.stratum.name for measured in strata])
    setting = Setting(model, prices, wish, samples, shares)
    parts = [halves(measured) for measured in strata]
    choices = _choices([choosing for choosing, _ in parts], setting)
    findings = [
        _finding(measured, held_out, choices[measured.stratum.name], setting)
        for measured, (_, held_out) in zip(strata, parts, strict=True)
    ]
    study = {
        "version": VERSION,
        "trueup": __version__,
        "task": dict(task),
        "model": asdict(model),
        "prices": _prices(prices),
        "samples": samples,
        "flop_formula": FLOP_FORMULA,
        "strata": {finding.measured.stratum.name: _stratum(finding, wish) for finding in findings},
        "plan": _plan(findings, setting),
        "ledger": dict(ledger),
    }
    rounded: dict[str, Any] = _rounded(study)
    return rounded


def describe(strata: Sequence[Measured], wish: Wish, *, samples: int) -> dict[str, Any]:
    """The strata of study.json alone, which need no method that could be deployed."""
    seen = (
        Seen(m, measure(m), coverage(sheet, samples), diagnose(sheet, wish.target))
        for m, sheet in ((m, lay_out(m, seed=wish.seed)) for m in strata)
    )
    rounded: dict[str, Any] = _rounded({each.measured.stratum.name: _stratum(each, wish) for each in seen})
    return rounded


def _choices(choosing: Sequence[Measured], setting: Setting) -> Mapping[str, Choice]:
    """Each stratum's arm, chosen on half of its items."""
    points = {half.stratum.name: measure(half) for half in choosing}
    for name, found in points.items():
        if not found:
            raise BadInput(f"stratum {name!r} has no results to plan with; give it items and at least one method")
    requests = {name: setting.wish.volume * share for name, share in setting.shares.items()}
    return choose_all(points, requests, setting.wish)


def _finding(measured: Measured, held_out: Measured, choice: Choice, setting: Setting) -> Finding:
    wish, name = setting.wish, measured.stratum.name
    points, sheet = measure(measured), lay_out(measured, seed=wish.seed)
    delta = wish.delta / len(setting.shares)
    sound = [point for point in points if not point.is_broken]
    after = trained(sound, _attempt_usd(measured, setting), wish)
    rows = breakeven(sheet, sound, choice.label, after, wish, stratum=name, share=setting.shares[name])
    found = Finding(
        measured, points, coverage(sheet, setting.samples), diagnose(sheet, wish.target), choice,
        next((point for point in measure(held_out) if point.label == choice.label), None),
        certify(
            held_out, choice.label, target=wish.target, delta=delta, seed=wish.seed, largest=largest_cluster(measured)
        ),
        tuple(rows),
    )  # fmt: skip
    return replace(found, diagnosis=_weigh_training(found, setting))


def _weigh_training(found: Finding, setting: Setting) -> Diagnosis:
    """Extraction can be bought per request or once: training is the lever where the volume is past its crossing.

    Where a trained model was measured it has to be right as often as what is chosen.
    """
    diagnosis, requests = found.diagnosis, setting.wish.volume * setting.shares[found.measured.stratum.name]
    row = next((row for row in found.breakeven if row.b == found.choice.label), None)
    if diagnosis.cause != "extraction" or row is None or row.volume is None or row.volume > requests:
        return diagnosis
    if row.is_less_accurate:
        return diagnosis
    assert row.fixed_usd is not None
    proviso = f"and {row.trained} is right as often" if row.trained else "if one attempt of it is right as often"
    told = f" At {many(requests)} requests training for {dollars(row.fixed_usd)} is cheaper than {row.b}, {proviso}."
    return replace(diagnosis, lever="training", summary=diagnosis.summary + told)


def _attempt_usd(measured: Measured, setting: Setting) -> float | None:
    """What one attempt of the pool costs if it is asked for alone; None where that is unknown."""
    costs = [
        sample_cost(setting.card, setting.prices, attempt.usage, with_prompt=True)
        for pool in measured.pools
        for attempt in pool.attempts
    ]
    return mean_cost(costs).usd if costs else None


def _stratum(found: Seen, wish: Wish) -> dict[str, Any]:
    stratum = found.measured.stratum
    return {
        "items": len(stratum.items),
        "verifier": stratum.verifier.name,
        "check": None if stratum.check is None else stratum.check.name,
        "solver": None if stratum.solver is None else stratum.solver.fingerprint,
        "diagnosis": asdict(found.diagnosis),
        "points": [asdict(point) for point in found.points],
        "coverage": [asdict(row) for row in found.coverage],
        "unsampled": _unsampled(found.measured),
        "examples": examples(found.measured, seed=wish.seed),
        **noted(mixtures(found.measured.engines)),
    }


def _unsampled(measured: Measured) -> dict[str, Any]:
    """How many items' samples could not be had or graded, and why the first could not."""
    reasons = [pool.failure for pool in measured.pools if pool.failure is not None]
    return {"items": len(reasons), "failure": reasons[0] if reasons else ""}


def _plan(findings: Sequence[Finding], setting: Setting) -> dict[str, Any]:
    wish = setting.wish
    per_request = _per_request(findings, setting)
    engines = {found.measured.stratum.name: found.measured.engines for found in findings}
    return {
        "target": wish.target,
        "volume": wish.volume,
        "delta": wish.delta,
        "training_usd": None if wish.training_usd is None else float(wish.training_usd),
        "error_usd": None if wish.error_usd is None else float(wish.error_usd),
        "choices": {found.measured.stratum.name: _choice(found, wish) for found in findings},
        "shares": dict(setting.shares),
        "cost_per_request": per_request,
        "cost_per_volume": None if per_request is None else per_request * wish.volume,
        "breakeven": [asdict(row) for found in findings for row in found.breakeven],
        "certificate": {found.measured.stratum.name: asdict(found.certificate) for found in findings},
        **noted(differences(engines)),
    }


def _per_request(findings: Sequence[Finding], setting: Setting) -> float | None:
    """A request's mean cost, its share of every training among the choices included; None where any is unknown."""
    wish = setting.wish
    each = [(setting.shares[found.measured.stratum.name], found.chosen.cost.usd) for found in findings]
    fixed = wish.fixed_usd({model for found in findings for model in found.chosen.models})
    known = [share * usd for share, usd in each if usd is not None]
    return None if fixed is None or len(known) < len(each) else sum(known) + float(fixed) / wish.volume


def _choice(found: Finding, wish: Wish) -> dict[str, Any]:
    """The choice was made on half of the items; its accuracy is that of the `n` others, its cost that of all of them.

    An arm that won on some items was luckier there than it will be. Where no item is held out its accuracy is unknown.
    `usd` is a request's own; `training_usd` what it took beforehand to train the models that it may ask.
    """
    chosen, held_out = found.chosen, found.held_out
    fixed = wish.fixed_usd(chosen.models)
    meets = held_out is not None and held_out.accuracy >= wish.target
    is_interim = found.diagnosis.lever in UNMEASURED_LEVERS and not meets
    told = f" It serves until the lever that mends the cause, {found.diagnosis.lever}, is pulled." if is_interim else ""
    return {
        "method": chosen.method,
        "settings": chosen.settings,
        "label": chosen.label,
        "accuracy": None if held_out is None else held_out.accuracy,
        "ci95": None if held_out is None else held_out.ci95,
        "n": 0 if held_out is None else held_out.n,
        "usd": chosen.cost.usd,
        "training_usd": None if fixed is None else float(fixed),
        "meets_target": meets,
        "is_interim": is_interim,
        "reason": found.choice.reason + _elsewhere(held_out) + told,
    }


def _elsewhere(held_out: Point | None) -> str:
    if held_out is None:
        return " No item was held out, so nothing is known of how accurate it is on others."
    return f" On the {many(held_out.n)} held-out items, which had no say, it is {percent(held_out.accuracy)}."


def _prices(prices: Prices) -> dict[str, Any]:
    rows = {name: {key: str(usd) for key, usd in asdict(row).items()} for name, row in prices.models.items()}
    gpu_hour = None if prices.gpu_hour is None else str(prices.gpu_hour)
    return {
        "date": prices.date, "note": prices.note, "core_hour": str(prices.core_hour), "gpu_hour": gpu_hour,
        "models": rows,
    }  # fmt: skip


def _rounded(value: Json) -> Json:
    """Lists for tuples, and floats to 12 significant digits.

    Raises BadInput for an infinite one, which absurdly large wishes come to.
    """
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        assert not math.isnan(value), "a figure of the study is no number"
        if math.isinf(value):
            raise BadInput(
                "a figure of the study is too large for a number; "
                "give a smaller --volume, --error-usd or --training-usd"
            )
        return float(f"{value:.{DIGITS}g}") + 0.0
    return value
