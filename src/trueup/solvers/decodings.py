"""The likeliest answers to a cryptogram or a drop quote, by a beam search over a lexicon.

Runs in the child process only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueup.core.puzzles.cryptogram import read_cryptogram
from trueup.core.puzzles.decoding import Decoding, written
from trueup.core.puzzles.drop import read_drop
from trueup.core.types import Json
from trueup.solvers.cryptogram import cryptogram_keys
from trueup.solvers.drop_quote import drop_grids


def decode_puzzle(text: str, k: int) -> dict[str, Any] | None:
    """Up to k answers in one text; None for one answer alone, or where the text states no such puzzle."""
    if k < 2:
        return None
    drop = read_drop(text)
    if drop is not None:
        return _reply("Answer", drop_grids(drop, k))
    cryptogram = read_cryptogram(text)
    return None if cryptogram is None else _reply("Mapping", cryptogram_keys(cryptogram, k))


def _reply(tag: str, found: Sequence[tuple[float, Json]]) -> dict[str, Any]:
    distinct: list[Decoding] = []
    for worth, answer in found:
        if all(answer != one.answer for one in distinct):
            distinct.append(Decoding(worth, tag, answer))
    return {"status": "solved" if distinct else "undecided", "text": written(distinct)}
