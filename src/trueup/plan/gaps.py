"""Tests 2, 3, 4: the chance floor, the selection gap, the extraction gap."""

from __future__ import annotations

import numpy as np

from trueup.plan.estimate import Column
from trueup.plan.evidence import GAP, Case, Evidence
from trueup.plan.resample import DIFFERENCE, Interval
from trueup.plan.sheet import Sheet, mean
from trueup.plan.words import between, many, percent, points

VOID = "one attempt cannot be told from guessing, so what many cover is luck"


def above_guessing(sheet: Sheet) -> tuple[float, Interval] | None:
    """How much more often than a guess a read answer is right; None without a guessing level or answers."""
    options, read = sheet.guess_options, sheet.attempts - sheet.unread - sheet.cut_unread
    if not options or read.sum() == 0:
        return None
    low, high = sheet.draws.ratio(sheet.right, read)
    return float(sheet.right.sum() / read.sum()) - 1 / options, (low - 1 / options, high - 1 / options)


def is_at_chance(sheet: Sheet) -> bool:
    """Whether the interval of what lies above guessing reaches down to nothing."""
    skill = above_guessing(sheet)
    return skill is not None and skill[1][0] <= 0


def probe_chance(case: Case) -> Evidence:
    """Read answers that are right beyond guessing; called where the interval does not clear 0."""
    skill = above_guessing(case.sheet)
    statistic, loss = "share of read answers that are right, above guessing", case.losses["chance"]
    if skill is None:
        why = "no answer was read" if case.sheet.guess_options else "there is no guessing level: answers are free"
        return Evidence("chance", statistic, None, None, 0.0, False, 0, why, loss)
    options = case.sheet.guess_options or 1
    covered = 1 - (1 - 1 / options) ** case.samples
    note = f"a guess among {options} is right {percent(1 / options)}, {case.samples} of them cover {percent(covered)}"
    return Evidence("chance", statistic, *skill, 0.0, case.at_chance, case.items, note, loss)


def probe_selection(case: Case) -> Evidence:
    """The share of items where a right attempt is there and the best deployable method misses it."""
    selector = case.reach.selector
    missed = _missed(case)
    value, ci95 = mean(missed) or 0.0, case.sheet.draws.mean(missed)
    note = f"{many(np.nansum(missed))} of {case.items} items" + (f"; {VOID}" if case.at_chance else "")
    statistic = f"items with a right one in {case.samples} attempts that {selector.label} misses"
    called = ci95[0] > GAP and not case.at_chance
    return Evidence("selection", statistic, value, ci95, GAP, called, case.items, note, case.losses["selection"])


def probe_extraction(case: Case) -> Evidence:
    """What the best deployable method of sampling wins over one attempt, on the same items."""
    selector, sheet = case.reach.selector, case.sheet
    won = selector.right - sheet.pass_at_1
    value, ci95 = mean(won) or 0.0, sheet.draws.mean(won, DIFFERENCE)
    statistic = f"{selector.label} minus pass@1"
    note = f"{points(_spread(case))} lie between pass@1 and the items right at least once in {case.samples}"
    called = ci95[0] > GAP and not case.at_chance
    note += f"; {VOID}" if case.at_chance else ""
    return Evidence("extraction", statistic, value, ci95, GAP, called, case.items, note, case.losses["extraction"])


def describe_chance(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    low, high = row.ci95 or (0.0, 0.0)
    guess = 1 / (case.sheet.guess_options or 1)
    return (
        f"Answers that can be read are right {percent((row.value or 0.0) + guess)} of the time "
        f"({between((low + guess, high + guess))}), and guessing gives {percent(guess)}."
    )


def describe_selection(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    covered = float((case.sheet.right[case.sheet.attempts > 0] > 0).mean())
    return (
        f"Right answers are there and are not chosen: {case.samples} attempts cover {percent(covered)} of the items, "
        f"{case.reach.selector.label} gets {percent(case.reach.selector.accuracy)}; on {percent(row.value or 0.0)} it "
        f"misses a right one ({between(row.ci95 or (0.0, 1.0))})."
    )


def describe_extraction(case: Case, row: Evidence) -> str:
    """The finding in a sentence, and what one answer without chance gains."""
    greedy = case.reach.greedy
    return (
        f"Right answers come, but not at once: one attempt gets {percent(mean(case.sheet.pass_at_1) or 0.0)}, "
        f"{case.reach.selector.label} {percent(case.reach.selector.accuracy)}, a gain of {points(row.value or 0.0)} "
        f"({between(row.ci95 or DIFFERENCE)}); a perfect choice among {case.samples} would win {points(_spread(case))}."
        + ("" if greedy is None else f" One greedy answer gains {points(greedy.value)} ({between(greedy.ci95)}).")
    )


def _missed(case: Case) -> Column:
    right = np.where(case.sheet.attempts > 0, case.sheet.right > 0, np.nan)
    return right * (1.0 - case.reach.selector.right)


def _spread(case: Case) -> float:
    covered = np.where(case.sheet.attempts > 0, case.sheet.right > 0, np.nan)
    return mean(covered - case.sheet.pass_at_1) or 0.0
