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

__all__ = [
    "balanced_alpha",
    "binary_loss",
    "degrpo_loss",
    "degrpo_token_loss",
    "dpo_loss",
    "dpo_nll_loss",
    "kl_loss",
    "sampled_entropy",
    "sequence_logp",
    "sft_loss",
    "token_logp",
    "weighted_grpo_loss",
]
