"""Answers as lines of names and values, however they are set out."""

from __future__ import annotations

import re
from collections.abc import Mapping

PAIR = re.compile(r"^[\W_]*([A-Za-z][A-Za-z0-9 ]*?)[\W_]*?\s*[:=]\s*(?:\*\*)?\s*(\S.*?)\s*$")
ITEM = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*")


def pairs(text: str) -> dict[str, str]:
    """The last run of lines like `name: value`, in lower case; a later line of one name goes before an earlier one."""
    blocks: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        match = PAIR.match(line)
        if match is None:
            if blocks[-1]:
                blocks.append({})
        else:
            blocks[-1][match[1].casefold()] = match[2].casefold()
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
    found = re.findall(rf"^[\W_]*{name}[\W_]*?[:=][ \t]*(.*)$", text, re.MULTILINE | re.IGNORECASE)
    return items(found[-1]) if found else None
