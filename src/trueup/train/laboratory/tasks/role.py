"""What a task of the laboratory can do, and the examples drawn from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from trueup.train.laboratory.examples import Examples, Pairs, Source, examples, stack
from trueup.train.laboratory.tasks.reading import Codes
from trueup.train.laboratory.vocabulary import Flags, Tokens


class Task(Protocol):
    """Endless problems with a dial of difficulty; all prompts of a task have one length."""

    def prompts(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """n prompts at a dial."""
        ...

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right completion says, END included, padded on the right."""
        ...

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's right answer."""
        ...

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion gives the right answer."""
        ...

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int) -> Pairs:
        """n prompts with their targets."""
        ...

    def longest(self, dial: int) -> int:
        """How many tokens a right completion takes at most."""
        ...


def source_of(task: Task, dials: Sequence[int]) -> Source:
    """Examples of a task, each row's dial drawn evenly."""

    def draw(rng: np.random.Generator, n: int) -> Examples:
        counts = rng.multinomial(n, [1 / len(dials)] * len(dials))
        parts = [task.sample_batch(rng, int(k), dial) for k, dial in zip(counts, dials, strict=True) if k]
        return stack([examples(pairs) for pairs in parts])

    return draw
