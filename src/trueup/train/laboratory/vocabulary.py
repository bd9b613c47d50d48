"""The characters of the laboratory, a token each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput

Tokens = NDArray[np.int64]
Flags = NDArray[np.bool_]

CHARACTERS = "_$0123456789abcdefghijklmnopqrstuvwxyz+-*=;#:?!."
"""Padding, the end of a turn, digits up to base 36, and marks."""
SIZE = len(CHARACTERS)
PAD, END, DIGIT_0 = 0, 1, 2
_TABLE = {character: token for token, character in enumerate(CHARACTERS)}


def token(character: str) -> int:
    """The token of a character."""
    return _TABLE[character]


STEP, ANSWER = token(";"), token("#")
"""What ends a worked step, and what stands before an answer."""


def token_count(tokens_BT: Tokens) -> int:
    """How many tokens stand in rows: all but padding."""
    return int((tokens_BT != PAD).sum())


def encode(text: str) -> list[int]:
    """The tokens of a text.

    Raises BadInput for a character that the laboratory has none of.
    """
    strange = sorted(set(text) - _TABLE.keys())
    if strange:
        raise BadInput(f"the laboratory has no character {strange[0]!r}; it has {CHARACTERS[1:]}")
    return [_TABLE[character] for character in text]


def encode_rows(texts: Sequence[str]) -> Tokens:
    """Texts as rows, padded on the right to the longest."""
    rows = [encode(text) for text in texts]
    out = np.full((len(rows), max(map(len, rows), default=0)), PAD, np.int64)
    for row, tokens in zip(out, rows, strict=True):
        row[: len(tokens)] = tokens
    return out


def decode(tokens: Sequence[int] | Tokens) -> str:
    """The text of tokens, up to the first end or padding."""
    text = "".join(CHARACTERS[int(t)] for t in tokens)
    return text.split("$")[0].split("_")[0]
