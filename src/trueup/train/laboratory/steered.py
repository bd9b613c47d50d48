"""Proxy-tuning: a large model steered by what tuning did to a small one.

Liu et al. 2024, arXiv:2401.08565: logits = base + alpha (expert - antiexpert), all three behind the same prefix.
Cost: a pass of each of the three per token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trueup.train.laboratory.decoder import Decoder, device_of


@dataclass(slots=True)
class Caches:
    """A cache per model."""

    parts: list[Any]

    def repeat(self, n: int) -> Caches:
        """Each row n times over, next to itself."""
        return Caches([part.repeat(n) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Steered:
    """Implements Decoder by three others of one vocabulary."""

    base: Decoder
    expert: Decoder
    antiexpert: Decoder
    alpha: float = 1.0

    @property
    def parameter_count(self) -> int:
        """Of all three, for each of them is asked at every token."""
        return sum(model.parameter_count for model in self.parts)

    @property
    def device(self) -> torch.device:
        """Where they are, all three on one."""
        return device_of(self.base)

    def begin(self, rows: int, length: int, seen_BT: Tensor | None = None) -> Caches:
        """A cache for each model."""
        return Caches([model.begin(rows, length, seen_BT) for model in self.parts])

    def __call__(self, tokens_BT: Tensor, cache: Caches) -> Tensor:
        base, expert, antiexpert = (model(tokens_BT, part) for model, part in zip(self.parts, cache.parts, strict=True))
        steered: Tensor = base + self.alpha * (expert - antiexpert)
        return steered

    @property
    def parts(self) -> tuple[Decoder, Decoder, Decoder]:
        """The three of them."""
        return self.base, self.expert, self.antiexpert
