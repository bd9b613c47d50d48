"""Run a method that spends one budget on all items of a stratum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trueup.core.asks import Ask, BatchFlow
from trueup.core.errors import AskFailed
from trueup.core.outcome import Outcome
from trueup.core.stratum import Arm, Stratum
from trueup.core.together import together
from trueup.core.types import Answer, Attempt, Grade, Usage
from trueup.run.clerk import Clerk
from trueup.run.tab import Tab


async def run_batch(arm: Arm, stratum: Stratum, clerk: Clerk) -> list[Outcome]:
    """An outcome per item, in the stratum's order; one of whose asks nothing came has no answer, the others go on."""
    tabs = [Tab(stratum, item) for item in stratum.items]
    failures: dict[int, str] = {}
    answers = await _finish(arm.start([tab.item.problem for tab in tabs]), tabs, failures, clerk)
    return [
        await _outcome(arm, tab, answer, None if answer.value is not None else failures.get(place), clerk)
        for place, (tab, answer) in enumerate(zip(tabs, answers, strict=True))
    ]


async def _finish(flow: BatchFlow, tabs: Sequence[Tab], failures: dict[int, str], clerk: Clerk) -> list[Answer]:
    try:
        asks = next(flow)
        while True:
            asks = flow.send(await _replies(asks, tabs, failures, clerk))
    except StopIteration as end:
        answers: list[Answer] = end.value
        return answers
    finally:
        flow.close()


async def _replies(
    asks: Sequence[tuple[int, Ask]], tabs: Sequence[Tab], failures: dict[int, str], clerk: Clerk
) -> tuple[Any, ...]:
    """The replies in the order of their asks; where one cannot go on, the others are stopped first."""
    return tuple(await together(_reply(ask, place, tabs[place], failures, clerk) for place, ask in asks))


async def _reply(ask: Ask, place: int, tab: Tab, failures: dict[int, str], clerk: Clerk) -> Any:
    try:
        return await clerk.answer(ask, tab)
    except AskFailed as error:
        failures[place] = str(error)
        return ()


async def _outcome(arm: Arm, tab: Tab, answer: Answer, failure: str | None, clerk: Clerk) -> Outcome:
    if failure is not None:
        return Outcome(tab.item, arm.label, None, Grade(0.0, parsed=False), tab.cost, failure, tab.asked_oracle)
    attempt = Attempt(0, answer.text, answer.finish, Usage(0, 0), answer.value)
    try:
        (grade,) = await clerk.evaluate([attempt], tab)
    except AskFailed as error:
        return await _outcome(arm, tab, answer, str(error), clerk)
    return Outcome(tab.item, arm.label, answer, grade, tab.cost, None, tab.asked_oracle)
