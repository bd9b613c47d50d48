"""Blocking work in one thread, and asks that wait for it together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from trueup.core.roles import Sampled
from trueup.core.types import Prompt, Sampling
from trueup.models.huggingface.decode import Reply
from trueup.models.huggingface.draft import Ask

T = TypeVar("T")


class Worker:
    """Answers asks in one thread, those that have waited longest up to `at_once` together."""

    def __init__(self, answer: Callable[[Sequence[Ask]], Sequence[Reply]], at_once: int = 1) -> None:
        """`answer` blocks, and replies to each ask that it is given."""
        self._answer, self._at_once = answer, at_once
        self._waiting: deque[tuple[Ask, Future[Sampled]]] = deque()
        self._thread: ThreadPoolExecutor | None = None

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """What an ask comes to; raises its error.

        A cancellation waits for an ask whose turn has come, and for those that are answered with it; it carries what
        had come by then, of an ask whose turn had not come a Sampled of nothing.
        """
        left, job = threading.Event(), Future[Sampled]()
        self._waiting.append((Ask(prompt, n, start, sampling, left.is_set), job))
        self._submit(self._serve)
        try:
            reply: Sampled = await asyncio.wrap_future(job)
            return reply
        except asyncio.CancelledError:
            left.set()
            told: Sampled = Sampled(()) if job.cancel() else await _outcome(job)
            raise asyncio.CancelledError(told) from None

    async def run(self, work: Callable[[], T]) -> T:
        """What a piece of work returns, in the same thread; a cancellation waits for work that has begun."""
        job = self._submit(work)
        try:
            result: T = await asyncio.wrap_future(job)
            return result
        except asyncio.CancelledError:
            if not job.cancel():
                await _outcome(job)
            raise

    def close(self) -> None:
        """Let the thread go; the next work starts another."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False)

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        self._thread = self._thread or ThreadPoolExecutor(max_workers=1)
        return self._thread.submit(work)

    def _serve(self) -> None:
        """Answer asks that wait; none where those before took them along, or who asked has left."""
        taken: list[tuple[Ask, Future[Sampled]]] = []
        while len(taken) < self._at_once:
            try:
                ask, job = self._waiting.popleft()
            except IndexError:
                break
            if job.set_running_or_notify_cancel():
                taken.append((ask, job))
        if not taken:
            return
        try:
            replies = self._answer([ask for ask, _ in taken])
        except BaseException as error:
            for _, job in taken:
                job.set_exception(error)
            return
        for (_, job), reply in zip(taken, replies, strict=True):
            if isinstance(reply, Exception):
                job.set_exception(reply)
            else:
                job.set_result(reply)


async def _outcome(job: Future[T]) -> T:
    """What work that cannot be stopped comes to, however often its caller is told to leave."""
    while not job.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([asyncio.wrap_future(job)])
    return job.result()
