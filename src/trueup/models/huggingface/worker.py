"""Blocking work in one thread, and asks that wait for it together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

        A cancellation waits for an ask whose turn has come, and carries what had come by then; of another it carries a
        Sampled of nothing.
        """
        left, job = threading.Event(), Future[Sampled]()
        self._waiting.append((Ask(prompt, n, start, sampling, left.is_set), job))
        self._submit(self._serve)
        try:
            reply: Sampled = await asyncio.wrap_future(job)
            return reply
        except asyncio.CancelledError:
            left.set()
            if job.cancel():
                raise asyncio.CancelledError(Sampled(())) from None
            told: Sampled = await asyncio.wrap_future(job)
            raise asyncio.CancelledError(told) from None

    async def run(self, work: Callable[[], T]) -> T:
        """What a piece of work returns; its turn is behind the asks that wait."""
        return await asyncio.wrap_future(self._submit(work))

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
        while self._waiting and len(taken) < self._at_once:
            ask, job = self._waiting.popleft()
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
            if isinstance(reply, Sampled):
                job.set_result(reply)
            else:
                job.set_exception(reply)
