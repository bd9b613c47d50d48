"""Losses of training: pure functions of tensors."""

from trueup.train.losses.degrpo import (
    balanced_alpha,
    degrpo_loss,
    degrpo_token_loss,
    sampled_entropy,
    weighted_grpo_loss,
)
from trueup.train.losses.dpo import dpo_loss, dpo_nll_loss, sequence_logp
from trueup.train.losses.likelihood import binary_loss, kl_loss, sft_loss, token_logp
from trueup.train.losses.policy import dapo_loss, dr_grpo_loss, group_advantage, grpo_loss
from trueup.train.losses.score import stage_one_loss, stage_one_reward, stage_two_loss, stage_two_reward

__all__ = [
    "balanced_alpha", "binary_loss", "dapo_loss", "degrpo_loss", "degrpo_token_loss", "dpo_loss", "dpo_nll_loss",
    "dr_grpo_loss", "group_advantage", "grpo_loss", "kl_loss", "sampled_entropy", "sequence_logp", "sft_loss",
    "stage_one_loss", "stage_one_reward", "stage_two_loss", "stage_two_reward", "token_logp", "weighted_grpo_loss",
]  # fmt: skip
