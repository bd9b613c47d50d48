"""SCoRe: rewards and losses of two attempts at one problem.

Kumar et al. 2024, arXiv:2409.12917, eq. 3 and 4. REINFORCE with a KL to a fixed reference; a turn's tokens are credited
with that turn's reward alone (discount 0). Reward sums are over the tokens of a row, means over rows, as the equations
have them. The KL of each token is exact over the vocabulary; that a token also moves the KL of later ones is left out.
Axes: B row, K turn (2 of them), T token. `turn_BT` says whose attempt a token is: 1, 2, or 0 for what was given.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stage_one_reward(reward_BK: Tensor) -> Tensor:
    """What each turn's tokens are credited with in Stage I: the first nothing, the second its reward; axes BK."""
    return torch.stack([torch.zeros_like(reward_BK[:, 0]), reward_BK[:, 1]], 1)


def stage_two_reward(reward_BK: Tensor, *, alpha: float = 10.0) -> Tensor:
    """The same in Stage II: r1, and r2 + alpha (r2 - r1), which goes to the second turn alone; axes BK.

    Credited to the first turn too, the bonus would reward a wrong first attempt wherever alpha > 1.
    """
    first_B, second_B = reward_BK.unbind(1)
    return torch.stack([first_B, second_B + alpha * (second_B - first_B)], 1)


def stage_one_loss(
    logp_BT: Tensor, advantage_BK: Tensor, kl_BT: Tensor, turn_BT: Tensor, *, beta1: float = 0.01, beta2: float = 0.1
) -> Tensor:
    """Eq. 3: make the second attempt right, the first held to the reference by beta2, both by a small beta1."""
    return stage_two_loss(logp_BT, advantage_BK, kl_BT, turn_BT, beta1=beta1) + beta2 * first_kl(kl_BT, turn_BT)


def stage_two_loss(
    logp_BT: Tensor, advantage_BK: Tensor, kl_BT: Tensor, turn_BT: Tensor, *, beta1: float = 0.01
) -> Tensor:
    """Eq. 4: make both attempts right, each turn's tokens weighted by its own advantage."""
    weight_BT = of_turn(advantage_BK, turn_BT)
    worth_BT = weight_BT * logp_BT - beta1 * kl_BT
    return -torch.where(turn_BT > 0, worth_BT, 0.0).sum(1).mean()


def first_kl(kl_BT: Tensor, turn_BT: Tensor) -> Tensor:
    """The KL of the first attempt's tokens, summed over them: what anchors it."""
    return torch.where(turn_BT == 1, kl_BT, 0.0).sum(1).mean()


def of_turn(value_BK: Tensor, turn_BT: Tensor) -> Tensor:
    """Each token's value: that of the turn it belongs to, 0 for what was given; axes BT."""
    K = value_BK.shape[1]
    padded_BK = torch.cat([torch.zeros_like(value_BK[:, :1]), value_BK], 1)
    return padded_BK.gather(1, turn_BT.clamp(0, K))
