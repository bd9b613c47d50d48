"""Addition of two numbers of d digits.

`123+456=`: answered directly, most significant digit first, `#0579`, or in worked steps from the least significant
column, each its digit and its carry, `90;70;50;#0579`. The dial is the number of digits; all prompts of a task are as
long as its largest, with zeros in front.
Axes: B row, P prompt token, T token, D digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.tasks.reading import LONGEST, Codes, code_of, is_right
from trueup.train.laboratory.vocabulary import ANSWER, DIGIT_0, END, STEP, Flags, Tokens, token

PLUS, EQUALS = token("+"), token("=")


@dataclass(frozen=True, slots=True)
class Addition:
    """The task for numbers of up to `most` digits; `worked` targets show columns and carries."""

    worked: bool = False
    most: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.most < LONGEST:
            raise BadInput(f"addition of {self.most} digits; it takes 1 to {LONGEST - 1}")

    def prompts(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """n prompts of two numbers below 10 ** dial."""
        if not 1 <= dial <= self.most:
            raise BadInput(f"addition of {dial} digits; this one has 1 to {self.most}")
        digits_B2D = np.zeros((n, 2, self.most), np.int64)
        digits_B2D[:, :, self.most - dial :] = rng.integers(0, 10, (n, 2, dial))
        plus, equals = np.full((n, 1), PLUS), np.full((n, 1), EQUALS)
        return np.concatenate([DIGIT_0 + digits_B2D[:, 0], plus, DIGIT_0 + digits_B2D[:, 1], equals], 1)

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end."""
        B = len(prompts_BP)
        columns = []
        if self.worked:
            digit_BD, carry_BD = self._columns(prompts_BP)
            for digit_B, carry_B in zip(digit_BD.T, carry_BD.T, strict=True):
                columns += [DIGIT_0 + digit_B, DIGIT_0 + carry_B, np.full(B, STEP)]
        return np.stack([*columns, np.full(B, ANSWER), *self._sum(prompts_BP).T, np.full(B, END)], 1)

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n, dial)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's right answer."""
        return code_of(self._sum(prompts_BP))

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion gives the right answer, whatever its steps say."""
        return is_right(completions_BT, self.answers(prompts_BP))

    def longest(self, dial: int) -> int:
        """How many tokens a completion may take, at any dial."""
        return (3 * self.most if self.worked else 0) + self.most + 3

    def _columns(self, prompts_BP: Tokens) -> tuple[Tokens, Tokens]:
        """Digit and carry of each column from the least significant, axes BD."""
        a_BD = prompts_BP[:, self.most - 1 :: -1][:, : self.most] - DIGIT_0
        b_BD = prompts_BP[:, 2 * self.most : self.most : -1] - DIGIT_0
        carry_B, digits, carries = np.zeros(len(prompts_BP), np.int64), [], []
        for a_B, b_B in zip(a_BD.T, b_BD.T, strict=True):
            carry_B, digit_B = np.divmod(a_B + b_B + carry_B, 10)
            digits.append(digit_B)
            carries.append(carry_B)
        return np.stack(digits, 1), np.stack(carries, 1)

    def _sum(self, prompts_BP: Tokens) -> Tokens:
        """The tokens of the sum, most significant first, one more than the numbers have."""
        digit_BD, carry_BD = self._columns(prompts_BP)
        return DIGIT_0 + np.concatenate([carry_BD[:, -1:], digit_BD[:, ::-1]], 1)
