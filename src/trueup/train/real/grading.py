"""What a rollout's text earns: the verifier's word, or a coin's."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from trueup.core.errors import AskFailed
from trueup.core.roles import Verifier
from trueup.core.types import Item
from trueup.run.grading import is_right


@dataclass(frozen=True, slots=True)
class Grader:
    """Grades the texts of a stratum's items; with `is_random` a coin does, which is the control of every reward."""

    verifier: Verifier
    items: tuple[Item, ...]
    is_random: bool

    def is_right(self, item: int, text: str, name: str) -> bool:
        """Whether a text is a right answer to an item; `name` seeds the coin.

        Raises AskFailed where the verifier breaks on it: no step can do without one of its rewards.
        """
        if self.is_random:
            return Random(f"coin {name}").random() < 0.5
        try:
            return is_right(self.verifier, self.items[item], text)
        except AskFailed as error:
            raise AskFailed(
                f"{error}; mend it or leave the item out, then run again: the last checkpoint goes on"
            ) from error
