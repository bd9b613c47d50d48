"""Going on where an ask failed and what is in hand will do.

The driver throws AskFailed into a flow at the ask that failed; what is not caught here is the problem's failure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

from trueup.core.asks import Flow
from trueup.core.errors import AskFailed

T = TypeVar("T")


def each(flows: Iterable[Flow[T]], held: Collection[object] = ()) -> Flow[list[T | None]]:
    """What each flow comes to, None where an ask of its failed.

    Raises AskFailed where all failed and nothing is held.
    """
    found: list[T | None] = []
    failure = None
    for flow in flows:
        try:
            found.append((yield from flow))
        except AskFailed as error:
            found.append(None)
            failure = error
    if failure and not held and all(one is None for one in found):
        raise failure
    return found


def spared(flow: Flow[T], held: Collection[object]) -> Flow[T | None]:
    """What a flow comes to, None where an ask of its failed and something is held.

    Raises AskFailed where nothing is.
    """
    (found,) = yield from each([flow], held)
    return found
