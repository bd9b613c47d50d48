"""Tests 0 and 1: attempts that cannot be read, attempts cut at the token limit."""

from __future__ import annotations

from trueup.plan.estimate import Column
from trueup.plan.evidence import FORM, Case, Evidence
from trueup.plan.reach import Gain
from trueup.plan.words import between, many, percent, points


def probe_format(case: Case) -> Evidence:
    """The share of attempts that ended by themselves and could not be read.

    Where constrained decoding was tried, what it wins is direct evidence: it calls the test by itself, and if
    it wins nothing the test is not called, however much could not be read. There is no second, lenient
    reading to compare with, so the loss is an estimate otherwise.
    """
    sheet, gain = case.sheet, case.reach.gain
    value, ci95 = _attempt_share(case, sheet.unread)
    note = f"{many(sheet.unread.sum())} of {many(sheet.attempts.sum())} attempts; {_basis(gain)}"
    called = ci95[0] > FORM and (gain is None or gain.value > 0)
    if gain is not None and gain.ci95[0] > FORM and not called:
        statistic = f"accuracy that {gain.label} wins over free decoding"
        return Evidence("format", statistic, gain.value, gain.ci95, FORM, True, case.items, note, case.losses["format"])
    statistic = "share of attempts that could not be read"
    n = int(sheet.attempts.sum())
    return Evidence("format", statistic, value, ci95, FORM, called, n, note, case.losses["format"])


def probe_truncation(case: Case) -> Evidence:
    """The share of attempts that were cut at the token limit and are not right."""
    sheet = case.sheet
    value, ci95 = _attempt_share(case, sheet.cut - sheet.cut_right)
    note = (
        f"{many(sheet.cut.sum())} of {many(sheet.attempts.sum())} attempts were cut, {many(sheet.cut_right.sum())} of "
        f"them right all the same; the loss takes those cut to be right as often as the whole ones of their item"
    )
    statistic = "share of attempts cut at the token limit without a right answer"
    return Evidence(
        "truncation", statistic, value, ci95, FORM, ci95[0] > FORM, int(sheet.attempts.sum()), note,
        case.losses["truncation"],
    )  # fmt: skip


def _attempt_share(case: Case, count: Column) -> tuple[float, tuple[float, float]]:
    sheet = case.sheet
    return float(count.sum() / sheet.attempts.sum()), sheet.draws.ratio(count, sheet.attempts)


def _basis(gain: Gain | None) -> str:
    if gain is None:
        return "the loss takes the unread to be right as often as the read ones of their item: an estimate"
    verb = f"wins {points(gain.value)}" if gain.value > 0 else f"wins nothing ({points(gain.value)})"
    return f"{gain.label} {verb} over free decoding on the same items ({between(gain.ci95)})"


def unreadable_share(case: Case, test: str) -> float:
    """The share of all attempts that could not be read, having ended (format) or been cut (truncation)."""
    sheet = case.sheet
    count = sheet.unread if test == "format" else sheet.cut_unread
    return float(count.sum() / sheet.attempts.sum())


def describe_format(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    gain = case.reach.gain
    unread = f"{percent(unreadable_share(case, 'format'))} of the attempts could not be read"
    if gain is None:
        return f"{unread} ({between(row.ci95 or (0.0, 1.0))}); before they can be, nothing else is worth mending."
    return f"{unread}; {gain.label} is right {points(gain.value)} more often than free decoding ({between(gain.ci95)})."


def describe_truncation(case: Case, row: Evidence) -> str:
    """The finding in a sentence."""
    return (
        f"{percent(row.value or 0.0)} of the attempts hit the token limit without a right answer "
        f"({between(row.ci95 or (0.0, 1.0))}), which costs about {points(case.losses['truncation'])}."
    )
