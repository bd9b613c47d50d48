"""A verifier trained on a model's own samples: a transformer with one number per token.

Read at the last token it is an outcome reward (Cobbe et al. 2021, arXiv:2110.14168: every token is trained on whether
the whole comes out right), read behind a step a process reward, for which the labels are shares of right endings among
Monte-Carlo rollouts (Wang et al. 2023, arXiv:2312.08935; Snell et al. 2024, arXiv:2408.03314).
Axes: B row, P prompt token, T token, R rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trueup.train.laboratory.costs import at_work, rated, sampling_flops
from trueup.train.laboratory.examples import widen
from trueup.train.laboratory.loop import Loss, Recipe, Spent, fit
from trueup.train.laboratory.sampling import generate
from trueup.train.laboratory.tasks.reading import Codes, is_right
from trueup.train.laboratory.transformer import Shape, Transformer
from trueup.train.laboratory.vocabulary import END, PAD, STEP, Flags, Tokens
from trueup.train.losses import binary_loss, sft_loss

Ratings = NDArray[np.float32]
BLOCK_ROWS = 4096


class Verifier(nn.Module):
    """Logits that the row comes out right, one per token; may begin as a copy of the policy's trunk."""

    def __init__(self, shape: Shape, *, seed: int = 0, trunk: Transformer | None = None) -> None:
        super().__init__()
        self.trunk = Transformer(shape, seed=seed) if trunk is None else deepcopy(trunk).requires_grad_(True)
        self.head = nn.Linear(shape.width, 1, device=self.trunk.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def shape(self) -> Shape:
        """Its trunk's."""
        return self.trunk.shape

    @property
    def parameter_count(self) -> int:
        """All its weights."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.trunk.device

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """The logit behind each token, axes BT."""
        return self.judge(self.trunk.states(tokens_BT))

    def judge(self, state_BTC: Tensor) -> Tensor:
        """The logits that the trunk's states give, axes BT."""
        out: Tensor = self.head(state_BTC)[..., 0]
        return out


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with the chance of a right ending behind each token, where `known_BT`; padded on the right.

    `flops` is what the labels cost beyond the rows themselves.
    """

    tokens_BT: Tokens
    label_BT: Ratings
    known_BT: Flags
    prompt_tokens: int
    flops: int = 0


def outcome_rows(prompts_BP: Tokens, completions_BT: Tokens, right_B: Flags) -> Labelled:
    """Every token of a completion labelled with how the whole came out."""
    tokens_BT = np.concatenate([prompts_BP, completions_BT], 1)
    known_BT = tokens_BT != PAD
    known_BT[:, : prompts_BP.shape[1]] = False
    return Labelled(
        tokens_BT, np.where(known_BT, right_B[:, None], 0).astype(np.float32), known_BT, prompts_BP.shape[1]
    )


def process_rows(
    model: Transformer,
    prompts_BP: Tokens,
    completions_BT: Tokens,
    codes_B: Codes,
    *,
    rollouts: int = 8,
    temperature: float = 1.0,
    seed: int = 0,
) -> Labelled:
    """Step ends labelled with the share of rollouts from there that end in the right answer, ends with 0 or 1.

    Cost: as many samples per step as there are rollouts, whose FLOPs the rows carry.
    """
    rows = outcome_rows(prompts_BP, completions_BT, is_right(completions_BT, codes_B))
    known_BT = np.zeros_like(rows.known_BT)
    label_BT, flops = rows.label_BT, 0
    P, most = prompts_BP.shape[1], completions_BT.shape[1]
    known_BT[:, P:] = completions_BT == END
    for place in range(1, most):
        here = np.flatnonzero(completions_BT[:, place - 1] == STEP)
        if not len(here):
            continue
        begun_BT = rows.tokens_BT[here, : P + place]
        rest = generate(model, begun_BT, most=most - place, n=rollouts, temperature=temperature, seed=seed + place)
        flops += sampling_flops(model, P + place, rest.lengths, prompts=0)
        whole_BT = np.concatenate([completions_BT[here, :place].repeat(rollouts, 0), rest.tokens_BT], 1)
        right_BR = is_right(whole_BT, codes_B[here].repeat(rollouts)).reshape(-1, rollouts)
        label_BT[here, P + place - 1] = right_BR.mean(1)
        known_BT[here, P + place - 1] = True
    return Labelled(rows.tokens_BT, label_BT, known_BT, P, flops)


def join(parts: Sequence[Labelled]) -> Labelled:
    """Labelled rows of one prompt length under one another, padded to the longest."""
    length = max(part.tokens_BT.shape[1] for part in parts)
    return Labelled(
        np.concatenate([widen(part.tokens_BT, length) for part in parts]),
        np.concatenate([widen(part.label_BT, length) for part in parts]),
        np.concatenate([widen(part.known_BT, length) for part in parts]),
        parts[0].prompt_tokens,
        sum(part.flops for part in parts),
    )


def train_verifier(verifier: Verifier, rows: Labelled, recipe: Recipe, *, lm: float = 0.0) -> Spent:
    """Train on labelled rows, drawn with replacement, by binary cross-entropy.

    `lm` weighs a language-modelling loss beside it, as in Cobbe et al., here on the rows that come out right: a trunk
    that cannot do the steps itself learns very slowly to judge them from one bit a row.
    """
    right_B = (rows.known_BT & (rows.label_BT >= 0.99) & (rows.tokens_BT == END)).any(1)

    def loss_of(rng: np.random.Generator) -> Loss:
        picked = rng.integers(0, len(rows.tokens_BT), recipe.rows)
        tokens_BT, label_BT, known_BT, good_B = (
            torch.from_numpy(array[picked]).to(verifier.device)
            for array in (rows.tokens_BT, rows.label_BT, rows.known_BT, right_B)
        )
        state_BTC = verifier.trunk.states(tokens_BT)
        value = binary_loss(verifier.judge(state_BTC), label_BT, known_BT)
        if lm > 0:
            logits_BTV = verifier.trunk.logits(state_BTC[:, :-1])
            said_BT = (tokens_BT != PAD) & good_B[:, None]
            said_BT[:, : rows.prompt_tokens] = False
            value = value + lm * sft_loss(logits_BTV, tokens_BT[:, 1:], said_BT[:, 1:])
        return Loss(value, int((tokens_BT != PAD).sum()))

    return fit(verifier, loss_of, recipe)


@torch.inference_mode()
def rate(verifier: Verifier, prompts_BP: Tokens, completions_BT: Tokens) -> Ratings:
    """The rating in [0, 1] behind the last token of each completion, whole or begun."""
    tokens_BT = np.concatenate([prompts_BP, completions_BT], 1)
    last_B = tokens_BT.shape[1] - 1 - (tokens_BT[:, ::-1] != PAD).argmax(1)
    parts = []
    with at_work("judge", verifier.device) as told:
        for begin in range(0, len(tokens_BT), BLOCK_ROWS):
            block_BT, at_B = (
                torch.from_numpy(array[begin : begin + BLOCK_ROWS]).to(verifier.device) for array in (tokens_BT, last_B)
            )
            logit_BT = verifier(block_BT)
            parts.append(logit_BT.gather(1, at_B[:, None])[:, 0].sigmoid().cpu().numpy())
        told(lambda: rated(verifier, tokens_BT))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
