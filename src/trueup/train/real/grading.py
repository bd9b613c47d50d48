"""Whether a text is right, by the stratum's own verifier.

The text is read as a study reads it, the turn that a prompt has begun included. Training may ask the reference: the
items are the training half.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from trueup.core.errors import AskFailed
from trueup.core.roles import Verifier
from trueup.core.types import Item
from trueup.run.limit import time_limit

SECONDS = 20.0
SHOWN = 80


@dataclass(frozen=True, slots=True)
class Grader:
    """Grades the texts of a stratum's items; with `is_random` a coin does, which is the control of every reward."""

    verifier: Verifier
    items: tuple[Item, ...]
    is_random: bool

    def is_right(self, item: int, text: str, name: str) -> bool:
        """Whether a text is a right answer to an item; `name` seeds the coin.

        Raises AskFailed where the verifier breaks on it: a grade made up in its place would be trained on.
        """
        if self.is_random:
            return Random(f"coin {name}").random() < 0.5
        problem, reference = self.items[item].problem, self.items[item].reference
        begun = problem.prompt[-1].content if problem.prompt and problem.prompt[-1].role == "assistant" else ""
        try:
            with time_limit(SECONDS):
                answer = self.verifier.read(begun + text)
                return answer is not None and self.verifier.check(answer, problem, reference).is_right
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            told = f"verifier {self.verifier.name!r} broke on {text[:SHOWN]!r} (item {problem.id!r}): {why}"
            raise AskFailed(
                f"{told}; mend it or leave the item out, then run again: the last checkpoint goes on"
            ) from error
