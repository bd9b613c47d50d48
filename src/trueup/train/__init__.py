"""Training: losses, and the laboratory of tiny models trained from scratch."""

from trueup.train.losses import binary_loss, kl_loss, sft_loss, token_logp

__all__ = ["binary_loss", "kl_loss", "sft_loss", "token_logp"]
