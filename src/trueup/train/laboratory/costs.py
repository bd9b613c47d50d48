"""FLOPs of sampling, rating and reading whole arrays, by the ledger's own formula, and telling of them.

`dense-v1` (core/cost.py), so that training (`loop.Spent`) and inference stand on one axis. Counted as with a cache: a
token is read once by each model, whatever was computed anew. What is told to a meter is what each call read and wrote:
a prompt that a search hands in again counts again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import numpy as np
import torch

from trueup.core.cost import sample_flops
from trueup.core.roles import ModelCard
from trueup.core.types import Usage
from trueup.train.laboratory.constrained import Constrained
from trueup.train.laboratory.decoder import Decoder
from trueup.train.laboratory.steered import Steered
from trueup.train.laboratory.transformer import Shape
from trueup.train.laboratory.vocabulary import PAD, Tokens, token_count
from trueup.train.meter import Tell, Work, working


class Sized(Protocol):
    """What the formula must know of a network."""

    @property
    def shape(self) -> Shape: ...

    @property
    def parameter_count(self) -> int: ...


class Read(Sized, Protocol):
    """What a pass is told of."""

    @property
    def device(self) -> torch.device: ...


def card_of(model: Sized, *, name: str = "tiny", fingerprint: str = "") -> ModelCard:
    """A network as the ledger knows it; its core-seconds are paid."""
    return ModelCard(name, fingerprint, "cpu", model.parameter_count, model.shape.layers, model.shape.width)


def sampling_flops(model: Decoder | Sized, prompt_tokens: int, lengths: Tokens, *, prompts: int) -> int:
    """FLOPs of completions of these lengths behind `prompt_tokens` each; so many prompts are read, once each."""
    if isinstance(model, Steered):
        return sum(sampling_flops(part, prompt_tokens, lengths, prompts=prompts) for part in model.parts)
    if isinstance(model, Constrained):
        return sampling_flops(model.model, prompt_tokens, lengths, prompts=prompts)
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


def reading_flops(model: Sized, tokens: int) -> int:
    """FLOPs of a pass over so many tokens, 2 N each."""
    return 2 * model.parameter_count * tokens


def at_work(kind: str, device: torch.device) -> AbstractContextManager[Tell]:
    """Work of a kind, by what all threads of this process take, or by the clock where a GPU does it."""
    return working(kind, time.process_time if device.type == "cpu" else time.perf_counter)


def sampled(model: Decoder, prompts_BP: Tokens, lengths: Tokens) -> Work:
    """Completions of these lengths, as many behind each prompt."""
    flops = sampling_flops(model, prompts_BP.shape[1], lengths, prompts=len(prompts_BP))
    return Work(token_count(prompts_BP), int(lengths.sum()), flops)


def rated(verifier: Sized, tokens_BT: Tokens) -> Work:
    """Whole rows, rated."""
    return Work(token_count(tokens_BT), flops=rating_flops(verifier, (tokens_BT != PAD).sum(1)))


@contextmanager
def reading(model: Read, tokens_BT: Tokens, kind: str = "prefill") -> Iterator[None]:
    """A pass of whole rows through a model, told as work of a kind."""
    with at_work(kind, model.device) as told:
        yield
        told(lambda: Work(token_count(tokens_BT), flops=reading_flops(model, token_count(tokens_BT))))


def _flops(card: ModelCard, prompt: int, completion: int, *, with_prompt: bool) -> int:
    flops = sample_flops(card, Usage(prompt, completion), with_prompt=with_prompt)
    assert flops is not None
    return flops
