"""Name the main cause of a stratum's wrong answers, with the evidence.

Seven tests in a fixed order, each with an interval and a threshold: format, truncation, chance, selection,
extraction, structural, capability. The rule that names one:

- Where one attempt already reaches the target, there is nothing to mend.
- Otherwise the cause that explains the most lost accuracy (losses.py) among those called. Selection and
  extraction are two halves of one gap, between one attempt and many: they are weighed together, and the
  called one with the larger loss gives the name.
- Format and truncation come first in another sense: all later tests, the solver's apart, look through them.
  If one of them is called and has cost a quarter of the lost accuracy, or if half of the wrong attempts could
  not even be read for it, it stands for everything that is read through it. Mend it, then measure again. Attempts
  that hold the reference among other words count as lost to format (held.py).
- If no test is called the largest loss gives the name, and the summary says that it is not established.
- Where attempts are copies of each other, at temperature 0, or most items that nothing got right had one attempt,
  capability cannot be told from extraction: unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueup.core.outcome import Pool
from trueup.plan.evidence import FORM, Case, Evidence
from trueup.plan.form import describe_format, describe_truncation, probe_format, probe_truncation, unreadable_share
from trueup.plan.gaps import (
    describe_chance,
    describe_extraction,
    describe_selection,
    is_at_chance,
    probe_chance,
    probe_extraction,
    probe_selection,
)
from trueup.plan.held import held_by, with_held
from trueup.plan.limits import (
    MOST,
    describe_capability,
    describe_structural,
    describe_unreached,
    is_single,
    probe_capability,
    probe_structural,
)
from trueup.plan.losses import split_losses
from trueup.plan.reach import reach
from trueup.plan.sheet import Sheet, mean
from trueup.plan.structure import trend_of
from trueup.plan.words import as_given, between, percent

NONE, UNKNOWN = "none", "unknown"
LEVERS = {
    NONE: "none",
    "format": "prompt or constrained decoding",
    "truncation": "longer budget",
    "chance": "bigger model or training",
    "selection": "better selection",
    "extraction": "inference",
    "structural": "solver",
    "capability": "bigger model or training",
}
HOTTER, MORE = "a temperature above 0", "more samples"
"""The levers where the cause is unknown."""
COPIES = "attempts are copies at temperature 0: set a temperature above 0 to tell extraction from capability"
ONE = "one attempt an item cannot tell capability from extraction: "


def probe_form(case: Case) -> Evidence:
    """The share of attempts that could not be read, or whose answer stands among other words where those are more."""
    held = case.held
    if held is None:
        return probe_format(case)
    statistic, n = "share of attempts that hold the reference among other words", int(case.sheet.attempts.sum())
    return Evidence("format", statistic, held.value, held.ci95, FORM, True, n, held.told, case.losses["format"])


def describe_form(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    held = case.held
    if held is None:
        return describe_format(case, row)
    return f"{_sentence(held.told)} That is {percent(held.value)} of all attempts ({between(held.ci95)})."


PROBES: tuple[Callable[[Case], Evidence], ...] = (
    probe_form, probe_truncation, probe_chance, probe_selection, probe_extraction, probe_structural,
    probe_capability,
)  # fmt: skip
DESCRIPTIONS: dict[str, Callable[[Case, Evidence], str]] = {
    "format": describe_form,
    "truncation": describe_truncation,
    "chance": describe_chance,
    "selection": describe_selection,
    "extraction": describe_extraction,
    "structural": describe_structural,
    "capability": describe_capability,
}
FAMILIES = (
    ("format",), ("truncation",), ("chance",), ("selection", "extraction"), ("structural",), ("capability",),
)  # fmt: skip
MASKS = ("format", "truncation")
COSTLY = 0.25
UNREADABLE = 0.5


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The main cause, the lever that mends it, the finding in words, and every test's evidence.

    `caveat` is what to know before the cause is believed, in a line; empty where nothing is amiss.
    """

    cause: str
    lever: str
    summary: str
    evidence: tuple[Evidence, ...]
    caveat: str = ""


def diagnose(sheet: Sheet, target: float) -> Diagnosis:
    """The main cause of a stratum's wrong answers."""
    accuracy = mean(sheet.pass_at_1)
    if accuracy is None:
        return Diagnosis(NONE, LEVERS[NONE], "No attempt came back, so nothing can be said.", ())
    case = _case(sheet, target)
    rows = tuple(probe(case) for probe in PROBES)
    left_out = _left_out(sheet)
    if accuracy >= target:
        told = f"One attempt gets {percent(accuracy)}, the target is {as_given(target)}: nothing to mend."
        return Diagnosis(NONE, LEVERS[NONE], told + left_out, rows)
    cause = name_cause(case, rows)
    row = next(row for row in rows if row.test == cause)
    doubt = _doubt(case)
    besides = _besides(case, cause, rows, doubt) + left_out
    if doubt and cause == "capability":
        summary = f"{_sentence(doubt)} {describe_unreached(case, row)}{besides}"
        lever = MORE if is_single(case) else HOTTER
        return Diagnosis(UNKNOWN, lever, summary, rows, _caveat(case, rows, doubt))
    return Diagnosis(cause, LEVERS[cause], DESCRIPTIONS[cause](case, row) + besides, rows, _caveat(case, rows))


def are_copies(sheet: Sheet) -> bool:
    """Whether attempts were asked for at temperature 0, and at most items all of them say the same."""
    pools = _answered(sheet)
    same = sum(len({attempt.text for attempt in pool.attempts}) == 1 for pool in pools)
    return same > MOST * len(pools) and _is_cold(pools)


def _answered(sheet: Sheet) -> list[Pool]:
    return [pool for pool in sheet.pools if pool is not None and pool.attempts]


def _is_cold(pools: Sequence[Pool]) -> bool:
    return all(pool.item.problem.sampling.temperature == 0 for pool in pools)


def _doubt(case: Case) -> str:
    """Why capability cannot be told from extraction, and the mend; empty where it can."""
    if not is_single(case):
        return COPIES if are_copies(case.sheet) else ""
    pools = _answered(case.sheet)
    is_act = any(pool.item.problem.side_effects for pool in pools)
    mend = "sample more in a sandbox, without side_effects" if is_act else "ask for more --samples"
    return f"{ONE}{mend}" + (f", at {HOTTER}" if _is_cold(pools) else "")


def name_cause(case: Case, rows: Sequence[Evidence]) -> str:
    """The cause that the rule of this file names."""
    called = {row.test for row in rows if row.called}
    eligible = called or {row.test for row in rows}
    by_model = sum(case.losses.values()) - case.losses["structural"]

    def weight(family: tuple[str, ...]) -> float:
        if family[0] in MASKS and family[0] in called and _masks(case, family[0]):
            return by_model
        return sum(case.losses[cause] for cause in family if cause in eligible)

    best = max((family for family in FAMILIES if eligible & set(family)), key=weight)
    return max((cause for cause in best if cause in eligible), key=lambda cause: case.losses[cause])


def _case(sheet: Sheet, target: float) -> Case:
    found, at_chance, held = reach(sheet), is_at_chance(sheet), held_by(sheet, FORM)
    losses = with_held(split_losses(sheet, found, at_chance=at_chance), sheet, held)
    return Case(sheet, found, losses, target, at_chance, trend_of(sheet), held)


def _masks(case: Case, cause: str) -> bool:
    lost = sum(case.losses.values())
    return case.losses[cause] >= COSTLY * lost or unreadable_share(case, cause) >= UNREADABLE * lost


def _besides(case: Case, cause: str, rows: Sequence[Evidence], doubt: str) -> str:
    called = [row.test for row in rows if row.called]
    if not called:
        return f" Not established: with {case.items} items no test clears its threshold."
    doubtful = ("capability",) if doubt else ()
    others = [test for test in called if test not in (cause, *doubtful) and cause not in MASKS]
    return f" Also called: {', '.join(others)}." if others else ""


def _caveat(case: Case, rows: Sequence[Evidence], doubt: str = "") -> str:
    silent, items = int((case.sheet.attempts == 0).sum()), len(case.sheet.attempts)
    told = [doubt] if doubt else []
    told += [] if case.held is None else [case.held.told]
    if not any(row.called for row in rows):
        told.append(f"the cause is not established: with {case.items} items no test clears its threshold")
    if silent > MOST * items:
        told.append(f"the cause is that of {case.items} of {items} items; the others have no attempt")
    return "; ".join(told)


def _sentence(told: str) -> str:
    return f"{told[0].upper()}{told[1:]}."


def _left_out(sheet: Sheet) -> str:
    silent = int((sheet.attempts == 0).sum())
    return f" {silent} of {len(sheet.attempts)} items have no attempt and are left out." if silent else ""
