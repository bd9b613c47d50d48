"""A model that may not be asked anything new: the ledger has to have it all."""

from __future__ import annotations

from trueup.core.errors import BadInput
from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Prompt, Sampling


class Sealed:
    """Implements Model with another's card, and refuses every ask that reaches it."""

    def __init__(self, card: ModelCard) -> None:
        """Stand in for the model of this card."""
        self.card = card

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """Raises BadInput: a sample is missing."""
        raise BadInput("the ledger lacks some samples of this study; run `trueup study` again to finish it")

    async def close(self) -> None:
        """Nothing to close."""
