"""Reads answers out of rows of tokens, and grades them.

An answer is what stands between the first `#` and the end of the turn. As a number it is its code: its tokens as the
digits of a number, so that equal answers are equal numbers and a vote is a count; -1 where none could be read.
Axes: B row, T token, A token of an answer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trueup.train.laboratory.vocabulary import ANSWER, CHARACTERS, END, PAD, SIZE, Flags, Tokens

UNREADABLE = -1
LONGEST = 8

Codes = NDArray[np.int64]


def code_of(answers_BA: Tokens) -> Codes:
    """The codes of answers of one length."""
    codes_B = np.zeros(len(answers_BA), np.int64)
    for column_B in answers_BA.T:
        codes_B = codes_B * SIZE + column_B
    return codes_B


def read_answers(completions_BT: Tokens) -> Codes:
    """The answer that each completion gives; a turn that was cut off gives none."""
    B, T = completions_BT.shape
    marked_BT = completions_BT == ANSWER
    first_B = np.where(marked_BT.any(1), marked_BT.argmax(1), T)
    padded_BT = np.pad(completions_BT, ((0, 0), (0, LONGEST + 2)), constant_values=PAD)
    answers_BA = np.take_along_axis(padded_BT, first_B[:, None] + 1 + np.arange(LONGEST + 1), 1)
    ended_BA = answers_BA == END
    length_B = np.where(ended_BA.any(1), ended_BA.argmax(1), 0)
    codes_B = np.full(B, UNREADABLE, np.int64)
    for length in range(1, LONGEST + 1):
        rows = length_B == length
        codes_B[rows] = code_of(answers_BA[rows, :length])
    return codes_B


def is_right(completions_BT: Tokens, codes_B: Codes) -> Flags:
    """Whether each completion gives the answer of this code."""
    right_B: Flags = read_answers(completions_BT) == codes_B
    return right_B


def word_of(code: int) -> str:
    """The answer of a code, in characters."""
    word = ""
    while code > 0:
        code, token = divmod(code, SIZE)
        word = CHARACTERS[token] + word
    return word
