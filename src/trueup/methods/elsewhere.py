"""A method whose samples another model answers.

What a method asks of the study's own model is asked of the named one; what it asks of others by name stays.
Cost: the method's own.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Ask, Flow, Sample, relayed
from trueup.core.types import Answer


def elsewhere(flow: Flow[Answer], model: str) -> Flow[Answer]:
    """The flow, with its samples asked of this model."""

    def of_model(ask: Ask) -> Ask:
        return replace(ask, model=model) if isinstance(ask, Sample) and not ask.model else ask

    return relayed(flow, of_model)
