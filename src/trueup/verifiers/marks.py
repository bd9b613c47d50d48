"""Where a text says that its final answer stands."""

from __future__ import annotations

import re

BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
HASHES = re.compile(r"#{4,}[ \t]*([^\n]*)")
BELOW = re.compile(r"(?:[^\w\n#]*\n)+[ \t]*(?:[-*+][ \t]+)?([^\n]*\w[^\n]*)")
"""The next line with a word or a number in it, without the dash of a list."""
BEFORE_TITLE = re.compile(r"^[^\w\\$]+(?=\w)")
ANSWER_BELOW = re.compile(r"(?:(?:the )?(?:final )?answer:?)?", re.IGNORECASE)
WORDED = re.compile(r"(?:[0-9]+[.)]\s+)?[^\W\d_]{2}")
KNOWN = re.compile(r"step [0-9]|(?:solution|conclusion|explanation|reasoning|verification|summary)$", re.IGNORECASE)
NESTED_AT_MOST = 3
TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
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


def hashed(text: str, *, words: bool = False) -> re.Match[str] | None:
    """The last #### whose line, group 1, is no heading; below one such as "Final Answer", its next line.

    A heading has text below and is empty, ends in a colon or starts with a word. Where the answer may be `words`, only
    known titles are headings.
    """
    last = next((place for place in reversed(range(len(text))) if text[place].isalnum()), 0)
    for line in reversed(list(HASHES.finditer(text))):
        below = BELOW.match(text, line.end()) if ANSWER_BELOW.fullmatch(_title(line)) else None
        answer = below or line
        if last < answer.end() or not _is_heading(_title(answer), words):
            return answer
    return None


def singled_out(text: str) -> str | None:
    """What is boxed, else behind ####, be it words; None where neither is."""
    box, line = boxed(text), hashed(text, words=True)
    return box if box is not None or line is None else line[1]


def fenced(text: str) -> str | None:
    """The content of the last closed code fence, None where there is none."""
    found: list[str] = FENCE.findall(text)
    return found[-1] if found else None


def untexted(text: str) -> str:
    r"""The text with \text{...} and its like unwrapped."""
    for _ in range(NESTED_AT_MOST):
        text = TEXT.sub(r"\1", text)
    return text


def _title(line: re.Match[str]) -> str:
    return BEFORE_TITLE.sub("", line[1]).rstrip(" \t\r*_#")


def _is_heading(title: str, words: bool) -> bool:
    return not title or title.endswith(":") or (KNOWN if words else WORDED).match(title) is not None
