"""Keys of the ledger: what is asked alike is keyed alike, and paid once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from hashlib import blake2b

from trueup.core.types import Prompt

KEY_BYTES = 16
GRADERS = "5"
"""Counts how often verifiers have come to grade otherwise: what was graded before is graded again."""


def digest(*parts: str) -> bytes:
    """The key of an ask that these words tell from all others."""
    return blake2b("\0".join(parts).encode(), digest_size=KEY_BYTES).digest()


def attempt_key(base: bytes, index: int) -> bytes:
    """The key of attempt `index` of a sample."""
    return blake2b(index.to_bytes(8, "little"), key=base, digest_size=KEY_BYTES).digest()


def refusal_key(base: bytes, number: int) -> bytes:
    """The key of one of the refusals that stood for all asks of a sample, each in its run."""
    return digest("refused", base.hex(), str(number))


def failure_key(base: bytes, *numbers: int) -> bytes:
    """The key of one failed call for a sample, which these numbers tell from all others."""
    return digest("failed", base.hex(), *(str(int(number)) for number in numbers))


def prompt_text(prompt: Prompt) -> str:
    """A prompt in words of its own."""
    return json.dumps([[message.role, message.content] for message in prompt])


def runs(indices: Sequence[int], most: int | None = None) -> list[tuple[int, int]]:
    """Contiguous runs as (start, length), none longer than `most`."""
    found: list[tuple[int, int]] = []
    for index in indices:
        if found and sum(found[-1]) == index and found[-1][1] != most:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((index, 1))
    return found


class Turn:
    """One flow at a time for what is keyed alike, so that twins pay once."""

    __slots__ = ("_busy", "_key")

    def __init__(self, busy: dict[bytes, asyncio.Event], key: bytes) -> None:
        self._busy, self._key = busy, key

    async def __aenter__(self) -> None:
        while (other := self._busy.get(self._key)) is not None:
            await other.wait()
        self._busy[self._key] = asyncio.Event()

    async def __aexit__(self, *_: object) -> None:
        self._busy.pop(self._key).set()
