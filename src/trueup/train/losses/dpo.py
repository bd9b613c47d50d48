"""Direct preference optimisation, plain and with a likelihood term.

Rafailov et al. 2023, arXiv:2305.18290, eq. 7; Pang et al. 2024, arXiv:2404.19733, eq. 1.
Axes: B pair, T token, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from trueup.train.losses.likelihood import token_logp


def sequence_logp(logits_BTV: Tensor, token_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The log-probability of each row's tokens that the mask keeps, summed: axis B."""
    logp_B: Tensor = (token_logp(logits_BTV, token_BT) * mask_BT).sum(-1)
    return logp_B


def dpo_loss(
    policy_chosen_logp_B: Tensor,
    policy_rejected_logp_B: Tensor,
    reference_chosen_logp_B: Tensor,
    reference_rejected_logp_B: Tensor,
    *,
    beta: float,
) -> Tensor:
    """Mean of -log sigmoid(beta (chosen's log-ratio - rejected's)), a log-ratio being policy over reference.

    It is log 2 where the policy is the reference. Only the margin counts: both log-probabilities may fall.
    """
    chosen_B = policy_chosen_logp_B - reference_chosen_logp_B
    rejected_B = policy_rejected_logp_B - reference_rejected_logp_B
    return -functional.logsigmoid(beta * (chosen_B - rejected_B)).mean()


def dpo_nll_loss(
    policy_chosen_logp_B: Tensor,
    policy_rejected_logp_B: Tensor,
    reference_chosen_logp_B: Tensor,
    reference_rejected_logp_B: Tensor,
    chosen_length_B: Tensor,
    *,
    beta: float,
    alpha: float,
) -> Tensor:
    """`dpo_loss` plus alpha times the chosen texts' negative log-likelihood a token, each text weighing the same."""
    preferred = dpo_loss(
        policy_chosen_logp_B,
        policy_rejected_logp_B,
        reference_chosen_logp_B,
        reference_rejected_logp_B,
        beta=beta,
    )
    return preferred - alpha * (policy_chosen_logp_B / chosen_length_B).mean()
