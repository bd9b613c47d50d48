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
ODD = "odd"
"""The sort of a character that the language has not; a quote alone is one."""
WHOLE = dict.fromkeys(["<->", "->", "..", "==", "!=", "<=", ">=", *"-+*/^<>=()[]{},:."], "mark") | {'"': ODD}
FIRST = (
    dict.fromkeys(string.digits, "number")
    | dict.fromkeys([*string.ascii_letters, "_"], "name")
    | {'"': "quoted", "#": "clue"}
)
"""What a word is by its first character, where it is nothing as a whole."""


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
    words: list[str] = PATTERN.findall(written)
    sorts = [WHOLE.get(word) or FIRST.get(word[0], ODD) for word in words]
    texts = [
        word[1:-1].replace('""', '"') if sort == "quoted" else word for word, sort in zip(words, sorts, strict=True)
    ]
    line = Line(written, [*texts, ""], [*sorts, "end"])
    if ODD in sorts:
        place = sorts.index(ODD)
        raise BadInput(f"column {line.column(place)}: {words[place]!r} does not belong here")
    return line
