"""Small stand-ins of known behaviour, shared by the tests."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Any

from trueup.bench.toy import Whole
from trueup.core.asks import All, resumed
from trueup.core.cost import Prices
from trueup.core.errors import AskFailed
from trueup.core.types import Attempt, Item, Message, Problem, Sampling, Usage

PRICES = Prices("2026-01-01", Decimal("0.05"))


def attempts(*answers: str | None) -> tuple[Attempt, ...]:
    """One attempt per answer; None could not be read."""
    return tuple(Attempt(i, f"<{a}>", "stop", Usage(5, 8), a) for i, a in enumerate(answers))


def problem(name: str = "p", *, checkable: bool = False, schema: str | None = None, seed: int = 0) -> Problem:
    """A problem that says its own name."""
    return Problem(name, "s", (Message("user", name),), Sampling(seed=seed), schema, checkable=checkable)


def item(name: str = "p", reference: Any = "right", *, checkable: bool = False) -> Item:
    """That problem with a reference."""
    return Item(problem(name, checkable=checkable), reference, name)


def finish(flow: Generator[Any, Any, Any], replies: Sequence[Any]) -> tuple[list[Any], Any]:
    """The asks of a flow that is given these replies in turn, and what it returned."""
    asks, flow = [], singly(flow)
    for reply in (None, *replies):
        try:
            asks.append(flow.send(reply))
        except StopIteration as end:
            return asks, end.value
    raise AssertionError(f"the flow wants more replies: {asks[-1]}")


def singly(flow: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The same flow, with the asks that it makes at once one after another, in their order."""

    def replied(ask: Any) -> Generator[Any, Any, Any]:
        if isinstance(ask, All):
            replies: tuple[Any, ...] = ()
            for one in ask.asks:
                replies += ((yield from replied(one)),)
            return replies
        try:
            return (yield ask)
        except AskFailed as failure:
            return failure

    reply = None
    while True:
        try:
            ask = resumed(flow, reply)
        except StopIteration as end:
            return end.value
        reply = yield from replied(ask)


class Ending(Whole):
    """As Whole, but what ends with `right` is right: also a turn that a method had go on."""

    name = "ending"

    def read(self, text: str) -> str | None:
        return "right" if text.endswith("right") else text or None
