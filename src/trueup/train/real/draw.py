"""Sampling with dice of each row's own, instead of one stream for the batch.

A token is the place of the largest log p + g with g from a Gumbel distribution (Gumbel 1954), which is a draw from p.
The dice are seeded by what the row is, so its tokens hang neither on the number of processes nor on a kill in between.
B is rows, V the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList


class Draw(LogitsProcessor):
    """Leaves the drawn token alone possible in each row; `on_first` is called before the first token is drawn."""

    def __init__(self, temperature: float, on_first: Callable[[], None] = lambda: None) -> None:
        self._temperature, self._on_first = temperature, on_first
        self._dice: list[torch.Generator] = []
        self._seeds: list[int] = []

    def begin(self, names: Sequence[str]) -> None:
        """Take fresh dice for rows of these names."""
        self._seeds = [int.from_bytes(blake2b(name.encode(), digest_size=7).digest()) for name in names]
        self._dice = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores with all but the drawn token at minus infinity."""
        if not self._dice:
            self._on_first()
            self._dice = [torch.Generator(scores.device).manual_seed(seed) for seed in self._seeds]
        assert len(self._dice) == len(scores), "rows were added after their dice"
        scores_BV = scores.float()
        waiting_BV = torch.empty_like(scores_BV)
        for row, dice in enumerate(self._dice):
            waiting_BV[row].exponential_(generator=dice)
        drawn_B = (scores_BV / self._temperature - waiting_BV.log()).argmax(-1)
        return torch.full_like(scores, float("-inf")).scatter(1, drawn_B[:, None], 0.0)


def drawn_by(draw: Draw, model: Any, **given: Any) -> Callable[..., Tensor]:
    """The model's `generate` by these dice alone.

    What its folder sets for sampling is left out, since the loss knows the bare policy: no penalty, no words that it
    may not say, no length that it must have. Where a text ends is told with each call.
    """
    network = model.get_base_model() if hasattr(model, "get_base_model") else model
    generate, dice = model.generate, LogitsProcessorList([draw])

    def bare(*asked: Any, **named: Any) -> Tensor:
        own = network.generation_config
        network.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        try:
            drawn: Tensor = generate(*asked, logits_processor=dice, **given, **named)
        finally:
            network.generation_config = own
        return drawn

    return bare
