"""FLOPs of sampling and rating whole arrays, by the ledger's own formula.

`dense-v1` (core/cost.py), so that training (`loop.Spent`) and inference stand on one axis. Counted as with a cache: a
token is read once by each model, whatever was computed anew.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from trueup.core.cost import sample_flops
from trueup.core.roles import ModelCard
from trueup.core.types import Usage
from trueup.train.laboratory.sampling import Decoder
from trueup.train.laboratory.steered import Steered
from trueup.train.laboratory.transformer import Shape
from trueup.train.laboratory.vocabulary import Tokens


class Sized(Protocol):
    """What the formula must know of a network."""

    @property
    def shape(self) -> Shape: ...

    @property
    def parameter_count(self) -> int: ...


def card_of(model: Sized, *, name: str = "tiny", fingerprint: str = "") -> ModelCard:
    """A network as the ledger knows it; its core-seconds are paid."""
    return ModelCard(name, fingerprint, "cpu", model.parameter_count, model.shape.layers, model.shape.width)


def sampling_flops(model: Decoder | Sized, prompt_tokens: int, lengths: Tokens, *, prompts: int) -> int:
    """FLOPs of completions of these lengths behind `prompt_tokens` each; so many prompts are read, once each."""
    if isinstance(model, Steered):
        return sum(sampling_flops(part, prompt_tokens, lengths, prompts=prompts) for part in model.parts)
    card = card_of(model)  # type: ignore[arg-type]
    total = prompts * _flops(card, prompt_tokens, 0, with_prompt=True)
    for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
        total += int(count) * _flops(card, prompt_tokens, int(length), with_prompt=False)
    return total


def rating_flops(verifier: Sized, lengths: Tokens) -> int:
    """FLOPs of reading whole rows (prompt and completion) of these lengths."""
    card = card_of(verifier)
    lengths, counts = np.unique(lengths, return_counts=True)
    return sum(
        int(count) * _flops(card, int(length), 0, with_prompt=True)
        for length, count in zip(lengths, counts, strict=True)
    )


def _flops(card: ModelCard, prompt: int, completion: int, *, with_prompt: bool) -> int:
    flops = sample_flops(card, Usage(prompt, completion), with_prompt=with_prompt)
    assert flops is not None
    return flops
