"""Many flows at once, going on where an ask failed and what is in hand will do.

The driver throws AskFailed into a flow at the ask that failed; what is not caught here is the problem's failure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from trueup.core.asks import Ask, Flow, ask_all, resumed
from trueup.core.errors import AskFailed

T = TypeVar("T")


def each(flows: Iterable[Flow[T]], held: Collection[object] = ()) -> Flow[list[T | None]]:
    """What each flow comes to, None where an ask of its failed; they go in step, and ask together what they ask next.

    Raises AskFailed where all failed and nothing is held.
    """
    begun = list(flows)
    found: list[T | None] = [None] * len(begun)
    failures: dict[int, AskFailed] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(begun)))
    while replies:
        asks: dict[int, Ask] = {}
        for place, reply in replies.items():
            try:
                asks[place] = resumed(begun[place], reply)
            except StopIteration as end:
                found[place] = end.value
            except AskFailed as failure:
                failures[place] = failure
        told = (yield from ask_all(tuple(asks.values()))) if asks else ()
        replies = dict(zip(asks, told, strict=True))
    if failures and not held and all(one is None for one in found):
        raise failures[max(failures)]
    return found


def spared(flow: Flow[T], held: Collection[object]) -> Flow[T | None]:
    """What a flow comes to, None where an ask of its failed and something is held.

    Raises AskFailed where nothing is.
    """
    (found,) = yield from each([flow], held)
    return found
