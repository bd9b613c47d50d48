"""A line of the language as words and marks.

A quote in a quoted name is written twice.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from trueup.core.errors import BadInput

PATTERN = re.compile(
    r"""\d+(?:\.\d+)?(?:[eE][+-]?\d+)?
    |[A-Za-z_][A-Za-z0-9_]*
    |"(?:[^"\n]|"")*"
    |\#.*
    |<->|->|\.\.|==|!=|<=|>=|[-+*/^<>=()\[\]{},:.]
    |[^ \t\r]""",
    re.VERBOSE | re.ASCII,
)
MARKS = frozenset({"<->", "->", "..", "==", "!=", "<=", ">=", *"-+*/^<>=()[]{},:."})
SORTS = (
    dict.fromkeys(string.digits, "number")
    | dict.fromkeys([*string.ascii_letters, "_"], "name")
    | {'"': "quoted", "#": "clue"}
)
"""What a word is by its first character; what is none of these is a mark."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line's words and marks, and the sort of each: number, name, quoted, clue, mark, or end behind them."""

    written: str
    texts: list[str]
    sorts: list[str]

    def column(self, place: int) -> int:
        """Where a word begins, counted from 1; looked for only when an error has to say it."""
        starts = [match.start() for match in PATTERN.finditer(self.written)]
        return [*starts, len(self.written)][place] + 1


def read_words(written: str) -> Line:
    """A line's words, an end behind them.

    Raises BadInput for a character that the language has not.
    """
    texts: list[str] = PATTERN.findall(written)
    sorts = [SORTS.get(text[0], "mark") for text in texts]
    line = Line(written, [*texts, ""], [*sorts, "end"])
    for place, (text, sort) in enumerate(zip(texts, sorts, strict=True)):
        if (sort == "mark" and text not in MARKS) or text == '"':
            raise BadInput(f"column {line.column(place)}: {text!r} does not belong here")
        if sort == "quoted":
            line.texts[place] = text[1:-1].replace('""', '"')
    return line
