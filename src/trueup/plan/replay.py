"""A method on attempts that were recorded before: no model, no ledger, no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from trueup.core.asks import Flow, Sample, Until
from trueup.core.errors import BadInput
from trueup.core.types import Attempt, Prompt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Replayed(Generic[T]):
    """What a flow returned, how many attempts it took, and in how many calls."""

    value: T
    taken: int
    calls: int


def replay(flow: Flow[T], attempts: Sequence[Attempt], prompt: Prompt | None = None) -> Replayed[T]:
    """Run a flow where attempt i at its problem is the i-th of these; `prompt` is the problem's, or its first ask's.

    Raises BadInput where it asks for more of them, or for anything else.
    """
    taken = calls = 0
    try:
        ask = next(flow)
        while True:
            if not isinstance(ask, Sample) or (ask.sampling, ask.kind, ask.model) != (None, "sampled", ""):
                raise BadInput("only methods that ask for nothing but attempts at the problem can be replayed")
            prompt = prompt or ask.prompt
            if ask.prompt != prompt:
                raise BadInput("only methods that ask for nothing but attempts at the problem can be replayed")
            reach, calls = ask.start + ask.n, calls + 1
            if reach > len(attempts):
                raise BadInput(f"the method asks for {reach} attempts, the pool holds {len(attempts)}; lower its n")
            reply = _enough(attempts[ask.start : reach], ask.until)
            taken = max(taken, ask.start + len(reply))
            ask = flow.send(reply)
    except StopIteration as end:
        return Replayed(end.value, taken, calls)


def _enough(attempts: Sequence[Attempt], until: Until | None) -> tuple[Attempt, ...]:
    """The shortest beginning that suffices; all of them where none does, or nothing was said of it."""
    ends = range(1, len(attempts) + 1) if until else ()
    return next((tuple(attempts[:end]) for end in ends if until and until(attempts[:end])), tuple(attempts))
