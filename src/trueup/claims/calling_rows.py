"""Function calling in rows and words: every arm's figures, and what the comparisons say.

Axes: M item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trueup.claims.calling_arms import (
    ARMS,
    BASE,
    DPO,
    DPO_BASE,
    DPO_NLL,
    DPO_OWN,
    DPO_RANDOM,
    LONG,
    ON_PAIRS,
    SFT,
    TEACHER,
)
from trueup.claims.calling_seen import KINDS, Flags, Seen, Tokens, content_faults, form_faults
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.paired import Paired, paired

WAYS = (("", "free_M"), (", constrained", "held_M"), (", sampled", "sampled_M"))


def arms_of(seen: Sequence[Mapping[str, Seen]], seed: int) -> list[dict[str, Json]]:
    """A row per arm and way of decoding, over the seeds; an item's seeds are one cluster."""
    items = len(seen[0][BASE].free_M)
    draws = Resampler.of([str(i) for i in range(items)] * len(seen), seed=seed, name="calls")
    return [_row(name, way, [arms[name] for arms in seen], draws) for name in ARMS for way in WAYS]


def _row(name: str, way: tuple[str, str], seens: Sequence[Seen], draws: Resampler) -> dict[str, Json]:
    faults = np.concatenate([getattr(seen, way[1]) for seen in seens])

    def share(flags: Flags) -> float:
        return float(flags.mean())

    def mean(field: str) -> float:
        return float(np.mean([getattr(seen, field) for seen in seens]))

    return {
        "name": name + way[0], "n": len(faults), "success": share(faults == 0),
        "success_ci95": list(draws.mean((faults == 0).astype(float))), "success_by_seed": [
            share(getattr(seen, way[1]) == 0) for seen in seens
        ],
        "parse_valid": share(faults != 1), "schema_valid": share(~form_faults(faults)),
        "faults": {kind: share(faults == place) for place, kind in enumerate(KINDS) if place},
        "gradient_tokens": mean("gradient_tokens"), "training_flops": mean("training_flops"),
        "reference_flops": mean("reference_flops"), "tuning_flops": mean("tuning_flops"),
        "sampled_tokens": mean("sampled_tokens"), "sampling_flops": mean("sampling_flops"),
        "generated_tokens_per_request": mean("generated_tokens"), "inference_flops_per_request": mean("request_flops"),
        "rates": [seen.rate for seen in seens], "rates_tried": [list(seen.tried) for seen in seens],
        "logp_path": [list(seen.path) for seen in seens], "negatives": [seen.negatives for seen in seens],
    }  # fmt: skip


def notes_of(seed: int, arms: Mapping[str, Seen], form_share: float) -> list[str]:
    """What one seed says."""
    free = {name: arms[name].free_M for name in ARMS}
    base, longer, preferred = free[BASE], free[LONG], free[DPO]
    held = {name: arms[name].held_M == 0 for name in (BASE, SFT, LONG, DPO)}

    def against(first: Flags, second: Flags) -> str:
        return _said(paired(first, second))

    def ahead(first: str, second: str) -> str:
        return f"{first} minus {second} {against(free[first] == 0, free[second] == 0)}"

    form, content = (
        f"{share(longer).mean() - share(preferred).mean():+.1%}" for share in (form_faults, content_faults)
    )
    pairs = sum((arms[DPO].negatives or {}).values())
    part = "no gain" if form_share != form_share else f"form is {form_share:.0%} of the gain"
    return [
        f"seed {seed}, faults: {'; '.join(_faults(name, free[name]) for name in (BASE, SFT, LONG, DPO, TEACHER))}",
        f"seed {seed}: {ahead(DPO, LONG)}; removed faults of form {form}, of content {content}: {part}; "
        f"over the base {against(preferred == 0, base == 0)}, of which form "
        f"{form_faults(base).mean() - form_faults(preferred).mean():+.1%}; {ahead(DPO, TEACHER)}",
        f"seed {seed}, grammar: base constrained minus SFT->DPO {against(held[BASE], preferred == 0)}; SFT constrained "
        f"minus SFT->DPO {against(held[SFT], preferred == 0)}; constrained both, SFT->DPO minus SFT of 2x tokens "
        f"{against(held[DPO], held[LONG])}",
        f"seed {seed}: the teacher's samples gave {pairs:,} pairs to learn from",
        f"seed {seed}, controls: {'; '.join(ahead(*pair) for pair in CONTROLS)}",
        f"seed {seed}, log p of the chosen (rejected) kept aside: {'; '.join(_path(x, arms[x]) for x in PATHS)}",
        f"seed {seed}, success on requests kept aside by learning rate: {'; '.join(_tried(x, arms[x]) for x in TRIED)}",
    ]


CONTROLS = ((DPO, SFT), (DPO, ON_PAIRS), (DPO, DPO_RANDOM), (DPO_OWN, DPO), (DPO_NLL, DPO), (DPO_BASE, LONG))
PATHS = (SFT, LONG, DPO_BASE, DPO, DPO_OWN, DPO_NLL, DPO_RANDOM)
TRIED = (SFT, LONG, ON_PAIRS, DPO_BASE, DPO, DPO_OWN, DPO_NLL)


def _faults(name: str, faults_M: Tokens) -> str:
    kinds = (
        f"{kind} {(faults_M == place).mean():.1%}" for place, kind in enumerate(KINDS) if (faults_M == place).any()
    )
    return f"{name}: {', '.join(kinds)}"


def _path(name: str, seen: Seen) -> str:
    if not seen.path:
        return f"{name} unknown"
    (_, chosen, rejected), (_, last_chosen, last_rejected) = seen.path[0], seen.path[-1]
    return f"{name} {chosen:.1f} ({rejected:.1f}) to {last_chosen:.1f} ({last_rejected:.1f})"


def _tried(name: str, seen: Seen) -> str:
    return f"{name} {', '.join(f'{success:.1%} at {rate:g}' for rate, success in seen.tried)}"


def _said(arm: Paired) -> str:
    return f"{arm.difference:+.1%} [{arm.ci95[0]:+.1%}, {arm.ci95[1]:+.1%}], p = {arm.p:.2g}"
