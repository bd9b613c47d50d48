"""A method on attempts that were recorded before: no model, no ledger, no waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from trueup.core.asks import All, Ask, Flow, Sample, Until, resumed
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
    record = _Record(attempts, problem)
    value: T | None = None
    try:
        ask = next(flow)
        while True:
            ask = resumed(flow, record.reply(ask))
    except StopIteration as end:
        value = end.value
    except AskFailed:
        pass
    return Replayed(value, len(record.taken), record.calls)


@dataclass(slots=True)
class _Record:
    """The attempts of a pool, the places of those that were taken, and the calls that took them."""

    attempts: Sequence[Attempt | None]
    problem: Problem
    taken: set[int] = field(default_factory=set)
    calls: int = 0

    def reply(self, ask: Ask) -> Any:
        """The attempts that an ask is for, AskFailed where all of them had failed."""
        if isinstance(ask, All):
            return tuple(map(self.reply, ask.asks))
        asked = _plain(ask, self.attempts, self.problem)
        reach, self.calls = asked.start + asked.n, self.calls + 1
        if reach > len(self.attempts):
            raise BadInput(f"the method asks for {reach} attempts, the pool holds {len(self.attempts)}; lower its n")
        block = _enough(self.attempts[asked.start : reach], asked.until)
        self.taken.update(place for place, attempt in enumerate(block, asked.start) if attempt is not None)
        return _came(block) or AskFailed(f"no attempt of {asked.n} came")


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
