"""A cryptogram as it is printed: a text in which each letter stands for another, and who said it."""

from __future__ import annotations

import re
from dataclasses import dataclass

STATED = re.compile(r"decipher the cryptogram:\n(.{0,5000}?)\n— ([^\n]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cryptogram:
    """The enciphered text in capital letters, and its author in clear."""

    text: str
    author: str


def read_cryptogram(text: str) -> Cryptogram | None:
    """The last cryptogram in a text."""
    found = STATED.findall(text)
    return Cryptogram(*found[-1]) if found else None
