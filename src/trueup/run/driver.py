"""Drive flows to their end: one at a time, or many at once with bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from trueup.core.asks import Flow, sample
from trueup.core.errors import AskFailed, Unavailable
from trueup.core.outcome import Outcome, Pool
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Grade, Item, Problem, Usage
from trueup.run.batch import run_batch
from trueup.run.blame import blamed, is_stopped
from trueup.run.clerk import Clerk
from trueup.run.tab import Tab

T = TypeVar("T")
CANCELLED = "a call was cancelled, though not by us; mend the model, method or verifier that cancels its own tasks"


@dataclass(frozen=True, slots=True)
class Job:
    """An arm to run on an item; or, with a number instead of an arm, a pool of that many attempts."""

    stratum: Stratum
    item: Item
    work: Arm | int


@dataclass(frozen=True, slots=True)
class BatchJob:
    """An arm to run on all items of a stratum at once."""

    stratum: Stratum
    arm: Arm


async def answer(flow: Flow[T], tab: Tab, clerk: Clerk) -> T:
    """Run one flow to its end.

    Raises AskFailed where an ask of its could not be answered.
    """
    return await _finish(flow, tab, clerk)


async def run_job(job: Job, clerk: Clerk) -> Outcome | Pool:
    """Run a job and grade what it returns; a failed ask becomes a failure on record."""
    tab = Tab(job.stratum, job.item)
    if isinstance(job.work, int):
        return await _pool(job.item, job.work, tab, clerk)
    return await _outcome(job.work, tab, clerk)


async def run_jobs(jobs: Iterable[Job | BatchJob], clerk: Clerk, *, lanes: int = 64) -> AsyncIterator[Outcome | Pool]:
    """Run jobs on so many lanes, yielding each result as it is there.

    Jobs are taken from the iterable as lanes come free, so memory does not grow with their number. The
    first error that is no AskFailed stops all lanes and is raised here.
    """
    waiting = iter(jobs)
    done: asyncio.Queue[Outcome | Pool | None] = asyncio.Queue(maxsize=2 * lanes)
    crew = [asyncio.create_task(_lane(waiting, clerk, done)) for _ in range(lanes)]
    boss = asyncio.create_task(_close_when_done(crew, done))
    try:
        while (result := await done.get()) is not None:
            yield result
        await boss
    finally:
        for task in (*crew, boss):
            task.cancel()
        await asyncio.gather(*crew, boss, return_exceptions=True)


async def _lane(waiting: Iterator[Job | BatchJob], clerk: Clerk, done: asyncio.Queue[Outcome | Pool | None]) -> None:
    for job in waiting:
        if isinstance(job, BatchJob):
            for outcome in await run_batch(job.arm, job.stratum, clerk):
                await done.put(outcome)
        else:
            await done.put(await run_job(job, clerk))


async def _close_when_done(crew: list[asyncio.Task[None]], done: asyncio.Queue[Outcome | Pool | None]) -> None:
    """Tell the reader of `done` that there is no more, or that a lane failed; say nothing when cancelled."""
    try:
        await asyncio.gather(*crew)
    except asyncio.CancelledError:
        if is_stopped():
            raise
        await done.put(None)
        raise Unavailable(CANCELLED) from None
    except Exception:
        await done.put(None)
        raise
    await done.put(None)


async def _finish(flow: Flow[T], tab: Tab, clerk: Clerk) -> T:
    try:
        ask = next(flow)
        while True:
            try:
                reply = await clerk.answer(ask, tab)
            except AskFailed as failure:
                ask = flow.throw(failure)
            else:
                ask = flow.send(reply)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        flow.close()


def _blamed(arm: Arm, problem: Problem) -> Flow[Answer]:
    """The arm's flow; what breaks in it is a failure of its method on this problem."""
    with blamed(f"method {arm.label!r}", "answer", problem.id):
        answer: object = yield from arm.start(problem)
        if not isinstance(answer, Answer):
            raise TypeError(f"it gave {answer!r}, not an Answer")
        return answer


async def _outcome(arm: Arm, tab: Tab, clerk: Clerk) -> Outcome:
    try:
        answer = await _finish(_blamed(arm, tab.item.problem), tab, clerk)
        attempt = Attempt(0, answer.text, answer.finish, Usage(0, 0), answer.value)
        (grade,) = await clerk.evaluate([attempt], tab)
    except AskFailed as error:
        return Outcome(tab.item, arm.label, None, Grade(0.0, parsed=False), tab.cost, str(error), tab.asked_oracle)
    return Outcome(tab.item, arm.label, answer, grade, tab.cost, None, tab.asked_oracle)


async def _pool(item: Item, n: int, tab: Tab, clerk: Clerk) -> Pool:
    try:
        attempts = await _finish(sample(item.problem.prompt, n), tab, clerk)
        return Pool(item, attempts, await clerk.evaluate(attempts, tab), tab.cost)
    except AskFailed as error:
        return Pool(item, (), (), tab.cost, str(error))
