"""Failures of what is not ours, told as failures of one ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trueup.core.errors import AskFailed, TrueupError

SHOWN, REASON = 80, 200


@contextmanager
def blamed(who: str, verb: str, text: str) -> Iterator[None]:
    """Whatever breaks inside, but for errors of ours, is a failure of theirs."""
    try:
        yield
    except TrueupError:
        raise
    except Exception as error:
        raise broken(who, verb, text, error) from error


def broken(who: str, verb: str, text: str, error: Exception) -> AskFailed:
    """A number made up in its place would falsify the study."""
    why = " ".join(f"{type(error).__name__}: {error}".split())
    return AskFailed(f"{who} could not {verb} {text[:SHOWN]!r}: {why[:REASON]}")


def share(value: float) -> float:
    """A grade's or a rating's number; raises ValueError for one that is not between 0 and 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"it gave {value!r}, which is not between 0 and 1")
    return float(value)
