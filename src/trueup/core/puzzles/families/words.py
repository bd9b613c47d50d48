"""Answers as lines of names and values, however they are set out."""

from __future__ import annotations

import re
from collections.abc import Mapping

MARK = re.compile(r"[:=]")
NUMBER = re.compile(r"^[0-9]{1,3}[.)]")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9 ]*")
ITEM = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*")
FRAME = " \t\r*_`#>|.-\u2022"
"""What may stand round a name or a value."""


def pairs(text: str) -> dict[str, str]:
    """The last run of lines like `name: value`, in lower case; a later line of one name goes before an earlier one."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        pair = _pair(line)
        if pair is not None:
            blocks[-1][pair[0]] = pair[1]
        elif blocks[-1]:
            blocks.append({})
    return next((block for block in reversed(blocks) if block), {})


def items(text: str) -> tuple[str, ...]:
    """What stands between commas, in lower case and without frames."""
    found = (ITEM.search(part) for part in text.casefold().split(","))
    return tuple(match[0] for match in found if match)


def table(text: str) -> str | None:
    """Lines like `name: value, value` in a canonical form, the names in order; None where there is none."""
    rows = {name: items(value) for name, value in pairs(text).items()}
    return "\n".join(f"{name}: {', '.join(rows[name])}" for name in sorted(rows)) or None


def rows_of(answer: str) -> Mapping[str, tuple[str, ...]]:
    """A canonical table, read back."""
    split = (line.partition(": ") for line in answer.splitlines())
    return {name: tuple(value.split(", ")) if value else () for name, _, value in split}


def line_of(text: str, name: str) -> tuple[str, ...] | None:
    """What the last line that begins with a name lists behind it; None where there is no such line."""
    found = [pair[1] for pair in map(_pair, text.splitlines()) if pair and pair[0] == name]
    return items(found[-1]) if found else None


def _pair(line: str) -> tuple[str, str] | None:
    """The name before the first colon or equals sign and what stands behind it, in lower case; None without a name."""
    name, *rest = MARK.split(line, maxsplit=1)
    name = NUMBER.sub("", name.strip(FRAME)).strip(FRAME)
    return (name.casefold(), rest[0].strip(FRAME).casefold()) if rest and NAME.fullmatch(name) else None
