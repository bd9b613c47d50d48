"""Losses of policies against numbers worked out by hand, and exact expectations over small vocabularies."""

from __future__ import annotations

import math
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch import tensor  # noqa: E402

from trueup.train.losses.policy import (  # noqa: E402
    dapo_loss,
    dr_grpo_loss,
    group_advantage,
    grpo_loss,
    kl_k1,
    kl_k2,
    kl_k3,
    surrogate,
    token_kl,
)  # fmt: skip

LOSSES = (grpo_loss, dapo_loss, partial(dr_grpo_loss, length=4))


def test_an_advantage_is_the_distance_to_the_mean_of_the_group():
    reward_PG = tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert group_advantage(reward_PG).tolist() == [[0.75, -0.25, -0.25, -0.25], [0.0] * 4]
    out = group_advantage(reward_PG, leave_one_out=True)
    assert out[0].tolist() == pytest.approx([1.0, -1 / 3, -1 / 3, -1 / 3])


def test_division_by_the_spread_leaves_a_group_of_equals_at_nothing():
    out = group_advantage(tensor([[1.0, 0.0], [1.0, 1.0]]), divide_by_std=True)
    spread = math.sqrt(0.5) + 1e-4
    assert out[0].tolist() == pytest.approx([0.5 / spread, -0.5 / spread])
    assert out[1].tolist() == [0.0, 0.0]


def test_the_surrogate_is_clipped_on_the_side_that_would_gain():
    ratio = tensor([1.5, 1.5, 0.5, 0.5]).log()[:, None]
    worth = surrogate(ratio, torch.zeros(4, 1), tensor([[1.0], [-1.0], [1.0], [-1.0]]))
    assert worth[:, 0].tolist() == pytest.approx([1.2, -1.5, 0.5, -0.8])


def test_dapo_clips_later_above():
    ratio = tensor([[1.5]]).log()
    one, keep = torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool)
    assert -dapo_loss(ratio, torch.zeros(1, 1), one, keep).item() == pytest.approx(1.28)
    assert -grpo_loss(ratio, torch.zeros(1, 1), one, keep).item() == pytest.approx(1.2)


def test_the_three_averages_weigh_a_short_and_a_long_attempt_as_their_papers_say():
    logp_BT = torch.zeros(2, 4, requires_grad=True)
    mask_BT = tensor([[True, False, False, False], [True, True, True, True]])
    weights = []
    for loss in LOSSES:
        (grad_BT,) = torch.autograd.grad(loss(logp_BT, torch.zeros(2, 4), torch.ones(2, 1), mask_BT), logp_BT)
        weights.append(-grad_BT)
    for weight_BT, (first, others) in zip(weights, ((0.5, 0.125), (0.2, 0.2), (0.125, 0.125)), strict=True):
        assert torch.allclose(weight_BT, tensor([[first, 0, 0, 0], [others] * 4]))


def test_on_policy_the_gradient_is_that_of_reinforce():
    generator = torch.Generator().manual_seed(0)
    logp_BT = torch.randn(3, 2, generator=generator).requires_grad_()
    advantage_BT, keep = torch.randn(3, 2, generator=generator), torch.ones(3, 2, dtype=torch.bool)
    (grad_BT,) = torch.autograd.grad(grpo_loss(logp_BT, logp_BT.detach(), advantage_BT, keep), logp_BT)
    assert torch.allclose(grad_BT, -advantage_BT / 6)


def test_what_the_mask_leaves_out_does_not_count_even_when_it_is_not_a_number():
    logp_BT = tensor([[0.0, float("-inf")]])
    for loss in LOSSES:
        out = loss(logp_BT, torch.zeros(1, 2), torch.ones(1, 1), tensor([[True, False]]))
        assert math.isfinite(out.item())
        assert loss(logp_BT, torch.zeros(1, 2), torch.ones(1, 1), tensor([[False, False]])).item() == 0.0


def policies():
    """A policy of three tokens that can be differentiated, and a reference."""
    return tensor([[0.3, -1.0, 0.5]], requires_grad=True), tensor([[0.0, 0.4, -0.7]])


def test_estimates_of_the_kl_have_it_as_their_mean():
    logits_BV, reference_BV = policies()
    logp_BV, reference_logp_BV = logits_BV.log_softmax(-1), reference_BV.log_softmax(-1)
    exact = token_kl(logits_BV[None], reference_BV[None]).item()
    for estimate in (kl_k1, kl_k3):
        mean = (logp_BV.exp() * estimate(logp_BV, reference_logp_BV)).sum()
        assert mean.item() == pytest.approx(exact, rel=1e-5)
    assert (kl_k3(logp_BV, reference_logp_BV) >= 0).all()
    assert token_kl(logits_BV[None], logits_BV[None]).item() == pytest.approx(0.0, abs=1e-7)


def test_only_the_second_estimate_has_the_gradient_of_the_kl_to_the_reference():
    logits_BV, reference_BV = policies()
    logp_BV, reference_logp_BV = logits_BV.log_softmax(-1), reference_BV.log_softmax(-1)

    def mean_gradient(estimate):
        share_BV = logp_BV.exp().detach()
        return torch.autograd.grad(
            (share_BV * estimate(logp_BV, reference_logp_BV)).sum(), logits_BV, retain_graph=True
        )

    (to_reference,) = torch.autograd.grad(token_kl(logits_BV[None], reference_BV[None]).sum(), logits_BV)
    (from_reference,) = torch.autograd.grad(token_kl(reference_BV[None], logits_BV[None]).sum(), logits_BV)
    assert torch.allclose(mean_gradient(kl_k1)[0], torch.zeros(1, 3), atol=1e-6)
    assert torch.allclose(mean_gradient(kl_k2)[0], to_reference, atol=1e-6)
    assert torch.allclose(mean_gradient(kl_k3)[0], from_reference, atol=1e-6)
