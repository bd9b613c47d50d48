"""A method on attempts that were recorded before: no model, no ledger, no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from trueup.core.asks import Ask, Flow, Sample, Until
from trueup.core.errors import AskFailed, BadInput
from trueup.core.types import Attempt, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Replayed(Generic[T]):
    """What a flow returned, how many attempts it took, failed ones left out, and in how many calls.

    `value` is None where all attempts of a call had failed and the flow could not go on without.
    """

    value: T | None
    taken: int
    calls: int


def replay(flow: Flow[T], attempts: Sequence[Attempt | None], problem: Problem) -> Replayed[T]:
    """Run a flow where attempt i at the problem is the i-th of these, None one that failed.

    Raises BadInput where it asks for more of them, for anything else, or for log-probabilities that they lack.
    """
    taken: set[int] = set()
    calls = 0
    try:
        ask = next(flow)
        while True:
            asked = _plain(ask, attempts, problem)
            reach, calls = asked.start + asked.n, calls + 1
            if reach > len(attempts):
                raise BadInput(f"the method asks for {reach} attempts, the pool holds {len(attempts)}; lower its n")
            block = _enough(attempts[asked.start : reach], asked.until)
            taken.update(place for place, attempt in enumerate(block, asked.start) if attempt is not None)
            reply = _came(block)
            ask = flow.send(reply) if reply else flow.throw(AskFailed(f"no attempt of {asked.n} came"))
    except StopIteration as end:
        return Replayed(end.value, len(taken), calls)
    except AskFailed:
        return Replayed(None, len(taken), calls)


def _plain(ask: Ask, attempts: Sequence[Attempt | None], problem: Problem) -> Sample:
    """The ask, if it is for attempts at the problem as they were sampled."""
    own, telling = problem.sampling, replace(problem.sampling, logprobs=True)
    if not (
        isinstance(ask, Sample)
        and ask.sampling in (None, own, telling)
        and (ask.prompt, ask.kind, ask.model) == (problem.prompt, "sampled", "")
    ):
        raise BadInput("only methods that ask for nothing but attempts at the problem can be replayed")
    if ask.sampling not in (None, own) and any(a.logprob is None for a in attempts if a is not None):
        raise BadInput(
            f"the method asks for log-probabilities, and the attempts at {problem.id!r} were sampled without; "
            "run `trueup sample` again with the method among its --methods"
        )
    return ask


def _enough(attempts: Sequence[Attempt | None], until: Until | None) -> Sequence[Attempt | None]:
    """The shortest beginning that suffices; all of them where none does, or nothing was said of it."""
    ends = [end for end, last in enumerate(attempts, 1) if last is not None] if until else ()
    return next((attempts[:end] for end in ends if until and until(_came(attempts[:end]))), attempts)


def _came(attempts: Sequence[Attempt | None]) -> tuple[Attempt, ...]:
    return tuple(attempt for attempt in attempts if attempt is not None)
