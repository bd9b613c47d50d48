"""A model that may not be asked anything new: the ledger has to have it all."""

from __future__ import annotations

from trueup.core.errors import BadInput
from trueup.core.roles import ModelCard, Sampled
from trueup.core.types import Prompt, Sampling

LACK = "the ledger lacks some samples of this study; run `trueup study` again to finish it"


class Sealed:
    """Implements Model with another's card, and samples nothing.

    Where all was asked for before, what the ledger lacks had failed; else every ask that comes here is refused, in the
    words of `lack`.
    """

    def __init__(self, card: ModelCard, *, all_was_asked: bool = False, lack: str = LACK) -> None:
        """Stand in for the model of this card."""
        self.card = card
        self._all_was_asked = all_was_asked
        self._lack = lack

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """No attempts and no waste, as no call was made: what failed before is on the ledger.

        Raises BadInput where samples are missing that may never have been asked for.
        """
        if not self._all_was_asked:
            raise BadInput(self._lack)
        return Sampled(())

    async def close(self) -> None:
        """Nothing to close."""
