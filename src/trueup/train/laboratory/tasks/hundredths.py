"""Single operations on hundredths from .00 to .35, a base-36 digit each: one line of a sweep.

`7*k=e$` is seven tenths of .20, `k-p=0$` a difference that stops at zero, `k+8=s$` a sum: the arithmetic that the
systems of `coupled.py` are solved with, and nothing of their form. Axes: B row, T token.
"""

from __future__ import annotations

import numpy as np

from trueup.train.laboratory.examples import Examples, Pairs, examples, stack
from trueup.train.laboratory.vocabulary import DIGIT_0, END, Tokens, token

DIGITS = 36
TENTHS = 10
TIMES, MINUS, PLUS, EQUALS = (token(character) for character in "*-+=")


def share_of(tenths_B: Tokens, number_B: Tokens) -> Tokens:
    """So many tenths of a number, rounded to the grid."""
    return (tenths_B * number_B + TENTHS // 2) // TENTHS


def operations(rng: np.random.Generator, n: int) -> Examples:
    """So many operations, each kind as often; a Source."""
    counts = [len(part) for part in np.array_split(np.arange(n), 3)]
    return stack([kind(rng, count) for kind, count in zip((_shares, _differences, _sums), counts, strict=True)])


def _shares(rng: np.random.Generator, n: int) -> Examples:
    tenths_B, number_B = rng.integers(1, TENTHS, n), rng.integers(0, DIGITS, n)
    return _lesson(tenths_B, TIMES, number_B, share_of(tenths_B, number_B))


def _differences(rng: np.random.Generator, n: int) -> Examples:
    first_B, second_B = rng.integers(0, DIGITS, (2, n))
    return _lesson(first_B, MINUS, second_B, np.maximum(first_B - second_B, 0))


def _sums(rng: np.random.Generator, n: int) -> Examples:
    total_B = rng.integers(0, DIGITS, n)
    first_B = rng.integers(0, total_B + 1)
    return _lesson(first_B, PLUS, total_B - first_B, total_B)


def _lesson(first_B: Tokens, sign: int, second_B: Tokens, result_B: Tokens) -> Examples:
    B = len(result_B)
    prompts_BP = np.stack([DIGIT_0 + first_B, np.full(B, sign), DIGIT_0 + second_B, np.full(B, EQUALS)], 1)
    return examples(Pairs(prompts_BP, np.stack([DIGIT_0 + result_B, np.full(B, END)], 1)))
