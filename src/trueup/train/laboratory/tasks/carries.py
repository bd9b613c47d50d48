"""Addition whose difficulty is how far a carry may travel.

The task of `addition.py`, numbers of `most` digits. Answered most significant digit first, a digit waits on the columns
to its right: one that sums to nine hands on whatever carry reaches it, so a run of such columns must be read to its end
before the first digit can be said. Worked from the right, every column takes one look, however long the run. At dial 1
no column carries or sums to nine, from dial 2 on the longest run is of dial - 2 columns. A run ends in a column that
decides, half of the time for a carry: who does not look so far guesses. Neither the length of a prompt nor its number
of digits tells the dial. Axes: B row, P prompt token, T token, D column from the left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.tasks.addition import EQUALS, PLUS, Addition
from trueup.train.laboratory.tasks.reading import Codes
from trueup.train.laboratory.vocabulary import DIGIT_0, Flags, Tokens

NINE = 9


@dataclass(frozen=True, slots=True)
class Carries:
    """The task for two numbers of `most` digits; `worked` targets show columns and carries, from the right."""

    worked: bool = False
    most: int = 5

    def __post_init__(self) -> None:
        if self.most < 2:
            raise BadInput(f"carries over {self.most} digits; take 2 or more")
        Addition(self.worked, self.most)

    def prompts(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """n prompts at a dial."""
        if not 1 <= dial <= self.most:
            raise BadInput(f"carries at dial {dial}; this task has 1 to {self.most}")
        kept = np.zeros((0, 2, self.most), np.int64)
        while len(kept) < n:
            drawn = self._drawn(rng, 2 * (n - len(kept)) + 8, dial)
            kept = np.concatenate([kept, drawn[dials_of(drawn.sum(1)) == dial]])
        digits_B2D = DIGIT_0 + kept[:n]
        plus, equals = np.full((n, 1), PLUS), np.full((n, 1), EQUALS)
        return np.concatenate([digits_B2D[:, 0], plus, digits_B2D[:, 1], equals], 1)

    def dials(self, prompts_BP: Tokens) -> Tokens:
        """The dial of each prompt."""
        return dials_of(self.sums(prompts_BP))

    def sums(self, prompts_BP: Tokens) -> Tokens:
        """What the two digits of each column add up to, axes BD."""
        sums_BD: Tokens = prompts_BP[:, : self.most] + prompts_BP[:, self.most + 1 : -1] - 2 * DIGIT_0
        return sums_BD

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end."""
        return Addition(self.worked, self.most).targets(prompts_BP)

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n, dial)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's right answer."""
        return Addition(self.worked, self.most).answers(prompts_BP)

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion gives the right answer, whatever its steps say."""
        return Addition(self.worked, self.most).check(prompts_BP, completions_BT)

    def longest(self, dial: int) -> int:
        """How many tokens a completion may take, at any dial."""
        return Addition(self.worked, self.most).longest(dial)

    def _drawn(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """Digits that are often at this dial, axes B2D; each pair of a column that may not carry is as likely."""
        if dial == 1:
            first_K, second_K = np.array([(a, b) for a in range(NINE) for b in range(NINE - a)]).T
            pairs_BD = rng.integers(0, len(first_K), (n, self.most))
            return np.stack([first_K[pairs_BD], second_K[pairs_BD]], 1)
        digits_B2D = rng.integers(0, 10, (n, 2, self.most))
        return digits_B2D if dial == 2 else self._planted(rng, digits_B2D, dial - 2)

    def _planted(self, rng: np.random.Generator, digits_B2D: Tokens, run: int) -> Tokens:
        """The digits with a run of nines somewhere, the column behind it below nine or above, as often."""
        n = len(digits_B2D)
        start_B = rng.integers(0, self.most - run, n)
        places_D = np.arange(self.most)
        within_BD = (places_D >= start_B[:, None]) & (places_D < start_B[:, None] + run)
        digits_B2D[:, 1] = np.where(within_BD, NINE - digits_B2D[:, 0], digits_B2D[:, 1])
        rows, behind_B, carries_B = np.arange(n), start_B + run, rng.random(n) < 0.5
        first_B = rng.integers(carries_B, NINE + carries_B)
        low_B = np.where(carries_B, NINE + 1 - first_B, 0)
        high_B = np.where(carries_B, NINE + 1, NINE - first_B)
        digits_B2D[rows, 0, behind_B], digits_B2D[rows, 1, behind_B] = first_B, rng.integers(low_B, high_B)
        return digits_B2D


def dials_of(sums_BD: Tokens) -> Tokens:
    """The dial of each row of column sums."""
    return np.where((sums_BD < NINE).all(1), 1, 2 + longest_run(sums_BD == NINE))


def longest_run(flags_BD: NDArray[np.bool_]) -> Tokens:
    """How many true values stand next to each other at most, per row."""
    run_B = longest_B = np.zeros(len(flags_BD), np.int64)
    for flag_B in flags_BD.T:
        run_B = np.where(flag_B, run_B + 1, 0)
        longest_B = np.maximum(longest_B, run_B)
    return longest_B
