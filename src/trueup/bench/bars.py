"""What the bars say of systems on one population or task.

Tokens are met where they are against the cheapest peer that may be as accurate, not being shown to lose more than the
margin; missed where they are not against the cheapest that is shown to lose less; else open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from trueup.bench.bounds import BOUND
from trueup.bench.field import Field
from trueup.bench.frontier import MARGIN, Band, Cheapest, Rival, cheapest, difference
from trueup.bench.peers.recorded import ADAPTIVE, FIXED
from trueup.bench.recorded import SAMPLES
from trueup.bench.spent import Spent
from trueup.core.types import Json
from trueup.plan import Resampler

BARS = {FIXED: 0.5, ADAPTIVE: 0.8}
GREEDY = "greedy"
"""The attempt at temperature 0, which no vote of samples may be shown without."""
MET, MISSED, OPEN = "met", "missed", "open"


def verdicts(field: Field, rivals: Sequence[Spent], leads: Mapping[str, Band], draws: Resampler) -> dict[str, Json]:
    """A verdict per bar and one of all, with the figures that they come from."""
    ours, bounds = field.curve[-1], _bounds(field)
    told: dict[str, Json] = {"system": ours.system, "family": "summary"}
    greedy = next((one for one in field.beside if one.system == f"trueup {GREEDY}"), None)
    if greedy is not None:
        told |= figures("over_greedy", difference(ours, greedy, draws))
    whole = [r for r in rivals if r.family == FIXED and r.system.endswith(f" {SAMPLES}")]
    if not whole:
        return told | {"verdict": OPEN, "why": "no peer was run"}
    reference = whole[0]
    loss = difference(ours, reference, draws)
    calls = {"accuracy": MET if loss.low > -MARGIN else MISSED if loss.high < -MARGIN else OPEN}
    told |= {"reference": reference.system, **figures("difference", loss), "items_needed": needed(loss, draws)}
    for family, bar in BARS.items():
        found = cheapest(ours, [r for r in rivals if r.family == family], reference, draws)
        calls[family] = _call(found, bar)
        if found.shown is not None:
            told |= {f"best_{family}": found.shown.system, **figures(f"ratio_{family}", found.shown.ratio)}
            told |= _reachable(f"ratio_{family}", found.shown, ours, bounds)
        if found.possible is not None:
            told |= {f"possible_{family}": found.possible.system}
            told |= figures(f"ratio_possible_{family}", found.possible.ratio)
            told |= _reachable(f"ratio_possible_{family}", found.possible, ours, bounds)
    calls["curve"] = _curve_call(list(leads.values()))
    above = [{"system": name, **figures("lead", band)} for name, band in leads.items() if band.value < 0]
    verdict = next((call for call in (MISSED, OPEN) if call in calls.values()), MET)
    return told | {f"bar_{name}": call for name, call in calls.items()} | {"above": above, "verdict": verdict}


def needed(loss: Band, draws: Resampler) -> int | None:
    """Items that would show a loss like this one to be less than the margin; None where it is not."""
    if loss.value <= -MARGIN:
        return None
    items: int = draws.weights.shape[1]
    return ceil(items * ((loss.value - loss.low) / (loss.value + MARGIN)) ** 2)


def _bounds(field: Field) -> dict[str, float]:
    """The mean tokens that no rule goes below, by the bounds' names."""
    known = {system.system: float(system.tokens.mean()) for system in field.systems if system.family == BOUND}
    return known | {name: least.tokens for name, least in field.least.items()}


def _reachable(name: str, rival: Rival, ours: Spent, bounds: Mapping[str, float]) -> dict[str, float]:
    """What the bounds take of the tokens of the rival that ours was held against."""
    tokens = ours.tokens.mean() / rival.ratio.value
    return {f"{name}_{bound.replace(' ', '_')}": float(least / tokens) for bound, least in bounds.items()}


def _call(found: Cheapest, bar: float) -> str:
    """Met against all that may be as good, missed against one that is shown to be, open between."""
    if found.shown is None or found.possible is None:
        return OPEN
    return MISSED if found.shown.ratio.low > bar else MET if found.possible.ratio.high <= bar else OPEN


def _curve_call(leads: Sequence[Band]) -> str:
    """Met where every peer is shown to be less than the margin above, missed where one is shown to be above."""
    if any(band.high < 0 for band in leads):
        return MISSED
    return MET if all(band.low > -MARGIN for band in leads) else OPEN


def figures(name: str, band: Band) -> dict[str, float]:
    """A figure and its interval under their names."""
    return {name: band.value, f"{name}_low": band.low, f"{name}_high": band.high}
