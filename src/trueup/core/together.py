"""Many coroutines at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from trueup.core.errors import AskFailed

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each comes to, in order; where one breaks the others are stopped, and its error comes through alone."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def tried(work: Iterable[Coroutine[Any, Any, T]], *, in_turn: bool = False) -> list[T | AskFailed]:
    """What each comes to, in order, of one that failed its AskFailed; if `in_turn`, one after another."""
    tries = (_tried(one) for one in work)
    return [await one for one in tries] if in_turn else await together(tries)


async def _tried(work: Coroutine[Any, Any, T]) -> T | AskFailed:
    try:
        return await work
    except AskFailed as failure:
        return failure
