"""A limit of time on code that is not ours."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block when it takes longer.

    By the alarm signal, so in the main thread of a process only, where studies, trainings and `trueup serve` run their
    verifiers; in any other thread there is no limit, and code that hangs hangs its thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns; TimeoutError where it takes longer, whether it waits or keeps the loop to itself.

    The latter is noticed in the main thread only (`time_limit`). A thread that it started and waited for is left alone.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _Steps(seconds, work)
    except TimeoutError as error:
        raise error if error.args else TimeoutError(f"took longer than {seconds:g} s") from None


@dataclass(frozen=True, slots=True)
class _Steps(Generic[T]):
    """A coroutine step by step: the alarm is set only while it runs itself, never while others do."""

    seconds: float
    work: Coroutine[Any, Any, T]

    def __await__(self) -> Generator[Any, Any, T]:
        resume: Callable[[Any], Any] = self.work.send
        word: Any = None
        while True:
            try:
                with time_limit(self.seconds):
                    waited_for = resume(word)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                resume, word = self.work.send, (yield waited_for)
            except BaseException as error:
                resume, word = self.work.throw, error
