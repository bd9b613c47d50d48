"""Answers as lines of names and values, however they are set out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

MARK = re.compile(r"[:=]")
NUMBER = re.compile(r"^[0-9]{1,3}[.)]")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9 ]*")
ITEM = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*")
BETWEEN = re.compile(r",(?:\s*and\s)?|\sand\s|\s\+\s|->|\u2192")
COUNTED = re.compile(r"^\s*[0-9]{1,3}[.)]\s+")
FRAME = " \t\r*_`#>|.-\u2022"
"""What may stand round a name or a value."""
BOXED = "\\boxed{"
Rows = Mapping[str, tuple[str, ...]]
"""What stands behind each name."""


def said_rows(text: str, named: re.Pattern[str], size: Callable[[Rows], int] = len) -> Rows:
    """What lines like `name: value, value` say, in lower case: the last of the runs that say the most by `size`.

    `named` is what a name may be, in lower case, its first group what it is called by. Where something else stands
    between two lines of a run, a name that it has already begins the next one; so does prose.
    """
    runs: list[dict[str, tuple[str, ...]]] = [{}]
    is_apart = False
    for line in _lines(_one_a_line(text, named)):
        pair = _pair(line)
        match = named.fullmatch(pair[0]) if pair else None
        if pair is None and line.strip(FRAME):
            runs.append({})
        if pair is None or match is None:
            is_apart = True
            continue
        if is_apart and match[1] in runs[-1]:
            runs.append({})
        runs[-1][match[1]] = items(pair[1])
        is_apart = False
    return max(reversed(runs), key=size)


def items(text: str) -> tuple[str, ...]:
    """What is listed, between commas or `and`, in lower case and without frames."""
    found = (ITEM.search(COUNTED.sub("", part)) for part in BETWEEN.split(text.casefold()))
    return tuple(match[0] for match in found if match)


def table(rows: Rows) -> str | None:
    """Rows in a canonical form, the names in order; None where there is none."""
    return "\n".join(f"{name}: {', '.join(rows[name])}" for name in sorted(rows)) or None


def rows_of(answer: str) -> Rows:
    """A canonical table, read back."""
    split = (line.partition(": ") for line in answer.splitlines())
    return {name: tuple(value.split(", ")) if value else () for name, _, value in split}


def lists_of(text: str, name: str) -> list[tuple[str, ...]]:
    """What each line that begins with a name lists behind it."""
    return [items(pair[1]) for pair in map(_pair, _lines(text)) if pair and pair[0] == name]


def _one_a_line(text: str, named: re.Pattern[str]) -> str:
    """The text with what is named behind a comma on a line of its own."""
    return re.sub(rf"[,;]\s+(?={named.pattern}\s?[:=])", "\n", text, flags=re.IGNORECASE)


def _lines(text: str) -> Iterator[str]:
    """The lines of a text; rows of a table as `name: value, value`, a number there behind the head of its column."""
    head = ""
    for line in text.replace(BOXED, "\n").splitlines():
        if "|" not in line or MARK.search(line.strip(FRAME + ":")):
            head = ""
            yield line
            continue
        first, *values = (cell.strip(FRAME) for cell in line.strip(" |").split("|"))
        head = head or first
        yield f"{head} {first}: {', '.join(values)}" if first.isdecimal() else f"{first}: {', '.join(values)}"


def _pair(line: str) -> tuple[str, str] | None:
    """The name before the first colon or equals sign and what stands behind it, in lower case; None without a name."""
    name, *rest = MARK.split(line, maxsplit=1)
    name = NUMBER.sub("", name.strip(FRAME)).strip(FRAME)
    return (name.casefold(), rest[0].strip(FRAME).casefold()) if rest and NAME.fullmatch(name) else None
