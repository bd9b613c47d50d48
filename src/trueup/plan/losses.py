"""Where the lost accuracy goes: every wrong attempt is put down to one cause.

The accuracy that one attempt loses, 1 - pass@1, is shared out item by item, so that the parts add up to it:

1. Where the solver is right and no deployable method of sampling is, all of it is structural.
2. Of the rest, format and truncation take what reading (or finishing) the attempts would have won, if they
   are right as often as the item's whole attempts are; as the stratum's, where the item has none; always,
   where the stratum has none. That last is a bound and not an estimate: nothing else can be known.
3. What is left is extraction where a deployable method is right on the item; selection where a right attempt
   is there and the method misses it; format where constrained decoding alone is right; else capability. Where
   the method misses what one attempt sometimes gets, that counts against extraction and for selection, so
   that without format and truncation the two are sel@K - pass@1 and pass@K - sel@K.
4. If one attempt cannot be told from guessing, 3 is void, since what many guesses cover is luck: all chance.

If constrained decoding was tried and wins more than format has been given, format takes what it wins, from
all others in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trueup.plan.estimate import Column
from trueup.plan.reach import Reach
from trueup.plan.sheet import Sheet, share

CAUSES = ("format", "truncation", "chance", "selection", "extraction", "structural", "capability")

Losses = Mapping[str, float]
"""Accuracy points by cause; they sum to 1 - pass@1."""


def split_losses(sheet: Sheet, found: Reach, *, at_chance: bool) -> Losses:
    """Accuracy points by cause over the items that have attempts."""
    kept = sheet.attempts > 0
    lost = 1.0 - sheet.pass_at_1
    chosen = np.nan_to_num(found.selector.right)
    solved = np.zeros(len(lost)) if found.solver is None else np.nan_to_num(found.solver.right)
    structural = (1.0 - chosen) * solved
    unread, cut = _form(sheet)
    rest = lost - unread - cut
    parts = {
        "format": (1.0 - structural) * unread,
        "truncation": (1.0 - structural) * cut,
        "structural": structural * lost,
        **_of_the_model(sheet, found, chosen, 1.0 - structural, rest, at_chance=at_chance),
    }
    if not at_chance:
        parts["format"] = parts["format"] + _constrained_alone(sheet, found, chosen, structural) * rest
        _set_off(parts, (1.0 - structural - chosen) * (sheet.right > 0) * sheet.pass_at_1, kept)
    means = {cause: float(np.mean(parts[cause][kept])) if cause in parts else 0.0 for cause in CAUSES}
    return _direct(means, found)


def _form(sheet: Sheet) -> tuple[Column, Column]:
    """Per item what unread and cut attempts would have won."""
    whole, whole_right = sheet.attempts - sheet.unread - sheet.cut, sheet.right - sheet.cut_right
    rate = share(whole_right, whole)
    if whole.sum() == 0:
        return share(sheet.unread, sheet.attempts), share(sheet.cut_unread, sheet.attempts)
    rate = np.where(np.isnan(rate), whole_right.sum() / whole.sum(), rate)
    unread = share(sheet.unread, sheet.attempts) * rate
    cut = share(sheet.cut, sheet.attempts) * rate - share(sheet.cut_right, sheet.attempts)
    return unread, np.maximum(cut, 0.0)


def _of_the_model(
    sheet: Sheet, found: Reach, chosen: Column, weight: Column, rest: Column, *, at_chance: bool
) -> dict[str, Column]:
    """What is left for chance, or for extraction, selection and capability."""
    if at_chance:
        return {"chance": weight * rest}
    missed = weight - chosen
    covered = np.maximum(sheet.right > 0, found.oracle)
    reached = np.maximum(covered, np.maximum(found.others, _right(found)))
    return {
        "selection": missed * covered * rest,
        "extraction": (chosen + missed * (1.0 - covered) * (1.0 - _right(found)) * found.others) * rest,
        "capability": missed * (1.0 - reached) * rest,
    }


def _set_off(parts: dict[str, Column], forgone: Column, kept: NDArray[np.bool_]) -> None:
    """Move from extraction to selection what the method misses although one attempt sometimes gets it."""
    extraction, missed = float(parts["extraction"][kept].mean()), float(forgone[kept].mean())
    if extraction > 0:
        moved = parts["extraction"] * min(1.0, missed / extraction)
        parts["extraction"] = parts["extraction"] - moved
        parts["selection"] = parts["selection"] + moved


def _constrained_alone(sheet: Sheet, found: Reach, chosen: Column, structural: Column) -> Column:
    covered = np.maximum(sheet.right > 0, found.oracle)
    return (1.0 - structural - chosen) * (1.0 - covered) * _right(found)


def _right(found: Reach) -> Column:
    if found.constrained is None:
        return np.zeros(len(found.others))
    return np.nan_to_num(found.constrained.right)


def _direct(means: dict[str, float], found: Reach) -> Losses:
    """The same with what constrained decoding was seen to win put down to format."""
    total = sum(means.values())
    gain = found.gain
    if gain is None or gain.ci95[0] <= 0 or gain.value <= means["format"]:
        return means
    won = min(gain.value, total)
    left = total - means["format"]
    scale = (total - won) / left if left > 0 else 0.0
    return {cause: won if cause == "format" else loss * scale for cause, loss in means.items()}
