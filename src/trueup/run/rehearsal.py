"""What a method asks for, found by running it on made-up replies.

A method alone knows whether it checks attempts, and when: some do only where attempts disagree, or cannot be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from trueup.core.asks import All, Ask, Check, Flow, Rate, Read, Sample
from trueup.core.errors import TrueupError
from trueup.core.stratum import Arm
from trueup.core.types import Answer, Attempt, Grade, Problem, Solution, Usage

SCENES: tuple[Callable[[int], str | None], ...] = (str, lambda number: "0", lambda number: None)
"""The answer of the attempt of a number: all differ, all agree, none can be read; what cannot be is rated worst."""
MOST_ASKS = 1000


def rehearse(arm: Arm, problem: Problem) -> frozenset[type[Ask]]:
    """The kinds of asks that an arm comes to on a problem; what made-up replies bring down has asked till then.

    An arm that chooses among others comes to what any of them does; one for a batch is only begun. Raises what an arm
    raises at its first step: BadInput for a setting that it does not take, or a file that cannot be read.
    """
    if arm.is_batch:
        with _told():
            next(arm.start([problem]), None)
        return frozenset()
    return frozenset(type(ask) for one in (arm, *arm.among) for asks in _scenes(one, problem) for ask in asks)


def draws_again(arm: Arm, problem: Problem) -> bool:
    """Whether an arm draws a prompt more than once, so that it needs a temperature, or its attempts are copies.

    One that asks nothing about a made-up problem may. Raises as `rehearse` does.
    """
    scenes = list(_scenes(arm, problem))
    return not any(scenes) or any(_has_repeats(asks, problem) for asks in scenes)


def _has_repeats(asks: list[Ask], problem: Problem) -> bool:
    numbers: dict[object, set[int]] = defaultdict(set)
    for ask in asks:
        if isinstance(ask, Sample):
            sampling = ask.sampling or problem.sampling
            if sampling.temperature > 0:
                numbers[ask.prompt, sampling, ask.model].update(range(ask.start, ask.start + ask.n))
    return any(len(drawn) > 1 for drawn in numbers.values())


def _scenes(arm: Arm, problem: Problem) -> Iterator[list[Ask]]:
    """What an arm asks, scene by scene."""
    for read in SCENES:
        asks: list[Ask] = []
        with _told():
            flow = arm.start(problem)
            first = next(flow, None)
            if first is not None:
                with suppress(Exception):
                    _play(flow, first, read, asks)
        yield asks


@contextmanager
def _told() -> Iterator[None]:
    """Let out what a person can mend; a method that breaks otherwise will fail item by item, on record."""
    try:
        yield
    except TrueupError:
        raise
    except Exception:
        return


def _play(flow: Flow[Answer], ask: Ask, read: Callable[[int], str | None], asks: list[Ask]) -> None:
    for _ in range(MOST_ASKS):
        ask = flow.send(_reply(ask, read, asks))


def _reply(ask: Ask, read: Callable[[int], str | None], asks: list[Ask]) -> object:
    if isinstance(ask, All):
        return tuple(_reply(one, read, asks) for one in ask.asks)
    asks.append(ask)
    if isinstance(ask, Sample):
        numbers = range(ask.start, ask.start + ask.n)
        return tuple(Attempt(number, str(number), "stop", Usage(1, 1), read(number)) for number in numbers)
    if isinstance(ask, Check):
        return (Grade(0.0),) * len(ask.attempts)
    if isinstance(ask, Rate):
        return (0.0 if read(0) is None else 0.5,) * len(ask.texts)
    if isinstance(ask, Read):
        return tuple(read(number) for number in range(len(ask.texts)))
    return Solution("undecided")
