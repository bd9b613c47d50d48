"""What a step is told by: rewards, lengths, cuts, distance to the base.

Axes: P problem, G attempt of one problem, K turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from torch import Tensor

from trueup.train.card import FLAT_GROUPS, GROUPS
from trueup.train.real.episodes import Record

TOLD = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_ratio",
}
"""TRL's figures that go on, and what they are called here."""
FIGURES = "figures"
"""Where a step's figures stand in its row of a trainer's history, as pairs: tables are sorted when it is written."""


def figures_of(
    records: Sequence[Record], logs: Mapping[str, float | None], credit_PGK: Tensor, *, by_coin: bool = False
) -> dict[str, float]:
    """The figures of a step over the rows of all processes; those of a second turn carry a 2.

    `clipped` is the share of turns that were cut at the limit of tokens, whose rewards say little of the policy; `flat`
    that of groups whose attempts were all credited alike, from which nothing is learned. Of two turns also: the share
    `edited`, `mended` (wrong, then right) and `spoilt` (right, then wrong). Where a coin rewards nobody knows what was
    `right`, and no such figure is told.
    """
    told = {ours: float(value) for theirs, ours in TOLD.items() if (value := logs.get(theirs)) is not None}
    for turn in range(len(records[0].rewards)):
        mark = str(turn + 1) if turn else ""
        told[f"reward{mark}"] = fmean(record.rewards[turn] for record in records)
        if not by_coin:
            told[f"right{mark}"] = fmean(record.rights[turn] for record in records)
        told[f"length{mark}"] = fmean(record.lengths[turn] for record in records)
        told[f"clipped{mark}"] = fmean(record.clipped[turn] for record in records)
    told["flat"] = float((credit_PGK == credit_PGK[:, :1]).all(2).all(1).float().mean())
    if len(records[0].rights) > 1:
        told["edited"] = fmean(record.edited for record in records)
        if not by_coin:
            told["mended"] = fmean(record.rights == (False, True) for record in records)
            told["spoilt"] = fmean(record.rights == (True, False) for record in records)
    return told


def last_figures(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last step's figures in a trainer's history; of rows without them what TRL told, and the groups."""
    row = next((row for row in reversed(history) if FIGURES in row or GROUPS in row), {})
    names = TOLD | {GROUPS: GROUPS, FLAT_GROUPS: FLAT_GROUPS}
    told = {ours: row[theirs] for theirs, ours in names.items() if row.get(theirs) is not None}
    return dict(row.get(FIGURES, told))
