"""DeGRPO: its formula and gradient by hand, and where it is plain GRPO in another weight."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from trueup.train.losses.degrpo import (  # noqa: E402
    balanced_alpha,
    chosen_first,
    degrpo_loss,
    degrpo_token_loss,
    sampled_entropy,
    weighted_grpo_loss,
)
from trueup.train.losses.policy import dapo_loss, grpo_loss  # noqa: E402

MASK = torch.tensor([[False, True, True, True, True, False], [False, True, True, False, False, False]])
"""A choice and three tokens of answer, a choice and one; a prompt in front, padding behind."""
ADVANTAGE = torch.tensor([[-0.5], [2.0]]).expand(2, 6)


def policies(seed: int = 0):
    drawn = torch.Generator().manual_seed(seed)
    logp = (-torch.rand(2, 6, generator=drawn)).double().requires_grad_()
    return logp, (logp.detach() + 0.1 * torch.randn(2, 6, generator=drawn))


def same(logp):
    return logp, logp.detach().clone()


def gradient(loss, logp):
    (found,) = torch.autograd.grad(loss, logp)
    return found


def test_the_choice_is_the_first_token_that_is_learned():
    assert chosen_first(MASK).nonzero().tolist() == [[0, 1], [1, 1]]
    assert not chosen_first(torch.zeros(2, 3, dtype=torch.bool)).any()


def test_on_policy_the_loss_is_the_advantages_by_their_weights():
    # Ratios are 1: the paper's is -mean_i A_i (alpha + 1), the code's -(alpha mean A + sum T_i A_i / sum T_i).
    logp, old = same(policies()[0])
    assert degrpo_loss(logp, old, ADVANTAGE, MASK, alpha=0.1).item() == pytest.approx(-0.75 * 1.1)
    assert degrpo_token_loss(logp, old, ADVANTAGE, MASK, alpha=0.1).item() == pytest.approx(-0.075 - 0.5 / 4)


def test_on_policy_the_gradient_is_each_tokens_weight_times_its_advantage():
    logp, old = same(policies()[0])
    paper = gradient(degrpo_loss(logp, old, ADVANTAGE, MASK, alpha=0.1), logp)
    code = gradient(degrpo_token_loss(logp, old, ADVANTAGE, MASK, alpha=0.1), logp)
    third = 0.5 / (2 * 3)
    assert paper.tolist() == [
        pytest.approx([0, 0.1 * 0.5 / 2, third, third, third, 0]), pytest.approx([0, -0.1, -1.0, 0, 0, 0])
    ]  # fmt: skip
    assert code.tolist() == [
        pytest.approx([0, 0.1 * 0.5 / 2, 0.125, 0.125, 0.125, 0]), pytest.approx([0, -0.1, -0.5, 0, 0, 0])
    ]  # fmt: skip


def explicit(logp, old, advantage, alpha, response):
    total = 0.0
    for i, (begin, end) in enumerate([(1, 5), (1, 3)]):
        for t in range(begin, end):
            ratio = (logp[i, t] - old[i, t]).exp()
            worth = torch.minimum(ratio * advantage[i, t], ratio.clamp(0.8, 1.2) * advantage[i, t])
            total = total - worth * (alpha / 2 if t == begin else response[i])
    return total


@pytest.mark.parametrize(
    ("loss", "response"), [(degrpo_loss, [1 / (2 * 3), 1 / (2 * 1)]), (degrpo_token_loss, [1 / 4, 1 / 4])]
)
@pytest.mark.parametrize("alpha", [0.0, 0.05, 3.0])
def test_off_policy_loss_and_gradient_are_those_of_the_formula(loss, response, alpha):
    for seed in range(5):
        logp, old = policies(seed)
        found, expected = loss(logp, old, ADVANTAGE, MASK, alpha=alpha), explicit(logp, old, ADVANTAGE, alpha, response)
        assert found.item() == pytest.approx(expected.item(), abs=1e-9)
        assert torch.allclose(gradient(found, logp), gradient(expected, logp), atol=1e-9)


def test_with_the_mean_weight_of_a_token_it_is_the_plain_token_mean():
    # 2 choices and 4 other tokens: alpha = 2 / 4, and the whole is then 6 / 4 of the mean over all 6.
    logp, old = policies()
    plain = dapo_loss(logp, old, ADVANTAGE, MASK, clip_high=0.2)
    found = degrpo_token_loss(logp, old, ADVANTAGE, MASK, alpha=2 / 4)
    assert found.item() == pytest.approx(6 / 4 * plain.item())
    assert torch.allclose(gradient(found, logp), 6 / 4 * gradient(plain, logp))


def test_with_equal_lengths_every_normalisation_is_one_loss():
    logp, old = policies()
    mask = torch.tensor([[False, True, True, True, True, False]] * 2)
    plain = grpo_loss(logp, old, ADVANTAGE, mask)
    for loss in (degrpo_loss, degrpo_token_loss):
        assert loss(logp, old, ADVANTAGE, mask, alpha=1 / 3).item() == pytest.approx(4 / 3 * plain.item())
    weighted = weighted_grpo_loss(logp, old, ADVANTAGE, mask, weight=3 * 0.7)
    assert (4 / 3 * weighted).item() == pytest.approx(degrpo_loss(logp, old, ADVANTAGE, mask, alpha=0.7).item())


def test_plain_grpo_weighs_the_choice_of_the_longer_mode_less_and_degrpo_does_not():
    logp, old = same(policies()[0])
    one = torch.ones(2, 6)
    plain = -gradient(grpo_loss(logp, old, one, MASK), logp)[:, 1]
    apart = -gradient(degrpo_loss(logp, old, one, MASK, alpha=0.1), logp)[:, 1]
    assert plain.tolist() == pytest.approx([1 / (2 * 4), 1 / (2 * 2)])
    assert apart.tolist() == pytest.approx([0.05, 0.05])


def test_a_weight_of_one_is_plain_grpo_and_a_larger_one_moves_the_choice_alone():
    logp, old = policies()
    plain = grpo_loss(logp, old, ADVANTAGE, MASK)
    assert torch.equal(weighted_grpo_loss(logp, old, ADVANTAGE, MASK, weight=1.0), plain)
    heavy = gradient(weighted_grpo_loss(logp, old, ADVANTAGE, MASK, weight=5.0), logp)
    light = gradient(plain, logp)
    first = chosen_first(MASK)
    assert torch.allclose(heavy[first], 5 * light[first]) and torch.equal(heavy[~first], light[~first])


def test_the_sampled_entropy_has_the_gradient_of_the_entropy():
    logits = torch.tensor([0.3, -1.1], dtype=torch.double, requires_grad=True)
    logp = logits.log_softmax(0)
    exact = gradient(-(logp.exp() * logp).sum(), logits)
    # Every outcome as often as it comes: 1,000 rows of which p are the first.
    share = round(1000 * logp[0].exp().item())
    logits_2 = torch.tensor([share / 1000, 1 - share / 1000], dtype=torch.double).log().requires_grad_()
    logp_2 = logits_2.log_softmax(0)
    rows = torch.cat([logp_2[:1].expand(share), logp_2[1:].expand(1000 - share)])[:, None]
    found = gradient(sampled_entropy(rows, torch.ones_like(rows, dtype=torch.bool)), logits_2)
    assert found.tolist() == pytest.approx(exact.tolist(), abs=2e-3)


def test_the_balanced_alpha_lies_between_the_weights_of_both_modes():
    assert balanced_alpha(8, 40) == pytest.approx(0.0520, abs=1e-4)
    assert balanced_alpha(12, 120) == pytest.approx(0.0252, abs=1e-4)
    assert balanced_alpha(9, 9) == pytest.approx(0.1)
