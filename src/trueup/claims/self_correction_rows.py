"""Self-correction in words and rows: every arm's figures, each seed's comparisons.

Axes: M item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.self_correction_found import PRONE, SHIFTED, Found
from trueup.claims.self_correction_parts import Base
from trueup.claims.self_correction_seen import Seen, Taught
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.estimate import Column
from trueup.plan.paired import Paired


def arms_of(
    bases: Sequence[Base], seen: Sequence[Mapping[str, Seen]], found: Sequence[Found], seed: int
) -> list[dict[str, Json]]:
    """An arm per way of learning, over the seeds; an item's seeds are one cluster."""
    items = len(bases[0].seen.first_M)
    draws = Resampler.of([str(i) for i in range(items)] * len(bases), seed=seed, name="arms")
    rows = [{**row_of("base", draws, [base.seen for base in bases]), **_sampled(bases)}]
    for name in seen[0]:
        shifts = [seed_found.shift[name].value for seed_found in found]
        row = row_of(name, draws, [of[name] for of in seen])
        rows.append({**row, "fixed_minus_own": float(np.mean(shifts))})
    return rows


def notes_of(seed: int, base: Base, seen: Mapping[str, Seen], found: Found) -> list[str]:
    """One seed: the base, the criterion's parts, the two side findings, how long each arm learned."""
    parts = {
        "SCoRe's Acc@t2 minus its Acc@t1": said(found.gain),
        "its c->i minus the base's": told(found.breaks),
        "its gain minus the base's": told(found.over_base),
        **{f"its gain minus {name}'s": told(over) for name, over in found.over_supervised.items()},
        **{f"its Acc@t2 minus {name}'s": said(over) for name, over in {**found.without, **found.over_iterated}.items()},
    }  # fmt: skip
    collapse = ", ".join(f"{name} {'collapses' if found.collapsed[name] else 'does not collapse'}" for name in PRONE)
    return [
        f"seed {seed}: base greedy {found.first:.1%}, sampled {base.pass1:.1%}, one of 8 {base.pass8:.1%}; "
        + "; ".join(f"{what} {value}" for what, value in parts.items()),
        f"seed {seed}: {collapse}; correction of the base's attempts minus of its own: "
        f"{SHIFTED} {told(found.shift[SHIFTED])}, SCoRe {told(found.shift['SCoRe'])}",
        f"seed {seed}: updates until flat: "
        + ", ".join(f"{name} {arm.taught.updates}" for name, arm in seen.items())
        + f"; not flat at the cap: {'; '.join(found.rising) or 'none'}",
    ]


def said(arm: Paired) -> str:
    """A difference of two accuracies."""
    return f"{arm.difference:+.1%} [{arm.ci95[0]:+.1%}, {arm.ci95[1]:+.1%}], p = {arm.p:.2g}"


def told(found: Difference) -> str:
    """Another difference."""
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"


def row_of(name: str, draws: Resampler, of: Sequence[Seen]) -> dict[str, Json]:
    """An arm's figures over its seeds."""
    first, second, edited, fixed = (
        np.concatenate([getattr(seen, flag) for seen in of]).astype(float)
        for flag in ("first_M", "second_M", "edited_M", "fixed_M")
    )
    gain = second - first
    edits = np.sum([seen.distances for seen in of], 0) / len(first)
    lengths = np.mean([seen.lengths for seen in of], 0)
    return {
        "name": name, "n": len(first),
        "accuracy_t1": float(first.mean()), "accuracy_t1_ci95": list(draws.mean(first)),
        "accuracy_t2": float(second.mean()), "accuracy_t2_ci95": list(draws.mean(second)),
        "delta": float(gain.mean()), "delta_ci95": list(draws.mean(gain, (-1.0, 1.0))),
        "wrong_to_right": float(((1 - first) * second).mean()), "right_to_wrong": float((first * (1 - second)).mean()),
        "edit_rate": float(edited.mean()), "edited_tokens_histogram": [float(x) for x in edits],
        "edit_ratio_mean": _ratio(edits, lengths),
        "corrected_of_own": _share(second, 1 - first), "accuracy_t2_behind_base": float(fixed.mean()),
        "tokens_t1": float(lengths[0]), "tokens_t2": float(lengths[1]),
        **_learning([seen.taught for seen in of]),
    }  # fmt: skip


def _learning(of: Sequence[Taught]) -> dict[str, Json]:
    """What it took on average, and how it went with each seed; a number that is not known everywhere is not given."""
    sampled = [taught.sampled_tokens for taught in of if taught.sampled_tokens is not None]
    return {
        "updates": [taught.updates for taught in of],
        "trained_tokens": float(np.mean([taught.tokens for taught in of])),
        "sampled_tokens": float(np.mean(sampled)) if len(sampled) == len(of) else None,
        "flops": float(np.mean([taught.flops for taught in of])),
        "pilot_curves": [[list(mark) for mark in taught.curve] for taught in of],
        "flat": [taught.is_flat for taught in of],
    }


def _ratio(edits: Column, lengths: Column) -> float:
    """The mean edit-distance ratio, distance by the two lengths together, which are all but constant here."""
    return float(edits @ np.arange(len(edits)) / lengths.sum())


def _share(top: Column, bottom: Column) -> float:
    return float((top * bottom).sum() / max(1.0, bottom.sum()))


def _sampled(bases: Sequence[Base]) -> dict[str, Json]:
    return {
        "pass_at_1": float(np.mean([base.pass1 for base in bases])),
        "pass_at_8": float(np.mean([base.pass8 for base in bases])),
    }
