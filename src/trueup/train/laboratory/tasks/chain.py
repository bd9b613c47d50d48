"""Chains of modular arithmetic, from left to right.

`3+4*2-5....=` is ((3+4)*2-5) mod m, in digits of base 36. Multipliers are never 0 and m is then prime, so that every
operation is a bijection and every answer equally likely. Dots fill the prompt up to the most operations there may be:
an operation is then as far from its step in every prompt, which is learned far sooner. Answered directly `#9`, or in
worked steps `7;e;9;#9` that give the running value behind each operation. The dial is the number of operations.
Axes: B row, P prompt token, T token, K operation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.tasks.reading import Codes, code_of, is_right
from trueup.train.laboratory.vocabulary import ANSWER, DIGIT_0, END, PAD, STEP, Flags, Tokens, encode, token

PLUS, MINUS, TIMES, EQUALS, DOT = (token(character) for character in "+-*=.")
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)


@dataclass(frozen=True, slots=True)
class Chain:
    """The task at a modulus up to 36, with up to `most` operations; `worked` targets show their steps.

    Sums alone (`operators="+-"`) can be had without an order and come far easier than products among them.
    """

    modulus: int = 7
    worked: bool = False
    most: int = 8
    operators: str = "+-*"

    def __post_init__(self) -> None:
        if not self.operators or not set(self.operators) <= set("+-*"):
            raise BadInput(f"operators {self.operators!r}; take some of '+-*'")
        if not 2 <= self.modulus <= 36 or ("*" in self.operators and self.modulus not in PRIMES):
            raise BadInput(f"modulus {self.modulus}; take 2 to 36, with products {', '.join(map(str, PRIMES))}")

    def prompts(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """n prompts of `dial` operations."""
        if not 1 <= dial <= self.most:
            raise BadInput(f"a chain of {dial} operations; this one has 1 to {self.most}")
        operator_BK = rng.choice(encode(self.operators), (n, dial))
        value_BK = rng.integers(0, self.modulus, (n, dial))
        nonzero_BK = rng.integers(1, self.modulus, (n, dial))
        prompts_BP = np.full((n, 2 * self.most + 2), DOT)
        prompts_BP[:, 0] = DIGIT_0 + rng.integers(0, self.modulus, n)
        prompts_BP[:, 1 : 2 * dial : 2] = operator_BK
        prompts_BP[:, 2 : 2 * dial + 1 : 2] = DIGIT_0 + np.where(operator_BK == TIMES, nonzero_BK, value_BK)
        prompts_BP[:, -1] = EQUALS
        return prompts_BP

    def values(self, prompts_BP: Tokens) -> Tokens:
        """The running value behind each operation, axes BK; behind the last it stays."""
        value_B = prompts_BP[:, 0] - DIGIT_0
        values = []
        for place in range(1, prompts_BP.shape[1] - 1, 2):
            operator_B, operand_B = prompts_BP[:, place], prompts_BP[:, place + 1] - DIGIT_0
            results = [value_B + operand_B, value_B - operand_B, value_B * operand_B]
            value_B = np.select([operator_B == sign for sign in (PLUS, MINUS, TIMES)], results, value_B) % self.modulus
            values.append(value_B)
        return np.stack(values, 1)

    def dials(self, prompts_BP: Tokens) -> Tokens:
        """How many operations each prompt has."""
        dials_B: Tokens = (prompts_BP[:, 1:-1:2] != DOT).sum(1)
        return dials_B

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end; padded to the longest."""
        value_BK, dial_B = DIGIT_0 + self.values(prompts_BP), self.dials(prompts_BP)
        shown_B = 2 * dial_B if self.worked else np.zeros_like(dial_B)
        targets_BT = np.full((len(dial_B), int(shown_B.max(initial=0)) + 3), PAD)
        if self.worked:
            wide_BT = np.full((len(dial_B), 2 * self.most), STEP)
            wide_BT[:, ::2] = value_BK
            width = targets_BT.shape[1] - 3
            targets_BT[:, :width] = wide_BT[:, :width]
        rows = np.arange(len(dial_B))
        for place, tokens in enumerate((ANSWER, value_BK[:, -1], END)):
            targets_BT[rows, shown_B + place] = tokens
        places_T = np.arange(targets_BT.shape[1])
        return np.where(places_T < shown_B[:, None] + 3, targets_BT, PAD)

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n, dial)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's right answer."""
        return code_of(DIGIT_0 + self.values(prompts_BP)[:, -1:])

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion gives the right answer, whatever its steps say."""
        return is_right(completions_BT, self.answers(prompts_BP))

    def longest(self, dial: int) -> int:
        """How many tokens a completion may take."""
        return (2 * dial if self.worked else 0) + 3
