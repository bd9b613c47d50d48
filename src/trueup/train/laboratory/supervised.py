"""Supervised fine-tuning of a tiny model, and what keeps it near the old one.

Cost: 6 N FLOPs a token; the KL to a reference adds its forward pass, 2 N a token.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trueup.train.laboratory.costs import reading, reading_flops
from trueup.train.laboratory.examples import Examples, Source, mixture
from trueup.train.laboratory.loop import Choice, Loss, LossOf, Recipe, Spent, fit
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.vocabulary import token_count
from trueup.train.losses import kl_loss, sft_loss


def train(
    model: Transformer,
    source: Source,
    recipe: Recipe,
    *,
    reference: Transformer | None = None,
    kl: float = 0.0,
    replay: Source | None = None,
    replay_share: float = 0.0,
    trained: Choice | None = None,
    checkpoint: Path | None = None,
    every_steps: int = 500,
) -> Spent:
    """Train a model in place on a source's examples, and say what that cost.

    `kl` is the weight of the KL to a frozen reference on the learned tokens, `replay_share` the share of rows that
    come from `replay`, `trained` chooses the weights that move.
    """
    if replay is not None and replay_share > 0:
        source = mixture([source, replay], [1 - replay_share, replay_share])
    loss_of = _loss_of(model, source, recipe.rows, reference if kl > 0 else None, kl)
    return fit(model, loss_of, recipe, trained=trained, checkpoint=checkpoint, every_steps=every_steps)


def _loss_of(model: Transformer, source: Source, rows: int, reference: Transformer | None, kl: float) -> LossOf:
    def loss_of(rng: np.random.Generator) -> Loss:
        drawn = source(rng, rows)
        tokens_BT, learned_BT = to_tensors(drawn, model.device)
        inputs_BT, mask_BT = tokens_BT[:, :-1], learned_BT[:, 1:]
        logits_BTV = model(inputs_BT)
        value, count = sft_loss(logits_BTV, tokens_BT[:, 1:], mask_BT), token_count(drawn.tokens_BT)
        if reference is None:
            return Loss(value, count)
        with torch.no_grad(), reading(reference, drawn.tokens_BT, "reference"):
            reference_BTV = reference(inputs_BT)
        extra = reading_flops(reference, count)
        return Loss(value + kl * kl_loss(logits_BTV, reference_BTV, mask_BT), count, extra)

    return loss_of


def to_tensors(drawn: Examples, device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """The rows and the marks of what is learned."""
    return torch.from_numpy(drawn.tokens_BT).to(device), torch.from_numpy(drawn.learned_BT).to(device)
