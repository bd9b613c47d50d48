"""The sub-answers of an LR²Bench reply that are right, by the benchmark's own definition.

Chen et al. 2025, arXiv:2502.17848: CR, S-Acc, EM and PM-0.5 follow from these counts. The published scorer runs the
model's text as Python; this one reads it as JSON, or as a Python literal.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trueup.core.types import Json

DICT, LIST, GRID = "dict", "list", "grid"
MARKS = {
    DICT: (re.compile(r"\{"), re.compile(r"\}")),
    LIST: (re.compile(r"\["), re.compile(r"\]")),
    GRID: (re.compile(r"\[\s{0,99}\["), re.compile(r"\]\s{0,99}\]")),
}
"""How an answer of each shape begins and ends; the first end behind a beginning is its own."""
SHAPE_OF = {"crossword": DICT, "acrostic": DICT, "cryptogram": DICT, "logic": LIST, "sudoku": GRID, "drop": GRID}
TEXT_AT_MOST = 200_000
DEPTH_AT_MOST = 20
Pairs = list[tuple[Any, Any]]
"""What was said, and what is right."""


@dataclass(frozen=True, slots=True)
class Score:
    """How much of a reply is right; `answered` says that there was one to read."""

    answered: bool
    right: int
    total: int

    @property
    def is_exact(self) -> bool:
        """EM: everything right."""
        return self.right == self.total

    @property
    def is_half(self) -> bool:
        """PM-0.5: at least half right."""
        return 2 * self.right >= self.total


def extract(text: str, family: str) -> Json:
    """What a reply answers; None where nothing of the family's shape can be read in its last tag."""
    tagged = _last_tagged(text[-TEXT_AT_MOST:], "Mapping" if family == "cryptogram" else "Answer")
    found = _last_shaped(tagged, SHAPE_OF[family])
    value = _literal(found) if found else None
    return value if isinstance(value, dict if SHAPE_OF[family] == DICT else list) and value else None


def score(answer: Json, family: str, gold: Json) -> Score:
    """The score of an extracted answer against the gold; None is no answer."""
    pairs = _PAIRS[family]([] if answer is None else answer, gold)
    return Score(answer is not None, sum(said == wanted for said, wanted in pairs), len(pairs))


def entries(answer: Json) -> list[tuple[str, str]]:
    """Keys as they are, values in lower case without spaces; nothing where the answer has no keys."""
    return (
        [(str(key), str(value).lower().replace(" ", "")) for key, value in answer.items()] if _has_keys(answer) else []
    )


def at(answer: Json, row: int, column: int) -> Json:
    """A cell of a grid that may be of any form; None where there is none."""
    try:
        return answer[row][column]
    except (IndexError, KeyError, TypeError):
        return None


def _last_tagged(text: str, tag: str) -> str:
    """What stands in the last pair of tags."""
    end = text.rfind(f"</{tag}>")
    start = text.rfind(f"<{tag}>", 0, max(end, 0))
    return text[start + len(tag) + 2 : end] if 0 <= start < end else ""


def _last_shaped(text: str, shape: str) -> str:
    """The last stretch of a shape, read from the left without overlaps."""
    begin, finish = MARKS[shape]
    found, place = "", 0
    while (opened := begin.search(text, place)) and (closed := finish.search(text, opened.end())):
        found, place = text[opened.start() : closed.end()], closed.end()
    return found


def _has_keys(answer: Json) -> bool:
    return isinstance(answer, dict)


def _literal(text: str) -> Json:
    if _depth(text) > DEPTH_AT_MOST:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _depth(text: str) -> int:
    deepest = depth = 0
    for mark in text:
        depth += (mark in "[{(") - (mark in "]})")
        deepest = max(deepest, depth)
    return deepest


def _keyed(answer: Json, gold: Json) -> Pairs:
    """Keys in lower case; those that the gold has not count for nothing."""
    said = {key.lower(): value for key, value in entries(answer)}
    return [(said.get(key.lower()), value) for key, value in entries(gold)]


def _matched(answer: Json, gold: Json) -> Pairs:
    """Rows are found by the value of the first category, and the others compared."""
    rows = [{str(k).lower(): str(v).lower() for k, v in row.items()} for row in answer if isinstance(row, dict)]
    pairs: Pairs = []
    for right in gold:
        wanted = {key.lower(): value.lower() for key, value in right.items()}
        key, *others = wanted
        row = next((one for one in rows if one.get(key) == wanted[key]), {})
        pairs += [(row.get(other), wanted[other]) for other in others]
    return pairs


def _blanks(answer: Json, gold: Json) -> Pairs:
    """The cells that the puzzle leaves empty."""
    cells = [(r, c) for r, row in enumerate(gold["grid"]) for c, given in enumerate(row) if given == 0]
    return [(at(answer, r, c), gold["answer"][r][c]) for r, c in cells]


def _letters(answer: Json, gold: Json) -> Pairs:
    """Every cell but those between words; punctuation counts, and so do capitals."""
    return [(at(answer, r, c), cell) for r, row in enumerate(gold) for c, cell in enumerate(row) if cell != "#"]


_PAIRS: Mapping[str, Callable[[Json, Json], Pairs]] = {
    "crossword": _keyed, "acrostic": _keyed, "cryptogram": _keyed, "logic": _matched, "sudoku": _blanks,
    "drop": _letters,
}  # fmt: skip
