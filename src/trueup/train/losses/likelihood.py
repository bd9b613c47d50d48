"""Losses of likelihood and of distance to a reference.

Axes: B batch, T token, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from trueup.train.losses.policy import token_kl, token_mean


def sft_loss(logits_BTV: Tensor, target_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of the target tokens that the mask keeps.

    The logits at a place are those for the target at the same place: the caller has shifted them.
    """
    return -token_mean(token_logp(logits_BTV, target_BT), mask_BT)


def kl_loss(logits_BTV: Tensor, reference_BTV: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean KL(model || reference), in nats a token, at the places that the mask keeps; exact over the vocabulary."""
    return token_mean(token_kl(logits_BTV, reference_BTV), mask_BT)


def binary_loss(logit_BT: Tensor, label_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean binary cross-entropy, in nats, against labels in [0, 1] at the places that the mask keeps."""
    loss_BT = functional.binary_cross_entropy_with_logits(logit_BT, label_BT, reduction="none")
    return token_mean(loss_BT, mask_BT)


def token_logp(logits_BTV: Tensor, token_BT: Tensor) -> Tensor:
    """The log-probability of each token, axes BT."""
    V = logits_BTV.shape[-1]
    nats = functional.cross_entropy(logits_BTV.reshape(-1, V), token_BT.reshape(-1), reduction="none")
    return -nats.view(token_BT.shape)
