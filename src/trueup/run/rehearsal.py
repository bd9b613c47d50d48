"""What a method asks for, found by running it on made-up replies.

A method alone knows whether it checks attempts, and when: some do only where attempts disagree, or cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from trueup.core.asks import Ask, Check, Flow, Rate, Read, Sample
from trueup.core.stratum import Arm
from trueup.core.types import Answer, Attempt, Grade, Problem, Solution, Usage

SCENES: tuple[Callable[[int], str | None], ...] = (str, lambda number: "0", lambda number: None)
"""The answer of the attempt of a number: all differ, all agree, none can be read."""
MOST_ASKS = 1000


def rehearse(arm: Arm, problem: Problem) -> frozenset[type[Ask]]:
    """The kinds of asks that an arm comes to on a problem; what made-up replies bring down has asked till then."""
    kinds: set[type[Ask]] = set()
    for read in SCENES:
        with suppress(Exception):
            _play(arm.start(problem), read, kinds)
    return frozenset(kinds)


def _play(flow: Flow[Answer], read: Callable[[int], str | None], kinds: set[type[Ask]]) -> None:
    ask = next(flow)
    for _ in range(MOST_ASKS):
        kinds.add(type(ask))
        ask = flow.send(_reply(ask, read))


def _reply(ask: Ask, read: Callable[[int], str | None]) -> object:
    if isinstance(ask, Sample):
        numbers = range(ask.start, ask.start + ask.n)
        return tuple(Attempt(number, str(number), "stop", Usage(1, 1), read(number)) for number in numbers)
    if isinstance(ask, Check):
        return (Grade(0.0),) * len(ask.attempts)
    if isinstance(ask, Rate):
        return (0.5,) * len(ask.texts)
    if isinstance(ask, Read):
        return tuple(read(number) for number in range(len(ask.texts)))
    return Solution("undecided")
