"""Sums of two numbers in a small base, most significant digit first.

`104+342=#1001` in base 5: what `Addition` asks, with a table of sums that is learned in seconds. All problems can be
named, so that some can be kept from training altogether. The dial has no meaning.
Axes: B row, P prompt token, T token, D digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.tasks.reading import LONGEST, Codes, code_of, is_right
from trueup.train.laboratory.vocabulary import ANSWER, DIGIT_0, END, Flags, Tokens, token

PLUS, EQUALS = token("+"), token("=")


@dataclass(frozen=True, slots=True)
class Sums:
    """Numbers of so many digits in a base up to 36."""

    base: int = 5
    digits: int = 3

    def __post_init__(self) -> None:
        if not 2 <= self.base <= 36 or not 1 <= self.digits < LONGEST:
            raise BadInput(f"sums of {self.digits} digits in base {self.base}; take 1 to {LONGEST - 1}, and 2 to 36")

    @property
    def count(self) -> int:
        """How many problems there are."""
        return int(self.base ** (2 * self.digits))

    def named(self, numbers_B: Tokens) -> Tokens:
        """The problems of these numbers, each below `count`."""
        digits_BD = numbers_B[:, None] // self.base ** np.arange(2 * self.digits - 1, -1, -1) % self.base
        B, D = len(numbers_B), self.digits
        plus, equals = np.full((B, 1), PLUS), np.full((B, 1), EQUALS)
        return np.concatenate([DIGIT_0 + digits_BD[:, :D], plus, DIGIT_0 + digits_BD[:, D:], equals], 1)

    def prompts(self, rng: np.random.Generator, n: int, dial: int = 1) -> Tokens:
        """n prompts, drawn with replacement."""
        return self.named(rng.integers(0, self.count, n))

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end."""
        B = len(prompts_BP)
        return np.concatenate([np.full((B, 1), ANSWER), self._sum(prompts_BP), np.full((B, 1), END)], 1)

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int = 1) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's right answer."""
        return code_of(self._sum(prompts_BP))

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion gives the right answer."""
        return is_right(completions_BT, self.answers(prompts_BP))

    def longest(self, dial: int = 1) -> int:
        """How many tokens a completion takes."""
        return self.digits + 3

    def _sum(self, prompts_BP: Tokens) -> Tokens:
        """The tokens of the sum, most significant first, one more than the numbers have."""
        D, weight_D = self.digits, self.base ** np.arange(self.digits - 1, -1, -1)
        total_B = (prompts_BP[:, :D] + prompts_BP[:, D + 1 : 2 * D + 1] - 2 * DIGIT_0) @ weight_D
        digits_BD: Tokens = DIGIT_0 + total_B[:, None] // self.base ** np.arange(D, -1, -1) % self.base
        return digits_BD
