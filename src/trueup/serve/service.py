"""A policy at work: an order in, an answer and its cost out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from trueup.core.asks import Ask, Check, Flow, Sample, relayed
from trueup.core.cost import Cost
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, begun_turn
from trueup.plan.policy import Policy
from trueup.run import Clerk, Tab, answer
from trueup.serve.desk import Desk, no_check
from trueup.serve.failure import Failure
from trueup.serve.gate import Gate
from trueup.serve.meter import Meter
from trueup.serve.order import Order
from trueup.serve.traffic import Traffic
from trueup.serve.transport import stop


@dataclass(frozen=True, slots=True)
class Served:
    """An answer, what it cost, and what of it can be seen."""

    answer: Answer
    cost: Cost
    samples: int
    visible_tokens: int | None
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Text:
    """An attempt, and the beginning of its turn that it goes on from; both together are the turn."""

    begun: str
    attempt: Attempt

    @property
    def turn(self) -> str:
        """The turn as far as it is written."""
        return self.begun + self.attempt.text


class Service:
    """All that the routes share."""

    def __init__(
        self,
        policy: Policy,
        desks: Mapping[str, Desk],
        clerk: Clerk,
        *,
        lanes: int,
        max_queue: int,
        first_seed: int | None,
        traffic: Traffic | None = None,
    ) -> None:
        """Serve a policy whose desks have been checked, and write down what was answered where it is wanted."""
        self.policy, self.desks, self.clerk = policy, desks, clerk
        self.seeds: Iterator[int] = count(time.time_ns() if first_seed is None else first_seed)
        self.gate, self.traffic = Gate(lanes, max_queue), traffic
        self.meter = Meter()
        self._works: set[asyncio.Task[Served]] = set()
        self._is_ending = False

    def begin(self, order: Order) -> asyncio.Task[Served]:
        """Work on an order.

        Raises Failure where the service is ending.
        """
        if self._is_ending:
            raise shutting_down()
        work = asyncio.create_task(self.fulfil(order))
        self._works.add(work)
        work.add_done_callback(self._works.discard)
        return work

    async def fulfil(self, order: Order) -> Served:
        """Run the desk's method on the order; what it cost is metered, be there an answer or none.

        Raises Failure where too many are waiting, and what the clerk raises.
        """
        async with self.gate.open():
            clerk = self.clerk.fork()
            seen: list[Text] = []
            tab = Tab(order.desk.stratum, order.item)
            flow = watched(order, order.desk.arm.start(order.item.problem), seen)
            try:
                given = await answer(flow, tab, clerk)
            finally:
                self.meter.spend(order.desk.stratum.name, tab.cost)
        is_fresh = clerk.fresh_calls > 0 or not seen
        self.meter.answer(order.desk.stratum.name, is_fresh=is_fresh)
        if self.traffic is not None:
            self.traffic.add(order, given, tab.cost)
        return Served(given, tab.cost, len(seen), visible_tokens(given, seen), is_fresh)

    async def stop(self) -> None:
        """Cancel what is under way, see it booked, and begin nothing more."""
        self._is_ending = True
        await asyncio.gather(*map(stop, tuple(self._works)))

    async def close(self) -> None:
        """Stop, and close the model and the solvers."""
        await self.stop()
        await self.clerk.close()
        for desk in self.desks.values():
            await desk.stratum.close()


def shutting_down() -> Failure:
    """Whoever asked may ask again: what was begun for it is cancelled."""
    told = "the server is shutting down; ask again when it is back"
    return Failure(503, told, code="shutting_down", kind="server_error")


def watched(order: Order, flow: Flow[Answer], seen: list[Text]) -> Flow[Answer]:
    """The same flow, noting the texts that it gets, none longer than the client allows.

    A check that would need the reference is never asked.
    """
    stratum = order.desk.stratum

    def allowed(ask: Ask) -> Ask:
        if isinstance(ask, Check) and stratum.check is None:
            raise BadInput(no_check(stratum, order.desk.arm))
        return _within(ask, order.max_tokens) if isinstance(ask, Sample) else ask

    def note(ask: Ask, reply: Any) -> None:
        if isinstance(ask, Sample):
            seen.extend(Text(begun_turn(ask.prompt), attempt) for attempt in reply)

    return relayed(flow, allowed, note)


def visible_tokens(given: Answer, seen: Sequence[Text]) -> int | None:
    """The tokens of the texts that the answer consists of; 0 where a solver wrote it, None where unknown.

    It is one text, or a turn that was written in several: what each goes on from begins with the one before.
    """
    for text in seen:
        if text.attempt.text == given.text:
            return text.attempt.usage.completion_tokens
    total, rest = 0, _turn_of(given, seen)
    while earlier := [text for text in seen if text.attempt.text and rest.startswith(text.turn)]:
        last = max(earlier, key=lambda text: len(text.turn))
        tokens = last.attempt.usage.completion_tokens
        if tokens is None:
            return None
        total, rest = total + tokens, last.begun
    return total


def _turn_of(given: Answer, seen: Sequence[Text]) -> str:
    """The turn that the answer is, or was before a stop string that two texts made up together cut it; "" for none."""
    cut = given.text + given.finish.partition(":")[2]
    turns = [text.turn for text in seen if text.turn.startswith(given.text)] if given.text else []
    whole = (turn for turn in turns if cut != given.text and (turn.startswith(cut) or cut.startswith(turn)))
    return given.text if given.text in turns else next(whole, "")


def _within(ask: Sample, max_tokens: int | None) -> Sample:
    """The ask with its own limit cut to the client's."""
    own = ask.sampling
    if own is None or max_tokens is None or own.max_tokens <= max_tokens:
        return ask
    return replace(ask, sampling=replace(own, max_tokens=max_tokens))
