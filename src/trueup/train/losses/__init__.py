"""Losses of training: pure functions of tensors."""

from trueup.train.losses.likelihood import binary_loss, kl_loss, sft_loss, token_logp

__all__ = ["binary_loss", "kl_loss", "sft_loss", "token_logp"]
