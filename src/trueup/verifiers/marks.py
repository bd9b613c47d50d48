"""Where a text says that its final answer stands."""

from __future__ import annotations

import re

BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
HASHES = re.compile(r"####[ \t]*([^\n]*)")
FENCE = re.compile(r"```[\w-]*\n(.*?)```", re.DOTALL)


def spoken(text: str) -> str | None:
    """What is said after the thinking; None where the thinking was cut before its end."""
    _, end, after = text.rpartition("</think>")
    if end:
        return after
    return None if "<think>" in text else text


def boxed(text: str) -> str | None:
    r"""The content of the last \boxed{...} whose braces close, None where there is none."""
    for start in reversed([match.end() for match in BOX.finditer(text)]):
        depth = 1
        for place in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                return text[start:place]
    return None


def hashed(text: str) -> str | None:
    """The rest of the line after the last ####, None where there is none."""
    found = HASHES.findall(text)
    return found[-1].strip() if found else None


def fenced(text: str) -> str | None:
    """The content of the last closed code fence, None where there is none."""
    found: list[str] = FENCE.findall(text)
    return found[-1] if found else None
