"""Retraction in words and rows: every arm by wrong turns and point of the learning curve, each seed's comparisons.

Axes: M item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.retraction_found import Found, Slope, by_band
from trueup.claims.retraction_models import APPEND, DELETE, FORMAL, FORWARD, LAST, POINTS, Right, Seen, Tokens
from trueup.core.types import Json
from trueup.plan import Resampler

SOLVER = "solver alone"


def arms_of(
    seen: Sequence[Mapping[str, Mapping[str, Seen]]], alone_M: Right, turns_M: Tokens, seed: int
) -> list[dict[str, Json]]:
    """A row per way of answering and point, over the seeds; an item's seeds are one cluster."""
    rows = []
    for point in reversed([*POINTS]):
        for name in seen[0][point]:
            label = name if point == LAST else f"{name}, {point} of the data"
            rows.append(_row(label, [of[point][name] for of in seen], turns_M, seed))
    return [_row(SOLVER, [Seen(alone_M, np.zeros(len(alone_M), np.int64))], turns_M, seed), *rows]


def notes_of(seeds: Sequence[int], found: Sequence[Found], turns_M: Tokens) -> list[str]:
    """The items' wrong turns, then each seed."""
    turns = ", ".join(f"{count} of {turns}" for turns, count in sorted(Counter(turns_M.tolist()).items()))
    notes = [f"items by the wrong turns of a whole search: {turns}"]
    for seed, one in zip(seeds, found, strict=True):
        shares = (f"{name} {one.easy[name]:.1%} and {one.deep[name]:.1%}" for name in (FORWARD, APPEND, DELETE, FORMAL))
        slopes = (f"{name} {_sloped(of)}" for name, of in one.slopes.items())
        apart = (f"{name} {_sloped(of)}" for name, of in one.apart.items())
        learned = (f"{name} {_said(of)}" for name, of in one.learned.items())
        notes += [
            f"seed {seed}, right without and with wrong turns: {', '.join(shares)}; deletion's lead with them, over "
            f"append-only {_said(one.over_append)}, over forward only {_said(one.over_forward)}",
            f"seed {seed}, slope a wrong turn: {', '.join(slopes)}; deletion's minus that of {', '.join(apart)}",
            f"seed {seed}, what the last two thirds of the data brought with wrong turns: {', '.join(learned)}; "
            f"append-only was right without, by then, {one.began:.1%}",
        ]
    return notes


def _row(name: str, of: Sequence[Seen], turns_M: Tokens, seed: int) -> dict[str, Json]:
    right = np.concatenate([one.right_M for one in of]).astype(float)
    turns = np.tile(turns_M, len(of))
    row: dict[str, Json] = {"name": name, "n": len(right), "accuracy": float(right.mean())}
    for label, low, high in (("0", 0, 0), ("1_2", 1, 2), ("3_up", 3, int(turns_M.max(initial=3)))):
        held = (turns >= low) & (turns <= high)
        clusters = [str(i) for i in np.tile(np.arange(len(turns_M)), len(of))[held]]
        draws = Resampler.of(clusters, seed=seed, name=label)
        row[f"accuracy_{label}"] = float(right[held].mean())
        row[f"accuracy_{label}_ci95"] = list(draws.mean(right[held]))
    faults = [Counter(one.faults) for one in of if one.faults is not None]
    return row | {
        "written_tokens_per_request": float(np.mean([one.written_M.mean() for one in of])),
        "reread_tokens_per_request": float(np.mean([one.read for one in of])),
        "training_tokens": float(np.mean([one.training_tokens for one in of])),
        "training_flops": float(np.mean([one.training_flops for one in of])),
        **({"faults": {key: count / len(right) for key, count in sum(faults, Counter()).items()}} if faults else {}),
        "by_seed": [by_band(one.right_M, turns_M) for one in of],
    }


def _said(found: Difference) -> str:
    return f"{found.value:+.1%} [{found.ci95[0]:+.1%}, {found.ci95[1]:+.1%}]"


def _sloped(found: Slope) -> str:
    return f"{found.value:+.3f} (p = {found.p:.2g})"
