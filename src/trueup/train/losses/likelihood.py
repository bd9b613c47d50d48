"""Losses of likelihood and of distance to a reference.

Axes: B batch, T token, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sft_loss(logits_BTV: Tensor, target_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of the target tokens that the mask keeps.

    The logits at a place are those for the target at the same place: the caller has shifted them.
    """
    return -_mean(token_logp(logits_BTV, target_BT), mask_BT)


def kl_loss(logits_BTV: Tensor, reference_BTV: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean KL(model || reference), in nats a token, at the places that the mask keeps; exact over the vocabulary."""
    logp_BTV = logits_BTV.log_softmax(-1)
    kl_BT = (logp_BTV.exp() * (logp_BTV - reference_BTV.log_softmax(-1))).sum(-1)
    return _mean(kl_BT, mask_BT)


def binary_loss(logit_BT: Tensor, label_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean binary cross-entropy, in nats, against labels in [0, 1] at the places that the mask keeps."""
    loss_BT = functional.binary_cross_entropy_with_logits(logit_BT, label_BT, reduction="none")
    return _mean(loss_BT, mask_BT)


def token_logp(logits_BTV: Tensor, token_BT: Tensor) -> Tensor:
    """The log-probability of each token, axes BT."""
    V = logits_BTV.shape[-1]
    nats = functional.cross_entropy(logits_BTV.reshape(-1, V), token_BT.reshape(-1), reduction="none")
    return -nats.view(token_BT.shape)


def _mean(value_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The mean of what the mask keeps, 0 where it keeps nothing."""
    kept_BT = mask_BT.to(value_BT.dtype)
    return torch.where(mask_BT, value_BT, 0.0).sum() / kept_BT.sum().clamp(min=1)
