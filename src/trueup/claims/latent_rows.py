"""Latent iteration in rows and words: every arm's figures, and what each seed says.

Axes: M item, K number of sweeps needed, L layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.latent_found import Answers, Found, Latent
from trueup.claims.latent_models import BASE, DIRECT, HELD, REWARDED, Flags, Seen, Tokens
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import Column

Arms = Mapping[str, Answers]


def arms_of(
    seeds: Sequence[Arms], seen: Sequence[Mapping[str, Seen]], sweeps_M: Tokens, trained: int, first: int
) -> list[dict[str, Json]]:
    """A row per arm over the seeds that have it; an item's seeds are one cluster."""
    draws = {
        count: Resampler.of([str(i) for i in range(len(sweeps_M))] * count, seed=first, name="arms")
        for count in (1, len(seeds))
    }
    return [_row(name, seeds, seen, sweeps_M, trained, draws) for name in seeds[0]]


def _row(
    name: str,
    seeds: Sequence[Arms],
    seen: Sequence[Mapping[str, Seen]],
    sweeps_M: Tokens,
    trained: int,
    draws: Mapping[int, Resampler],
) -> dict[str, Json]:
    having = [arms[name] for arms in seeds if name in arms]
    sweeps = np.concatenate([sweeps_M] * len(having))
    within, drawn = sweeps <= trained, draws[len(having)]

    def pooled(field: str) -> Column:
        return np.concatenate([getattr(answers, field) for answers in having])

    def share(values: Column) -> dict[str, Json]:
        values_M = np.where(within, values, np.nan)
        return {"share": float(np.nanmean(values_M)), "ci95": list(drawn.mean(values_M))}

    equal_M, off_M = pooled("equal_M"), pooled("off_M")
    costs = [arms[name] for arms in seen if name in arms]
    return {
        "name": name, "n": int(within.sum()), "equations_hold": share(equal_M),
        "limits_kept": share(pooled("bounded_M")), "constraints_satisfied_mean": share(pooled("satisfied_M")),
        "readable": share((~np.isnan(off_M)).astype(float)),
        "equations_hold_by_sweeps": _by(equal_M, sweeps), "equations_hold_by_seed": [
            float(answers.equal_M[sweeps_M <= trained].mean()) for answers in having
        ],
        "equations_hold_beyond": _beyond(equal_M, ~within, drawn), "n_beyond": int((~within).sum()),
        "median_error": _median(off_M[within]), "median_error_by_sweeps": [
            _median(off_M[sweeps == k]) for k in np.unique(sweeps)
        ],
        **{field: float(np.mean([getattr(one, field) for one in costs])) for field in COSTS if costs},
    }  # fmt: skip


COSTS = ("answer_tokens", "training_tokens", "training_flops", "flops")


def _by(values_M: Column, sweeps_M: Tokens) -> list[float]:
    return [float(values_M[sweeps_M == k].mean()) for k in np.unique(sweeps_M)]


def _beyond(values_M: Column, beyond_M: Flags, draws: Resampler) -> Json:
    if not beyond_M.any():
        return None
    kept = np.where(beyond_M, values_M, np.nan)
    return {"share": float(np.nanmean(kept)), "ci95": list(draws.mean(kept))}


def _median(values: Column) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmedian(values))


def notes_of(seed: int, arms: Arms, found: Found, within: Flags) -> list[str]:
    """What one seed says."""
    causes = found.causes
    return [
        f"seed {seed}, partial rank correlation of the largest direct model's error with distance to the nearest "
        f"lesson {said(causes.distance)}, with sweeps needed {said(causes.sweeps)}",
        f"seed {seed}, equations hold, direct minus nearest lesson: {_each(found.nearest)}; largest minus smallest "
        f"{percent(found.grown)}; limits kept {', '.join(f'{n} {share:.1%}' for n, share in found.bounded.items())}",
        f"seed {seed}, {'; '.join(_gains(name, arms, within, found) for name in found.nearest)}",
        f"seed {seed}, sweeps written minus direct: {_each(found.written)}",
        f"seed {seed}, direct where it needs the most sweeps that were trained, and more of them minus that: "
        + ", ".join(f"{name} {found.edge[name]:.1%}, {percent(found.beyond[name])}" for name in found.edge),
        *(f"seed {seed}, probes of {name} direct: {_probe(one)}" for name, one in found.latent.items()),
    ]


def _gains(name: str, arms: Arms, within: Flags, found: Found) -> str:
    """Format and feasibility apart, of supervised training and of reward."""

    def share(arm: str, field: str) -> float:
        return float(getattr(arms[f"{name} {arm}"], field)[within].mean())

    def readable(arm: str) -> float:
        return float((~np.isnan(arms[f"{name} {arm}"].off_M[within])).mean())

    form = readable(DIRECT) - readable(BASE)
    reward = {field: share(REWARDED, field) - share(DIRECT, field) for field in ("equal_M", "bounded_M")}
    return (
        f"{name}: SFT's gain in form {form:+.1%} (base {readable(BASE):.1%}), in equations that hold, the "
        f"base held to the form ({share(HELD, 'equal_M'):.1%}), {percent(found.taught[name])}; reward adds "
        f"{reward['equal_M']:+.1%} to equations, {reward['bounded_M']:+.1%} to limits"
    )


def _probe(one: Latent) -> str:
    by_layer = "; ".join(f"{_numbers(row)}" for row in one.r2_LK)
    return (
        f"layer {one.layer} tells sweep {one.sweep} better than the solution by {said(one.ahead)}, over a blank model "
        f"{said(one.over_blank)}; best told by layer {list(one.best_L)}; held-out R2 of sweeps 2, 3, ..., solution, "
        f"from the embedding on: {by_layer}; blank: {'; '.join(_numbers(row) for row in one.blank_LK)}"
    )


def _numbers(row: Column) -> str:
    return " ".join(f"{value:.2f}" for value in row)


def _each(gaps: Mapping[str, Difference]) -> str:
    return ", ".join(f"{name} {percent(gap)}" for name, gap in gaps.items())


def said(gap: Difference) -> str:
    """A difference and its interval."""
    return f"{gap.value:+.2f} [{gap.ci95[0]:+.2f}, {gap.ci95[1]:+.2f}]"


def percent(gap: Difference) -> str:
    """A difference of shares and its interval."""
    return f"{gap.value:+.1%} [{gap.ci95[0]:+.1%}, {gap.ci95[1]:+.1%}]"
