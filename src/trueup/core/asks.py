"""What a method may ask for, and the flow that asks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from trueup.core.errors import AskFailed
from trueup.core.types import Answer, Attempt, Grade, Problem, Prompt, Sampling, Solution

T = TypeVar("T")
Until = Callable[[Sequence[Attempt]], bool]
"""Whether attempts suffice; asked of every beginning of a sample, in the order of its numbers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """n attempts at a prompt, numbered from `start`; the same number is always the same attempt.

    `sampling` None means the problem's own settings. A prompt whose last message is the assistant's is continued:
    the attempt's text goes on from there, and its answer is read out of the whole turn, or without `reads_turn` out of
    what was added alone. `kind` is the ledger's word
    for it: `sampled`, or `judge` for a text about an attempt, out of which no answer is read. `model` names one of the
    further models that the user gave, `` the study's own.

    With `until` the attempts are asked for side by side, and the first beginning of them that satisfies it is the
    reply: what is still on its way then is cancelled. It depends on the attempts alone, not on their order of arrival.
    """

    prompt: Prompt
    n: int = 1
    start: int = 0
    sampling: Sampling | None = None
    kind: str = "sampled"
    model: str = ""
    until: Until | None = None
    reads_turn: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """Grades for attempts at a problem."""

    problem: Problem
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """The stratum's reward model on texts that answer a problem, whole or as far as they go."""

    problem: Problem
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """The answers in whole texts that no attempt holds as they are, by the stratum's verifier; it costs nothing."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Solve:
    """The stratum's solver, on this problem."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class All:
    """Asks that do not wait for each other; the reply is theirs in this order, of one that failed its AskFailed."""

    asks: tuple[Ask, ...]


Ask = Sample | Check | Rate | Read | Solve | All
Flow = Generator[Ask, Any, T]
BatchFlow = Generator[tuple[tuple[int, Ask], ...], tuple[Any, ...], list[Answer]]
"""Asks about many problems at once, each with its problem's place; an ask that failed is answered by ()."""


def sample(
    prompt: Prompt,
    n: int = 1,
    *,
    start: int = 0,
    sampling: Sampling | None = None,
    model: str = "",
    until: Until | None = None,
    reads_turn: bool = True,
) -> Flow[tuple[Attempt, ...]]:
    """Ask for n attempts; fewer come back where some failed or `until` was satisfied, never none."""
    attempts: tuple[Attempt, ...] = yield Sample(
        prompt, n, start, sampling, model=model, until=until, reads_turn=reads_turn
    )
    return attempts


def check(problem: Problem, attempts: Sequence[Attempt]) -> Flow[tuple[Grade, ...]]:
    """Ask for a grade per attempt, in order."""
    grades: tuple[Grade, ...] = yield Check(problem, tuple(attempts))
    return grades


def judge(
    prompt: Prompt, n: int = 1, *, start: int = 0, sampling: Sampling | None = None, model: str = ""
) -> Flow[tuple[Attempt, ...]]:
    """Ask for n texts about attempts; as `sample`, but charged as a judge's, and no answer is read out of them."""
    attempts: tuple[Attempt, ...] = yield Sample(prompt, n, start, sampling, "judge", model)
    return attempts


def rate(problem: Problem, texts: Sequence[str]) -> Flow[tuple[float, ...]]:
    """Ask for a rating in [0, 1] per text, in order."""
    ratings: tuple[float, ...] = yield Rate(problem, tuple(texts))
    return ratings


def read(texts: Sequence[str]) -> Flow[tuple[str | None, ...]]:
    """Ask for the answer in each text, in order; None where there is none."""
    answers: tuple[str | None, ...] = yield Read(tuple(texts))
    return answers


def solve(problem: Problem) -> Flow[Solution]:
    """Ask the stratum's solver."""
    solution: Solution = yield Solve(problem)
    return solution


def ask_all(asks: Sequence[Ask]) -> Flow[tuple[Any, ...]]:
    """Ask all of these at once; a single one goes out as itself. The reply of one that failed is its AskFailed."""
    if len(asks) != 1:
        replies: tuple[Any, ...] = yield All(tuple(asks))
        return replies
    try:
        reply = yield asks[0]
    except AskFailed as failure:
        return (failure,)
    return (reply,)


def resumed(flow: Generator[Any, Any, Any], reply: Any) -> Any:
    """What a flow asks behind a reply, or a failure in its place; None begins it."""
    return flow.throw(reply) if isinstance(reply, AskFailed) else flow.send(reply)


def relayed(
    flow: Flow[T], change: Callable[[Ask], Ask] = lambda ask: ask, heard: Callable[[Ask, Any], None] = lambda *_: None
) -> Flow[T]:
    """A flow whose asks are passed on as `change` makes them; `heard` is told of each with its reply.

    An ask that fails is thrown into the flow. Of asks that go out at once either sees every one by itself.
    """
    try:
        ask = next(flow)
        while True:
            asked = _changed(ask, change)
            try:
                reply = yield asked
            except AskFailed as failure:
                ask = flow.throw(failure)
            else:
                _hear(asked, reply, heard)
                ask = flow.send(reply)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        flow.close()


def _changed(ask: Ask, change: Callable[[Ask], Ask]) -> Ask:
    return All(tuple(_changed(one, change) for one in ask.asks)) if isinstance(ask, All) else change(ask)


def _hear(ask: Ask, reply: Any, heard: Callable[[Ask, Any], None]) -> None:
    if not isinstance(ask, All):
        heard(ask, reply)
        return
    for one, its in zip(ask.asks, reply, strict=True):
        if not isinstance(its, AskFailed):
            _hear(one, its, heard)
