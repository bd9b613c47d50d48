"""Samples many completions at once, behind a cache of keys and values.

Rows are sampled in blocks of a fixed size, each with a generator of its own, on the model's device: there the same
seed gives the same tokens, and on another device it gives others.
Axes: B row, P prompt token, T token, V vocabulary.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueup.train.laboratory.costs import at_work, sampled
from trueup.train.laboratory.decoder import Decoder, device_of
from trueup.train.laboratory.vocabulary import END, PAD, Tokens

BLOCK_ROWS, GPU_BLOCK_ROWS = 1024, 8192


@dataclass(frozen=True, slots=True)
class Completions:
    """n completions for each prompt, next to each other; what follows the end is padding.

    `logp_BT` are log-probabilities under the model itself (temperature 1), 0 at padding. A row without an end was cut.
    """

    tokens_BT: Tokens
    logp_BT: NDArray[np.float32]

    @property
    def lengths(self) -> Tokens:
        """Tokens that were sampled, the end included."""
        lengths: Tokens = (self.tokens_BT != PAD).sum(1)
        return lengths


@torch.no_grad()
def generate(
    model: Decoder, prompts_BP: Tokens, *, most: int, n: int = 1, temperature: float = 1.0, seed: int = 0
) -> Completions:
    """n completions of up to `most` tokens behind each prompt; temperature 0 takes the likeliest token.

    Prompts may be padded on the left. Padding is never sampled.
    """
    # Not inference mode, in which no rounded weight is kept from token to token.
    device = device_of(model)
    rows = max(1, (BLOCK_ROWS if device.type == "cpu" else GPU_BLOCK_ROWS) // n)
    with at_work("sampled", device) as told, getattr(model, "precision", nullcontext)():
        parts = [
            _block(model, prompts_BP[begin : begin + rows], most, n, temperature, _generator(seed, begin, device))
            for begin in range(0, len(prompts_BP), rows)
        ]
        tokens = [tokens for tokens, _ in parts] or [np.zeros((0, most), np.int64)]
        logps = [logp for _, logp in parts] or [np.zeros((0, most), np.float32)]
        out = Completions(np.concatenate(tokens), np.concatenate(logps))
        told(lambda: sampled(model, prompts_BP, out.lengths))
    return out


def greedy(model: Decoder, prompts_BP: Tokens, *, most: int) -> Completions:
    """The likeliest token at every place."""
    return generate(model, prompts_BP, most=most, temperature=0.0)


def _generator(seed: int, place: int, device: torch.device) -> torch.Generator:
    state = np.random.SeedSequence((seed, place)).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0] >> np.uint64(1)))


def _block(
    model: Decoder, prompts_BP: Tokens, most: int, n: int, temperature: float, generator: torch.Generator
) -> tuple[Tokens, NDArray[np.float32]]:
    device = generator.device
    prompt_BP = torch.from_numpy(np.ascontiguousarray(prompts_BP)).to(device)
    B, P = prompt_BP.shape
    cache = model.begin(B, P + most, prompt_BP != PAD)
    logits_BV = model(prompt_BP, cache)[:, -1].repeat_interleave(n, 0)
    cache = cache.repeat(n) if n > 1 else cache
    tokens_BT = torch.full((B * n, most), PAD, device=device)
    logp_BT = torch.zeros(B * n, most, device=device)
    open_B = torch.ones(B * n, dtype=torch.bool, device=device)
    for place in range(most):
        token_B, logp_B = draw(logits_BV, temperature, generator)
        tokens_BT[:, place] = torch.where(open_B, token_B, PAD)
        logp_BT[:, place] = torch.where(open_B, logp_B, 0.0)
        open_B &= token_B != END
        if place + 1 == most or not open_B.any():
            break
        logits_BV = model(token_B[:, None], cache)[:, -1]
    return tokens_BT.cpu().numpy(), logp_BT.cpu().numpy()


def draw(logits_BV: Tensor, temperature: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A token per row, and its log-probability at temperature 1; the race of exponentials draws it."""
    logits_BV = logits_BV.clone()
    logits_BV[:, PAD] = -torch.inf
    logp_BV = logits_BV.log_softmax(-1)
    if temperature > 0:
        race_BV = torch.empty_like(logp_BV).exponential_(generator=generator)
        token_B = (logp_BV / temperature - race_BV.log()).argmax(-1)
    else:
        token_B = logp_BV.argmax(-1)
    return token_B, logp_BV.gather(-1, token_B[:, None])[:, 0]
