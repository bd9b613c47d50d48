"""Numbers in the values of a category: prices, counts, times of day, dates, weekdays, ordinals."""

from __future__ import annotations

import re
from collections.abc import Sequence

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
SIZES = ("extra small", "small", "medium", "large", "extra large")
DAYS_BEFORE = (0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335)
"""Of a leap year, so that every date has its place."""
DATE = re.compile(r"(?P<month>[a-z]+)\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?(?:, (?P<year>\d{4}))?")
TIME = re.compile(r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>[ap])\.?m\.?")
SPAN = re.compile(
    r"(?:(?P<hours>\d+) h(?:ou)?rs?,? ?)?(?:(?P<minutes>\d+) min(?:ute)?s?,? ?)?(?:(?P<seconds>\d+) sec(?:ond)?s?)?"
)
NOON = {"noon": "12:00pm", "12 noon": "12:00pm", "midnight": "12:00am", "12 midnight": "12:00am"}
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


def magnitudes(values: Sequence[str]) -> tuple[float, ...] | None:
    """The number in each value, in one measure; None where not all have one, or two have the same."""
    for read in (_time, _date, _span, _named, _plain):
        found = [read(value.strip().lower()) for value in values]
        numbers = tuple(one for one in found if one is not None)
        if len(numbers) == len(values) == len(set(numbers)):
            return numbers
    return None


def is_time(values: Sequence[str]) -> bool:
    """Whether the values are times of day, whose measure is minutes."""
    return all(_time(value.strip().lower()) is not None for value in values)


def is_date(values: Sequence[str]) -> bool:
    """Whether the values are dates, whose measure is days."""
    return all(_date(value.strip().lower()) is not None for value in values)


def _time(value: str) -> float | None:
    match = TIME.fullmatch(NOON.get(value, value))
    if match is None:
        return None
    hour = int(match["hour"]) % 12 + (12 if match["half"] == "p" else 0)
    return float(60 * hour + int(match["minute"] or 0))


def _date(value: str) -> float | None:
    match = DATE.fullmatch(value)
    if match is None or match["month"] not in MONTHS:
        return None
    day = DAYS_BEFORE[MONTHS.index(match["month"])] + int(match["day"])
    return float(day + 366 * int(match["year"] or 0))


def _span(value: str) -> float | None:
    """Hours, minutes and seconds, in minutes."""
    match = SPAN.fullmatch(value)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 60 * hours + minutes + seconds / 60


def _named(value: str) -> float | None:
    """Months, weekdays and ordinals by their place."""
    for names in (MONTHS, WEEKDAYS, ORDINALS, SIZES):
        if value in names:
            return float(names.index(value))
    return None


def _plain(value: str) -> float | None:
    """The only number in a value; a month with a year counts months."""
    words = value.split()
    if len(words) == 2 and words[0] in MONTHS and words[1].isdecimal():
        return float(12 * int(words[1]) + MONTHS.index(words[0]))
    numbers = NUMBER.findall(value)
    return float(numbers[0].replace(",", "")) if len(numbers) == 1 else None
