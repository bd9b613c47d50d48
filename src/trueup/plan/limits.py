"""Tests 5 and 6: what only the solver gets right, what nothing gets right.

Where failures rise with the structure of what is asked (see `structure.py`), two signs point to a structural limit, and
the solver has to win anything at all, no longer a gap worth a call.
"""

from __future__ import annotations

import numpy as np

from trueup.plan.estimate import Column, accuracy_interval
from trueup.plan.evidence import GAP, Case, Evidence
from trueup.plan.resample import DIFFERENCE
from trueup.plan.sheet import mean
from trueup.plan.words import as_given, between, many, percent

MOST = 0.5
SINGLE = "one attempt cannot tell them from what more attempts would reach"


def probe_structural(case: Case) -> Evidence:
    """What the solver wins over the best deployable method of sampling, on the same items."""
    solver, selector, loss = case.reach.solver, case.reach.selector, case.losses["structural"]
    told = "" if case.trend is None else f"; {case.trend}"
    if solver is None:
        note = "no solver was tried on this stratum" + told
        return Evidence("structural", "solver minus sampling", None, None, GAP, False, 0, note, loss)
    won = solver.right - selector.right
    value, ci95 = mean(won) or 0.0, case.sheet.draws.mean(won, DIFFERENCE)
    never = np.nansum(solver.right[case.sheet.right == 0])
    note = (
        f"right on {many(np.nansum(solver.right))} of {case.items} items, {many(never)} of which no attempt got right"
    )
    statistic = f"{solver.label} minus {selector.label}"
    threshold = 0.0 if case.trend is not None and case.trend.rises else GAP
    called = ci95[0] > threshold
    return Evidence("structural", statistic, value, ci95, threshold, called, case.items, note + told, loss)


def probe_capability(case: Case) -> Evidence:
    """The share of items that no attempt and no method got right, against what the target allows.

    The interval is exact: its lower end above 1 - target is coverage whose upper bound misses the target.
    """
    never = out_of_reach(case)
    value, ci95 = mean(never) or 0.0, accuracy_interval(never, case.sheet.draws.codes)
    allowed = round(1.0 - case.target, 12)
    note = f"{many(np.nansum(never))} of {case.items} items; the target leaves room for {percent(allowed)}"
    note += f"; {SINGLE}" if is_single(case) else ""
    statistic = f"items right in none of {case.samples} attempts and by {_no_method(case)}"
    called = ci95[0] > allowed and not case.at_chance
    return Evidence("capability", statistic, value, ci95, allowed, called, case.items, note, case.losses["capability"])


def out_of_reach(case: Case) -> Column:
    """1 for items that no way of this model, nor the solver, got right; NaN for items without attempts."""
    found, sheet = case.reach, case.sheet
    ways = [found.selector, found.solver, found.constrained]
    reached = np.maximum.reduce(
        [sheet.right > 0, found.others, found.oracle, *(np.nan_to_num(w.right) > 0 for w in ways if w is not None)]
    )
    return np.where(sheet.attempts > 0, 1.0 - reached, np.nan)


def is_single(case: Case) -> bool:
    """Whether most items that nothing got right had one attempt, which a second might have mended."""
    never = out_of_reach(case)
    return bool(np.nansum(never[case.sheet.attempts == 1]) > MOST * np.nansum(never))


def describe_structural(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    solver, selector = case.reach.solver, case.reach.selector
    assert solver is not None
    return (
        f"The solver ({solver.label}) gets {percent(solver.accuracy)} of the items right where {selector.label} gets "
        f"{percent(selector.accuracy)} ({between(row.ci95 or DIFFERENCE)} points more): it is {row.note}."
    )


def describe_capability(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    return (
        f"{_share(case, row)}, so that {percent(1 - (row.value or 0.0))} is the most that is within reach; the target "
        f"is {as_given(case.target)}."
    )


def describe_unreached(case: Case, row: Evidence) -> str:
    """The finding in a sentence, where more attempts may reach further."""
    return f"{_share(case, row)}; the target is {as_given(case.target)}."


def _share(case: Case, row: Evidence) -> str:
    share, ends = percent(row.value or 0.0), between(row.ci95 or (0.0, 1.0))
    return f"On {share} of the items ({ends}) no attempt and {_no_method(case)} is right"


def _no_method(case: Case) -> str:
    """Where other models were asked, theirs may be."""
    return "no method of this model" if case.sheet.has_others else "no method"
