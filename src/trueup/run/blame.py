"""Failures of what is not ours, told as failures of one ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from trueup.core.errors import AskFailed, TrueupError

SHOWN, REASON = 80, 200


@contextmanager
def blamed(who: str, verb: str, text: str) -> Iterator[None]:
    """Whatever breaks inside, but for errors of ours, is a failure of theirs; so is giving up unless we are told to."""
    try:
        yield
    except TrueupError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_stopped():
            raise
        raise broken(who, verb, text, error) from error


def is_stopped() -> bool:
    """Whether this task has been told to stop; else a cancellation in it is somebody else's."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def broken(who: str, verb: str, text: str, error: BaseException, seconds: float | None = None) -> AskFailed:
    """A number made up in its place would falsify the study; `seconds` are what it took, if that is known."""
    why = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    failure = AskFailed(f"{who} could not {verb} {text[:SHOWN]!r}: {why[:REASON]}")
    failure.seconds = seconds
    return failure


def share(value: float) -> float:
    """A grade's or a rating's number; raises ValueError for one that is not between 0 and 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"it gave {value!r}, which is not between 0 and 1")
    return float(value)
