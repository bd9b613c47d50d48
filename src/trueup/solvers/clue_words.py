"""How clues write values, measures and comparisons."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trueup.solvers.magnitudes import is_date, is_time

NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12,
}  # fmt: skip
MORE = (
    "more|later|after|longer|taller|higher|heavier|older|larger|bigger|greater|ahead|faster|farther|further|deeper|wider|"
    "above|east|north|warmer|hotter|newer|pricier|stronger"
)
LESS = (
    "less|fewer|earlier|before|shorter|lower|lighter|younger|smaller|behind|slower|closer|nearer|below|west|south|cheaper|"
    "cooler|colder|narrower|weaker|prior"
)
COMPARED = re.compile(rf"\b(?P<more>{MORE})\b|\b(?P<less>{LESS})\b")
MEASURE = re.compile(
    rf"^.*(?<![\w.,:«-])(?P<number>\$?\d[\d,]*(?:\.\d+)?|{'|'.join(NUMBER_WORDS)}) (?P<unit>(?:[a-z'/-]+ ){{0,4}})$"
)
NEXT_DOOR = re.compile(r"^.*\b(?P<number>an?|the|one) (?P<unit>(?:day|week|hour|month|year|minute|half[- ]hour) )$")
COMMON = frozenset({"the", "and", "for", "los", "las", "san", "new", "old", "big"})
"""Words of three letters that are part of many a name and never stand for it."""
VERB = re.compile(r"\b(?:is|was|were|are|has|had|took|costs?|spoke|left|sold|will|got|won|ran|drove|\w+ed)\b")


def plain(text: str) -> str:
    """A text in lower case, one space between words, without a full stop."""
    return " ".join(text.lower().replace("\u2019", "'").split()).rstrip(".")


def forms_of(value: str, every: Sequence[str]) -> list[str]:
    """How a clue may write a value: as it is, in the singular, or by a part that no other value has."""
    text = plain(value)
    forms = [text, *(" and ".join(order) for order in _both_ways(re.split(r" ?[-/] ?| and ", text)))]
    words = text.split()
    if text.endswith("s") and len(text) > 4:
        forms.append(text[:-1])
    number = re.fullmatch(r"\$?(\d[\d,]*(?:\.\d+)?)(?: [a-z]+)*", text)
    if number and sum(_number_of(other) == number[1] for other in every) == 1:
        forms.append(number[1])
        forms.append(f"${number[1]}")
    if len(words) > 1 and not number:
        for part in (words[0], words[-1]):
            owners = [other for other in every if part in other.lower().split()]
            if (
                len(owners) == 1
                and part not in COMMON
                and (len(part) > 3 or (len(part) == 3 and part.title() in value.split()))
            ):
                forms.append(part)
    return list(dict.fromkeys(forms))


def measured(text: str) -> tuple[str, float | None, str]:
    """A clue without the measure of its comparison, that measure, and its unit."""
    for compared in COMPARED.finditer(text):
        before = text[: compared.start()]
        match = MEASURE.match(before) or NEXT_DOOR.match(before)
        if match and not VERB.search(match["unit"]):
            number = match["number"].lstrip("$").replace(",", "")
            offset = 1.0 if number in ("a", "an", "the") else float(NUMBER_WORDS.get(number, 0) or number)
            return f"{text[: match.start('number')]}{text[compared.start() :]}", offset, match["unit"].strip()
    return text, None, ""


def goes_on(text: str, end: int, form: str) -> bool:
    """Whether a number only begins here: 2 of 2.5, or of 2,500, or of 2:30."""
    return form[-1].isdigit() and bool(re.match(r"[.,:]\d", text[end:]))


def is_named(form: str, clue: str) -> bool:
    """Whether a form stands in a clue; one of a single letter is told from a word by its capital."""
    return len(form) > 1 or bool(re.search(rf"\b{form.upper()}\b", clue[1:]))


def scale(unit: str, values: Sequence[str]) -> float:
    """How many of a category's own measure a unit is."""
    if "tenth" in unit:
        return 0.1
    if is_time(values) and "hour" in unit:
        return 30.0 if "half" in unit else 60.0
    if is_date(values) and "week" in unit:
        return 7.0
    return 1.0


def _both_ways(parts: list[str]) -> list[list[str]]:
    """Two parts of a value in either order: a clue says pink and white of what is listed as white - pink."""
    return [parts, parts[::-1]] if len(parts) == 2 and all(part.isalpha() for part in parts) else []


def _number_of(text: str) -> str:
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return found[0] if len(found) == 1 else ""
