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
    """What a flow returned, how many attempts it took, and in how many calls.

    `value` is None where all attempts of a call had failed and the flow could not go on without.
    """

    value: T | None
    taken: int
    calls: int


def replay(flow: Flow[T], attempts: Sequence[Attempt | None], problem: Problem) -> Replayed[T]:
    """Run a flow where attempt i at the problem is the i-th of these, None one that failed.

    Raises BadInput where it asks for more of them, for anything else, or for log-probabilities that they lack.
    """
    taken = calls = 0
    try:
        ask = next(flow)
        while True:
            asked = _plain(ask, attempts, problem)
            reach, calls = asked.start + asked.n, calls + 1
            if reach > len(attempts):
                raise BadInput(f"the method asks for {reach} attempts, the pool holds {len(attempts)}; lower its n")
            came = [attempt for attempt in attempts[asked.start : reach] if attempt is not None]
            if not came:
                ask = flow.throw(AskFailed(f"no attempt of {asked.n} came"))
                continue
            reply = _enough(came, asked.until)
            taken = max(taken, asked.start + len(reply))
            ask = flow.send(reply)
    except StopIteration as end:
        return Replayed(end.value, taken, calls)
    except AskFailed:
        return Replayed(None, taken, calls)


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


def _enough(attempts: Sequence[Attempt], until: Until | None) -> tuple[Attempt, ...]:
    """The shortest beginning that suffices; all of them where none does, or nothing was said of it."""
    ends = range(1, len(attempts) + 1) if until else ()
    return next((tuple(attempts[:end]) for end in ends if until and until(attempts[:end])), tuple(attempts))
