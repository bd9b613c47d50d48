"""A line of the language as words and marks, each with its column.

A quote in a quoted name is written twice.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from trueup.core.errors import BadInput

PATTERN = re.compile(
    r"""[ \t\r]*(?:
    (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |"(?P<quoted>(?:[^"\n]|"")*)"
    |(?P<clue>\#.*)
    |(?P<mark><->|->|\.\.|==|!=|<=|>=|[-+*/^<>=()\[\]{},:.])
    )""",
    re.VERBOSE | re.ASCII,
)
BLANKS = " \t\r"


class Token(NamedTuple):
    """A word or mark; `sort` is number, name, quoted, clue, mark or end."""

    sort: str
    text: str
    column: int


def tokens(line: str) -> list[Token]:
    """A line's tokens, an end behind them.

    Raises BadInput for a character that the language has not.
    """
    found, place = [], 0
    for match in PATTERN.finditer(line):
        if match.start() != place:
            break
        sort, place = match.lastgroup or "", match.end()
        text = match[sort].replace('""', '"') if sort == "quoted" else match[sort]
        found.append(Token(sort, text, match.start(sort) + (sort != "quoted")))
    rest = line[place:].lstrip(BLANKS)
    if rest:
        raise BadInput(f"column {len(line) - len(rest) + 1}: {rest[0]!r} does not belong here")
    found.append(Token("end", "", len(line) + 1))
    return found
