"""A task in two turns: an attempt, a fixed request, another attempt.

`123+456=#0569$?#0579$`: the request `?` is the same behind a right attempt and a wrong one, so it reveals nothing. Rows
have one length: what a first attempt falls short of is filled with end marks, which a model reads and never learns.
Axes: B row, P prompt token, T token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trueup.train.laboratory.tasks.reading import is_right
from trueup.train.laboratory.tasks.role import Task
from trueup.train.laboratory.vocabulary import END, PAD, Flags, Tokens, token

REQUEST = token("?")


@dataclass(frozen=True, slots=True)
class TwoTurns:
    """A task at one dial, tried twice; attempts take up to `most` tokens."""

    task: Task
    dial: int

    @property
    def most(self) -> int:
        """How many tokens an attempt takes at most."""
        return self.task.longest(self.dial)

    def prompts(self, rng: np.random.Generator, n: int) -> Tokens:
        """n fresh problems."""
        return self.task.prompts(rng, n, self.dial)

    def again(self, prompts_BP: Tokens, first_BT: Tokens) -> Tokens:
        """Problems, first attempts and the request: what stands before a second attempt."""
        closed_BT = np.where(first_BT == PAD, END, first_BT)
        request = np.full((len(prompts_BP), 1), REQUEST)
        return np.concatenate([prompts_BP, closed_BT, request], 1)

    def turns(self, prompts_BP: Tokens, first_BT: Tokens, second_BT: Tokens) -> Tokens:
        """Whose attempt each token of a whole row is: 1, 2, or 0 for what was given or filled in."""
        given = np.zeros(prompts_BP.shape, np.int64)
        request = np.zeros((len(prompts_BP), 1), np.int64)
        return np.concatenate([given, (first_BT != PAD) * 1, request, (second_BT != PAD) * 2], 1)

    def right(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each attempt is right."""
        return is_right(completions_BT, self.task.answers(prompts_BP))

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right attempt says, as wide as attempts are."""
        targets_BT = self.task.targets(prompts_BP)
        return np.pad(targets_BT, ((0, 0), (0, self.most - targets_BT.shape[1])), constant_values=PAD)


Problems = Callable[[np.random.Generator, int], Tokens]
"""Draws so many problems."""


def finite(problems_BP: Tokens) -> Problems:
    """Problems of a fixed set, drawn with replacement."""

    def draw(rng: np.random.Generator, n: int) -> Tokens:
        drawn: Tokens = problems_BP[rng.integers(0, len(problems_BP), n)]
        return drawn

    return draw
