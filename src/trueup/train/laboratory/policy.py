"""Policy gradients on a tiny model's own samples.

Attempts are sampled in groups at temperature 1 behind a cache, rewarded, and learned from. What the sampler says of
its tokens is the old policy's log-probability, so no pass is spent on scoring them again. One ledger: sampling and
reference passes are the loss's extra FLOPs, 6 N a token of training are counted by `fit`.
Axes: P problem, G attempt of one problem, B row (P * G of them), T token, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.train.laboratory.costs import reading, reading_flops, sampling_flops
from trueup.train.laboratory.loop import Choice, Loss, LossOf, Recipe, Spent, fit
from trueup.train.laboratory.sampling import generate
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.vocabulary import PAD, Flags, Tokens, token_count
from trueup.train.losses.likelihood import token_logp
from trueup.train.losses.policy import group_advantage, grpo_loss, token_kl, token_mean

Numbers = NDArray[np.float32]
PolicyLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Of logp_BT, old_logp_BT, advantage_BT and mask_BT: `grpo_loss`, `dapo_loss`, ..."""
Reward = Callable[[Tokens, Tokens], NDArray[np.floating] | Flags]
"""Of prompts and completions, a row each."""
Prompts = Callable[[np.random.Generator, int], Tokens]
"""Draws so many prompts of one length."""


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Whole rows with what learning needs of each token; `sampled_BT` marks those that the policy chose."""

    tokens_BT: Tokens
    sampled_BT: Flags
    logp_BT: Numbers
    advantage_BT: Numbers
    flops: int


Rollout = Callable[[np.random.Generator, int], Rollouts]
"""Samples so many rows from the policy as it is now."""


def attempts_at(
    model: Transformer, prompts_of: Prompts, reward: Reward, *, group: int, most: int, divide_by_std: bool = False
) -> Rollout:
    """Groups of attempts at one problem each, valued against their group's mean."""

    def roll(rng: np.random.Generator, rows: int) -> Rollouts:
        prompts_PT = prompts_of(rng, max(1, rows // group))
        out = generate(model, prompts_PT, most=most, n=group, seed=seed_of(rng))
        prompts_BT = prompts_PT.repeat(group, 0)
        reward_PG = np.asarray(reward(prompts_BT, out.tokens_BT), np.float32).reshape(-1, group)
        advantage_PG = group_advantage(torch.from_numpy(reward_PG), divide_by_std=divide_by_std).numpy()
        tokens_BT = np.concatenate([prompts_BT, out.tokens_BT], 1)
        logp_BT = np.concatenate([np.zeros(prompts_BT.shape, np.float32), out.logp_BT], 1)
        sampled_BT = tokens_BT != PAD
        sampled_BT[:, : prompts_BT.shape[1]] = False
        flops = sampling_flops(model, prompts_PT.shape[1], out.lengths, prompts=len(prompts_PT))
        return Rollouts(tokens_BT, sampled_BT, logp_BT, advantage_PG.reshape(-1, 1) * sampled_BT, flops)

    return roll


def reinforce(
    model: Transformer,
    roll: Rollout,
    recipe: Recipe,
    *,
    loss: PolicyLoss = grpo_loss,
    reference: Transformer | None = None,
    kl: float = 0.0,
    updates: int = 1,
    trained: Choice | None = None,
    checkpoint: Path | None = None,
) -> Spent:
    """Train a model in place on what it samples, and say what that cost.

    A step is an update on `recipe.rows` rows; `updates` of them share one sampling, of as many times the rows, whose
    policy is then the old one of the ratio. `kl` is the weight of the exact KL to a frozen reference, a mean per token.

    Raises BadInput where the steps are no multiple of `updates`.
    """
    if recipe.steps % updates:
        raise BadInput(f"{recipe.steps} steps are no multiple of {updates} updates a sampling; change either")
    loss_of = _loss_of(model, roll, recipe.rows, loss, reference if kl > 0 else None, kl, updates)
    every_steps = updates * max(1, 500 // updates)
    return fit(model, loss_of, recipe, trained=trained, checkpoint=checkpoint, every_steps=every_steps)


def policy_logits(model: Transformer, tokens_BT: Tensor) -> Tensor:
    """Logits for each token but the first, given those before it; padding, which is never sampled, is left out."""
    logits_BTV: Tensor = model(tokens_BT[:, :-1])[..., PAD + 1 :]
    return logits_BTV


def policy_logp(logits_BTV: Tensor, tokens_BT: Tensor) -> Tensor:
    """Log-probabilities of each token but the first under `policy_logits`; those of padding mean nothing."""
    return token_logp(logits_BTV, (tokens_BT[:, 1:] - PAD - 1).clamp(min=0))


def reference_flops(reference: Transformer, tokens_BT: Tokens) -> int:
    """FLOPs of the reference's pass over the rows, 2 N a token."""
    return reading_flops(reference, token_count(tokens_BT))


def seed_of(rng: np.random.Generator) -> int:
    """A seed for sampling."""
    return int(rng.integers(2**62))


def _loss_of(
    model: Transformer,
    roll: Rollout,
    rows: int,
    loss: PolicyLoss,
    reference: Transformer | None,
    kl: float,
    updates: int,
) -> LossOf:
    waiting: list[Rollouts] = []

    def loss_of(rng: np.random.Generator) -> Loss:
        if not waiting:
            waiting.extend(_shares(roll(rng, rows * updates), updates, rng))
        part = waiting.pop(0)
        tokens_BT = torch.from_numpy(part.tokens_BT).to(model.device)
        old_logp_BT, advantage_BT, mask_BT = (
            torch.from_numpy(array[:, 1:]).to(model.device)
            for array in (part.logp_BT, part.advantage_BT, part.sampled_BT)
        )
        logits_BTV = policy_logits(model, tokens_BT)
        value = loss(policy_logp(logits_BTV, tokens_BT), old_logp_BT, advantage_BT, mask_BT)
        count = token_count(part.tokens_BT)
        if reference is None:
            return Loss(value, count, part.flops)
        with torch.no_grad(), reading(reference, part.tokens_BT, "reference"):
            reference_BTV = policy_logits(reference, tokens_BT)
        value = value + kl * token_mean(token_kl(logits_BTV, reference_BTV), mask_BT)
        return Loss(value, count, part.flops + reference_flops(reference, part.tokens_BT))

    return loss_of


def _shares(rollouts: Rollouts, updates: int, rng: np.random.Generator) -> list[Rollouts]:
    """The rows in so many random parts; the first bears the cost of sampling all."""
    if updates == 1:
        return [rollouts]
    parts = np.array_split(rng.permutation(len(rollouts.tokens_BT)), updates)
    r = rollouts
    return [
        Rollouts(r.tokens_BT[rows], r.sampled_BT[rows], r.logp_BT[rows], r.advantage_BT[rows], 0 if place else r.flops)
        for place, rows in enumerate(parts)
    ]
