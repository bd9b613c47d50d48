"""A policy at work: an order in, an answer and its cost out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from trueup.core.asks import Check, Flow, Sample
from trueup.core.cost import Cost
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt
from trueup.plan.policy import Policy
from trueup.run import Clerk, Tab, answer
from trueup.serve.desk import Desk, no_check
from trueup.serve.gate import Gate
from trueup.serve.meter import Meter
from trueup.serve.order import Order


@dataclass(frozen=True, slots=True)
class Served:
    """An answer, what it cost, and what of it can be seen."""

    answer: Answer
    cost: Cost
    samples: int
    visible_tokens: int | None
    is_fresh: bool


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
    ) -> None:
        """Serve a policy whose desks have been checked."""
        self.policy, self.desks, self.clerk = policy, desks, clerk
        self.seeds: Iterator[int] = count(time.time_ns() if first_seed is None else first_seed)
        self.gate = Gate(lanes, max_queue)
        self.meter = Meter()

    async def fulfil(self, order: Order) -> Served:
        """Run the desk's method on the order.

        Raises Failure where too many are waiting, and what the clerk raises.
        """
        async with self.gate.open():
            clerk = self.clerk.fork()
            seen: list[Attempt] = []
            tab = Tab(order.desk.stratum, order.item)
            flow = watched(order.desk, order.desk.arm.start(order.item.problem), seen)
            given = await answer(flow, tab, clerk)
        is_fresh = clerk.fresh_calls > 0 or not seen
        self.meter.answer(order.desk.stratum.name, tab.cost, is_fresh=is_fresh)
        return Served(given, tab.cost, len(seen), visible_tokens(given, seen), is_fresh)

    async def close(self) -> None:
        """Close the model and the solvers."""
        await self.clerk.close()
        for desk in self.desks.values():
            await desk.stratum.close()


def watched(desk: Desk, flow: Flow[Answer], seen: list[Attempt]) -> Flow[Answer]:
    """The same flow, noting the attempts that it gets; a check that would need the reference is never asked."""
    try:
        ask = next(flow)
        while True:
            if isinstance(ask, Check) and desk.stratum.check is None:
                raise BadInput(no_check(desk))
            reply = yield ask
            if isinstance(ask, Sample):
                seen.extend(reply)
            ask = flow.send(reply)
    except StopIteration as end:
        given: Answer = end.value
        return given
    finally:
        flow.close()


def visible_tokens(given: Answer, seen: list[Attempt]) -> int | None:
    """The tokens of the attempt that became the answer; 0 where a solver wrote it, None where unknown."""
    for attempt in seen:
        if attempt.text == given.text:
            return attempt.usage.completion_tokens
    return 0
