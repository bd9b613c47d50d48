"""DeGRPO: the choice of a mode learned apart from the answer.

Fang, Ma and Wang 2025, Thinkless, arXiv:2505.13379: the first token that is sampled says whether to think. GRPO gives
it 1/(T_i + 1) of an attempt's loss, so the longer mode's choice counts for less; here it has a weight of its own. The
paper's formula and the code that its authors released differ in how the answer is averaged, so both are here.
`alpha` hangs on the lengths: where both modes are about T tokens long 1/(T + 1) is the weight that GRPO gives, and the
paper's .001 fits answers of a thousand tokens, not of ten.
Axes: B row, T token; T_i tokens of row i behind the choice.
"""

from __future__ import annotations

from math import sqrt

from torch import Tensor

from trueup.train.losses.policy import sequence_mean, surrogate, token_mean


def degrpo_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    alpha: float,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """The paper's: mean over attempts of alpha L_i0 + 1/T_i sum_t L_it."""
    worth_BT = surrogate(logp_BT, old_logp_BT, advantage_BT, clip_low=clip_low, clip_high=clip_high)
    first_BT = chosen_first(mask_BT)
    return -alpha * token_mean(worth_BT, first_BT) - sequence_mean(worth_BT, mask_BT & ~first_BT)


def degrpo_token_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    alpha: float,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """The released code's: alpha times the mean over choices, and the mean over all other tokens of the batch."""
    worth_BT = surrogate(logp_BT, old_logp_BT, advantage_BT, clip_low=clip_low, clip_high=clip_high)
    first_BT = chosen_first(mask_BT)
    return -alpha * token_mean(worth_BT, first_BT) - token_mean(worth_BT, mask_BT & ~first_BT)


def weighted_grpo_loss(
    logp_BT: Tensor,
    old_logp_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    weight: float,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """GRPO whose first token counts `weight` times: mean over attempts of 1/(T_i + 1) (weight L_i0 + sum_t L_it).

    A control: it balances choice and answer as DeGRPO does, and leaves the imbalance between the modes.
    """
    worth_BT = surrogate(logp_BT, old_logp_BT, advantage_BT, clip_low=clip_low, clip_high=clip_high)
    first_BT = chosen_first(mask_BT)
    return -sequence_mean(worth_BT.where(~first_BT, weight * worth_BT), mask_BT)


def sampled_entropy(logp_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Mean over tokens of what each sampled one adds to the entropy, for its gradient alone.

    The gradient of an entropy is -E[log p grad log p], which sampled tokens estimate without a look at the others where
    they come from the policy as it is. The value means nothing.
    """
    return -token_mean(logp_BT.detach() * logp_BT, mask_BT)


def balanced_alpha(short_tokens: float, long_tokens: float) -> float:
    """The geometric middle of the weights 1/(T + 1) that GRPO gives the choices of either mode."""
    return 1.0 / sqrt((short_tokens + 1.0) * (long_tokens + 1.0))


def chosen_first(mask_BT: Tensor) -> Tensor:
    """The first token of each row that the mask keeps: where the mode is chosen."""
    return mask_BT & (mask_BT.cumsum(1) == 1)
