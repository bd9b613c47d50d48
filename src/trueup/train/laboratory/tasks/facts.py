"""Facts: keys with values that can only be remembered.

`?abc=` is answered `#xy`. Which value a key has is drawn once, by the seed of the table; there is no rule to it, so it
measures what a model knows from training and what later tuning makes it forget.
Axes: B row, P prompt token, K key token, A value token.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.tasks.reading import Codes, code_of, is_right
from trueup.train.laboratory.vocabulary import ANSWER, END, Flags, Tokens, token

ASK, EQUALS, LETTER_A = (token(character) for character in "?=a")
LETTERS = 26
KEY_LETTERS = 3
MOST = LETTERS**KEY_LETTERS


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of so many facts; values are words of `letters` letters. The dial has no meaning."""

    count: int = 1000
    letters: int = 2
    seed: int = 0
    number_F: Tokens = field(init=False, repr=False, compare=False)
    values_FA: Tokens = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise BadInput(f"{self.count} facts; there are keys for 1 to {MOST}")
        rng = np.random.default_rng((self.seed, self.count))
        object.__setattr__(self, "number_F", np.sort(rng.choice(MOST, self.count, replace=False)))
        object.__setattr__(self, "values_FA", LETTER_A + rng.integers(0, LETTERS, (self.count, self.letters)))

    def prompts(self, rng: np.random.Generator, n: int, dial: int = 1) -> Tokens:
        """n prompts, keys drawn with replacement."""
        return self._ask(self.number_F[rng.integers(0, self.count, n)])

    def every(self) -> Tokens:
        """A prompt for each fact, once."""
        return self._ask(self.number_F)

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end."""
        B = len(prompts_BP)
        return np.concatenate([np.full((B, 1), ANSWER), self._values(prompts_BP), np.full((B, 1), END)], 1)

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int = 1) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n, dial)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's right answer."""
        return code_of(self._values(prompts_BP))

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion gives the right answer."""
        return is_right(completions_BT, self.answers(prompts_BP))

    def longest(self, dial: int = 1) -> int:
        """How many tokens a completion may take."""
        return self.letters + 2

    def _ask(self, number_B: Tokens) -> Tokens:
        key_BK = LETTER_A + number_B[:, None] // LETTERS ** np.arange(KEY_LETTERS - 1, -1, -1) % LETTERS
        B = len(number_B)
        return np.concatenate([np.full((B, 1), ASK), key_BK, np.full((B, 1), EQUALS)], 1)

    def _values(self, prompts_BP: Tokens) -> Tokens:
        key_BK = prompts_BP[:, 1 : 1 + KEY_LETTERS] - LETTER_A
        number_B = key_BK @ LETTERS ** np.arange(KEY_LETTERS - 1, -1, -1)
        return self.values_FA[np.searchsorted(self.number_F, number_B)]
