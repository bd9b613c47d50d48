"""What models wrote, in words and rows: each group's figures, and each seed's comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.reflection_contrasts import HALF, Found, telling
from trueup.claims.reflection_models import GROUPS, Group, Seen
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import Column


def arms_of(seen: Sequence[Mapping[str, Seen]], first: int) -> list[dict[str, Json]]:
    """A row for each model and group, all seeds together; an item that several seeds answered is one cluster."""
    return [
        _row(f"{model}: {group}", [arms[model].groups[group] for arms in seen], [arms[model] for arms in seen], first)
        for model in seen[0]
        for group in GROUPS
    ]


def note_of(seed: int, found: Found) -> list[str]:
    """One seed: what it knows, and how each group falls."""
    groups = "; ".join(
        f"{name} falls {_said(one.fall)} to {one.exact.value:.1%}, S-Acc {_said(one.share)}, PM-0.5 {_said(one.half)}, "
        f"reflections tell {_plain(one.telling)} (within a problem {_plain(one.within)})"
        for name, one in found.falls.items()
    )
    return [
        f"seed {seed}: familiar {found.familiar:.1%} exact, new ties judged {found.judged:.1%} right; {groups}",
        f"seed {seed}: a take-back more that the search needs changes exact answers by {_said(found.raw)} among "
        f"unfamiliar items of one group, by {_said(found.adjusted)} among those whose searches are about as long",
    ]


def _row(name: str, groups: Sequence[Group], models: Sequence[Seen], first: int) -> dict[str, Json]:
    def all_of(field: str) -> Column:
        return np.concatenate([np.asarray(getattr(group, field), float) for group in groups])

    items = len(groups[0].right_M)
    draws = Resampler.of([str(i) for _ in groups for i in range(items)], seed=first, name=name)
    right, share, marks = all_of("right_M"), all_of("share_M"), all_of("marks_M")
    half = (share >= HALF).astype(float)
    tells = telling(marks.astype(np.int64), right.astype(bool), first)
    return {
        "name": name, "n": len(right), "exact_match": float(right.mean()), "ci95": list(draws.mean(right)),
        "s_acc": float(share.mean()), "s_acc_ci95": list(draws.mean(share)),
        "pm_half": float(half.mean()), "pm_half_ci95": list(draws.mean(half)),
        "reflections_auc": None if isnan(tells.value) else tells.value, "reflections_auc_ci95": list(tells.ci95),
        "reflections": float(marks.mean()), "reflections_needed": float(all_of("needed_M").mean()),
        "take_backs_needed": float(all_of("undone_M").mean()), "search_tokens": float(all_of("length_M").mean()),
        "generated_tokens_per_request": float(all_of("tokens_M").mean()),
        "searched_as_taught": float(all_of("true_M").mean()),
        "exact_match_sampled": float(np.mean([group.right_MN.mean() for group in groups])),
        "training_steps": float(np.mean([model.steps for model in models])),
        "training_flops": float(np.mean([model.flops for model in models])),
    }  # fmt: skip


def _said(found: Difference) -> str:
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"


def _plain(found: Difference) -> str:
    if isnan(found.value):
        return "unknown, as all answers are exact or none"
    return f"{found.value:.2f} [{found.ci95[0]:.2f}, {found.ci95[1]:.2f}]"
