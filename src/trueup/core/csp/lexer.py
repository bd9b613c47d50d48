"""A line of the language as words and marks, each with its column."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.errors import BadInput

PATTERN = re.compile(
    r"""(?P<space>[ \t\r]+)
    |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |"(?P<quoted>[^"\n]*)"
    |(?P<clue>\#.*)
    |(?P<mark><->|->|\.\.|==|!=|<=|>=|[-+*/^<>=()\[\]{},:.])""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark; `sort` is number, name, quoted, clue, mark or end."""

    sort: str
    text: str
    column: int


def tokens(line: str) -> list[Token]:
    """A line's tokens, an end behind them.

    Raises BadInput for a character that the language has not.
    """
    found, place = [], 0
    while place < len(line):
        match = PATTERN.match(line, place)
        if match is None:
            raise BadInput(f"column {place + 1}: {line[place]!r} does not belong here")
        sort = match.lastgroup or ""
        if sort != "space":
            found.append(Token(sort, match.group(sort), place + 1))
        place = match.end()
    return [*found, Token("end", "", len(line) + 1)]
