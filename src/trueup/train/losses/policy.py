"""Policy-gradient losses over groups of attempts.

Three averages over tokens make three losses of one clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7):
GRPO weighs every attempt alike, DAPO every token, Dr.GRPO divides by a constant. Which attempts a policy learns to
make long or short hangs on that choice alone. A KL to a reference is added by the caller.
Axes: P problem, G attempt of one problem, B row, T token, V vocabulary. An advantage may have a T of 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_SPREAD = 1e-4


def group_advantage(reward_PG: Tensor, *, divide_by_std: bool = False, leave_one_out: bool = False) -> Tensor:
    """Each attempt's reward minus the mean of its group.

    `divide_by_std` as in GRPO (Shao et al. 2024, arXiv:2402.03300), without it as in Dr.GRPO (Liu et al. 2025,
    arXiv:2503.20783); `leave_one_out` takes the mean of the others, RLOO (Ahmadian et al. 2024, arXiv:2402.14740).
    """
    G = reward_PG.shape[1]
    advantage_PG = reward_PG - reward_PG.mean(1, keepdim=True)
    if leave_one_out:
        advantage_PG = advantage_PG * (G / (G - 1))
    if divide_by_std:
        advantage_PG = advantage_PG / (reward_PG.std(1, keepdim=True) + LEAST_SPREAD)
    return advantage_PG


def surrogate(
    logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor, *, clip_low: float = 0.2, clip_high: float = 0.2
) -> Tensor:
    """What each token is worth, to be maximised, axes BT; where both policies are one, its gradient is REINFORCE's."""
    ratio_BT = (logp_BT - old_logp_BT).exp()
    clipped_BT = ratio_BT.clamp(1 - clip_low, 1 + clip_high)
    return torch.minimum(ratio_BT * advantage_BT, clipped_BT * advantage_BT)


def grpo_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """Mean over attempts of the mean over their tokens, 1/T_i (Shao et al. 2024, arXiv:2402.03300, eq. 3)."""
    worth_BT = surrogate(logp_BT, old_logp_BT, advantage_BT, clip_low=clip_low, clip_high=clip_high)
    return -sequence_mean(worth_BT, mask_BT)


def dapo_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
) -> Tensor:
    """Mean over all tokens of the batch, clipped later above than below (Yu et al. 2025, arXiv:2503.14476, eq. 8)."""
    worth_BT = surrogate(logp_BT, old_logp_BT, advantage_BT, clip_low=clip_low, clip_high=clip_high)
    return -token_mean(worth_BT, mask_BT)


def dr_grpo_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    length: int,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """Sum over tokens by a constant `length`, such as the longest there may be (Liu et al. 2025, arXiv:2503.20783)."""
    worth_BT = surrogate(logp_BT, old_logp_BT, advantage_BT, clip_low=clip_low, clip_high=clip_high)
    return -constant_mean(worth_BT, mask_BT, length)


def sequence_mean(value_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean over rows of the mean over the tokens that the mask keeps."""
    kept_B = mask_BT.sum(1).clamp(min=1)
    return (_kept(value_BT, mask_BT).sum(1) / kept_B).mean()


def token_mean(value_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean over all tokens that the mask keeps."""
    return _kept(value_BT, mask_BT).sum() / mask_BT.sum().clamp(min=1)


def constant_mean(value_BT: Tensor, mask_BT: Tensor, length: int) -> Tensor:
    """Mean over rows of the sum over the tokens that the mask keeps, by a constant."""
    return _kept(value_BT, mask_BT).sum(1).mean() / length


def token_kl(logits_BTV: Tensor, reference_BTV: Tensor) -> Tensor:
    """KL(policy || reference) at every place, exact over the vocabulary, axes BT."""
    logp_BTV = logits_BTV.log_softmax(-1)
    return (logp_BTV.exp() * (logp_BTV - reference_BTV.log_softmax(-1))).sum(-1)


def kl_k1(logp_BT: Tensor, reference_logp_BT: Tensor) -> Tensor:
    """log(policy / reference) of sampled tokens: its mean is the KL, but its gradient's mean is 0. For reports.

    The names k1, k2, k3 are Schulman's (2020, "Approximating KL divergence").
    """
    return logp_BT - reference_logp_BT


def kl_k2(logp_BT: Tensor, reference_logp_BT: Tensor) -> Tensor:
    """Half the squared log-ratio of sampled tokens: its gradient's mean is that of KL(policy || reference)."""
    return (logp_BT - reference_logp_BT).square() / 2


def kl_k3(logp_BT: Tensor, reference_logp_BT: Tensor) -> Tensor:
    """GRPO's estimate, never negative: its mean is the KL, its gradient's mean that of KL(reference || policy)."""
    log_ratio_BT = reference_logp_BT - logp_BT
    return log_ratio_BT.exp() - log_ratio_BT - 1


def _kept(value_BT: Tensor, mask_BT: Tensor) -> Tensor:
    return torch.where(mask_BT, value_BT, 0.0)
