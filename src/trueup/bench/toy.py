"""A model of known accuracy that costs nothing: what is left is our own overhead."""

from __future__ import annotations

from hashlib import blake2b

from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Attempt, Grade, Item, Json, Message, Problem, Prompt, Sampling, Usage

TOKENS = 8
CHUNK = 1 << 16


class Toy:
    """Answers `right` with probability p, independently per attempt, else one of many wrong answers."""

    def __init__(self, p: float) -> None:
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
        return Attempt(index, text, "stop", Usage(TOKENS, TOKENS, 0, leads=leads))


class Whole:
    """Implements Verifier: the whole text is the answer, `right` is right; needs no reference."""

    name = "whole"
    needs_reference = False

    def read(self, text: str) -> str | None:
        """The text, None if empty."""
        return text or None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for `right`, else 0."""
        return Grade(float(answer == "right"))


def toy_item(number: int) -> Item:
    """A problem that differs from others by its number alone."""
    problem = Problem(str(number), "toy", (Message("user", f"problem {number}"),), checkable=True)
    return Item(problem, "right", str(number))
