"""A limit of time on code that is not ours."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Around = AbstractContextManager[Any]
REPEAT_SECONDS = 1.0
"""Code that catches the alarm is told again so often; in between it may close what it has open."""
LEAST_SECONDS = 1e-3
LIMITING = (__file__, contextlib.__file__)
"""Where a limit begins and ends; an alarm that finds it there waits for the next one, if there is any."""


class _Alarm(BaseException):
    """What the limited code is stopped by: no error of its own, so that `except Exception` does not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError at the end of the block when it takes longer; what runs in it is stopped.

    By the alarm signal, so in the main thread of a process only, where studies, trainings and `trueup serve` run their
    verifiers; in any other thread there is no limit, and code that hangs hangs its thread. A limit within a limit
    ends when the outer one does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal is_over
        if frame is None or frame.f_code.co_filename not in LIMITING:
            is_over = True
            raise _Alarm

    began, (left, repeat) = time.monotonic(), signal.getitimer(signal.ITIMER_REAL)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, left or seconds), REPEAT_SECONDS)
    try:
        yield
    except (Exception, _Alarm):
        if not is_over:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(LEAST_SECONDS, left - (time.monotonic() - began)), repeat)
    if is_over:
        raise TimeoutError(f"took longer than {seconds:g} s")


async def within(seconds: float, work: Coroutine[Any, Any, T], around: Around | None = None) -> T:
    """What a coroutine returns; TimeoutError where it takes longer, whether it waits or keeps the loop to itself.

    The latter is noticed in the main thread only (`time_limit`). A thread that it started and waited for is left alone.
    `around` is entered for each step that it takes on the loop, and left while it waits.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await _Steps(seconds, work, around or nullcontext())
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"took longer than {seconds:g} s") from None


@dataclass(frozen=True, slots=True)
class _Steps(Generic[T]):
    """A coroutine step by step: the alarm is set only while it runs itself, never while others do."""

    seconds: float
    work: Coroutine[Any, Any, T]
    around: Around

    def __await__(self) -> Generator[Any, Any, T]:
        resume: Callable[[Any], Any] = self.work.send
        word: Any = None
        while True:
            try:
                with self.around, time_limit(self.seconds):
                    waited_for = resume(word)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                resume, word = self.work.send, (yield waited_for)
            except BaseException as error:
                resume, word = self.work.throw, error
