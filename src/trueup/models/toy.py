"""A model of known accuracy that costs nothing: for benchmarks, tests and a first look.

Its right answer is the word `right`, so a closed form can be held against what a method makes of it.
"""

from __future__ import annotations

from hashlib import blake2b

from trueup.core.errors import BadInput
from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Attempt, Prompt, Sampling, Usage

TOKENS = 8
CHUNK = 1 << 16


class Toy:
    """Answers `right` with probability p, independently per attempt, else one of many wrong answers."""

    def __init__(self, p: float) -> None:
        """Raises BadInput unless p is a probability."""
        if not 0 <= p <= 1:
            raise BadInput(f"model toy:{p} has no such accuracy; write toy:P with P from 0 to 1")
        self._limit = int(p * CHUNK)
        self.card = ModelCard("toy", f"toy:{p}", "cpu", parameters=1000, layers=1, width=8)

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """Attempt i depends on the prompt's last message, the seed and i alone."""
        base = f"{sampling.seed}\0{prompt[-1].content}".encode()
        return Sampled(tuple(self._attempt(base, start + i, leads=i == 0) for i in range(n)))

    async def close(self) -> None:
        """Nothing to close."""

    def _attempt(self, base: bytes, index: int, *, leads: bool) -> Attempt:
        draw = int.from_bytes(blake2b(index.to_bytes(8, "little"), key=base[-64:], digest_size=4).digest(), "little")
        text = "right" if draw % CHUNK < self._limit else f"wrong-{draw >> 16}"
        return Attempt(index, text, "eos", Usage(TOKENS, TOKENS, 0, leads=leads))
