"""Cheap facts about a text as an answer to a problem.

None of them does the problem's work: no sum is added up, no remainder compared. A feature that did would be a check
under another name, and its ratings would say nothing about what can be learned from graded attempts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log

from trueup.core.types import Problem

NUMBER = re.compile(r"[0-9]+")
HEDGES = re.compile(r"\b(?:wait|actually|maybe|perhaps|sorry|hmm|not sure|however)\b", re.IGNORECASE)
NAMES = (
    "characters", "lines", "share of digits", "share of words seen in the question", "share of words said before",
    "hedges", "numbers", "ends in a number", "last number against the question's largest",
    "last number against the question's smallest", "digits of the last number", "last number stands in the question",
    "share of the last number's digits that are in the question",
)  # fmt: skip


def describe(problem: Problem, text: str) -> tuple[float, ...]:
    """One number per name, of the question in the problem's last user message and the text."""
    asked = next((m.content for m in reversed(problem.prompt) if m.role == "user"), "")
    return (*_of_words(asked, text), *_of_numbers(NUMBER.findall(asked), NUMBER.findall(text), text))


def _of_words(asked: str, text: str) -> tuple[float, ...]:
    words, known = text.lower().split(), set(asked.lower().split())
    return (
        log(1 + len(text)),
        log(1 + text.count("\n")),
        _share(sum(map(str.isdigit, text)), len(text)),
        _share(sum(word in known for word in words), len(words)),
        1 - _share(len(set(words)), len(words)) if words else 0.0,
        log(1 + len(HEDGES.findall(text))),
    )


def _of_numbers(asked: Sequence[str], said: Sequence[str], text: str) -> tuple[float, ...]:
    last = said[-1] if said else ""
    ends = float(bool(last) and text.rstrip(" .\n").endswith(last))
    sizes = sorted(log(1 + int(number[:15])) for number in asked) or [0.0]
    size = log(1 + int(last[:15])) if last else 0.0
    digits = "".join(asked)
    return (
        log(1 + len(said)),
        ends,
        size - sizes[-1],
        size - sizes[0],
        float(len(last)),
        float(last in asked),
        _share(sum(digit in digits for digit in last), len(last)),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
