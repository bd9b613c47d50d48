"""A method whose samples another model answers.

What a method asks of the study's own model is asked of the named one; what it asks of others by name stays.
Cost: the method's own.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Flow, Sample
from trueup.core.errors import AskFailed
from trueup.core.types import Answer


def elsewhere(flow: Flow[Answer], model: str) -> Flow[Answer]:
    """The flow, with its samples asked of this model."""
    try:
        ask = next(flow)
        while True:
            is_own = isinstance(ask, Sample) and not ask.model
            try:
                reply = yield replace(ask, model=model) if is_own else ask  # type: ignore[arg-type]
            except AskFailed as failure:
                ask = flow.throw(failure)
            else:
                ask = flow.send(reply)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    finally:
        flow.close()
