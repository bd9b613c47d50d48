"""DPO's losses against numbers worked out by hand, and pairs of a laboratory model."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from trueup.core.errors import BadInput  # noqa: E402
from trueup.train.laboratory import Examples, Pairs, Recipe, Shape, Transformer, examples  # noqa: E402
from trueup.train.laboratory.preferences import (  # noqa: E402
    Graded,
    Preferences,
    log_probabilities,
    mined,
    reference_flops,
    swapped,
    train_dpo,
)
from trueup.train.laboratory.vocabulary import encode_rows  # noqa: E402
from trueup.train.losses.dpo import dpo_loss, dpo_nll_loss, sequence_logp  # noqa: E402

CHOSEN, REJECTED = torch.tensor([-1.0, -5.0]), torch.tensor([-2.0, -3.0])


def number(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_it_is_log_2_where_the_policy_is_the_reference():
    assert dpo_loss(CHOSEN, REJECTED, CHOSEN, REJECTED, beta=0.3).item() == pytest.approx(log(2))


def test_it_is_minus_log_sigmoid_of_beta_times_the_margin():
    loss = dpo_loss(number(-1), number(-4), number(-3), number(-2), beta=0.5)
    assert loss.item() == pytest.approx(log(1 + exp(-0.5 * (2 + 2))))


def test_pairs_weigh_the_same():
    loss = dpo_loss(number(0, 0), number(0, -3), number(0, 0), number(0, 0), beta=1.0)
    assert loss.item() == pytest.approx((log(2) + log(1 + exp(-3))) / 2)


def test_only_the_margin_counts_so_both_may_fall():
    kept = dpo_loss(CHOSEN, REJECTED, 2 * CHOSEN, REJECTED, beta=0.1)
    assert dpo_loss(CHOSEN - 7, REJECTED - 7, 2 * CHOSEN, REJECTED, beta=0.1).item() == pytest.approx(kept.item())


def test_it_vanishes_for_a_wide_margin_and_is_linear_for_one_the_wrong_way():
    wide = dpo_loss(number(200), number(-200), number(0), number(0), beta=1.0)
    wrong = dpo_loss(number(-200), number(200), number(0), number(0), beta=0.5)
    assert (wide.item(), wrong.item()) == (pytest.approx(0.0), pytest.approx(0.5 * 400))


def test_its_gradient_pushes_both_sides_by_beta_times_how_wrong_it_is():
    chosen, rejected = number(-1).requires_grad_(), number(-4).requires_grad_()
    dpo_loss(chosen, rejected, number(-3), number(-2), beta=0.5).backward()
    push = 0.5 / (1 + exp(0.5 * 4))
    assert (chosen.grad.item(), rejected.grad.item()) == (pytest.approx(-push), pytest.approx(push))


def test_the_likelihood_term_is_a_mean_a_token_of_the_chosen_alone():
    loss = dpo_nll_loss(CHOSEN, REJECTED, CHOSEN, REJECTED, torch.tensor([2, 10]), beta=0.3, alpha=2.0)
    assert loss.item() == pytest.approx(log(2) + 2.0 * (1 / 2 + 5 / 10) / 2)


def test_without_weight_the_likelihood_term_is_gone():
    sides = (CHOSEN, REJECTED, REJECTED, CHOSEN)
    with_term = dpo_nll_loss(*sides, torch.tensor([1, 1]), beta=0.3, alpha=0.0)
    assert with_term.item() == pytest.approx(dpo_loss(*sides, beta=0.3).item())


def test_a_sequence_s_log_probability_sums_the_tokens_that_the_mask_keeps():
    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]]))
    tokens, mask = torch.tensor([[0, 1, 2]]), torch.tensor([[True, False, True]])
    assert sequence_logp(logits, tokens, mask).tolist() == [pytest.approx(log(0.5) + log(0.6))]


PROMPTS = encode_rows(["1+2=", "2+2="])


def rows(*texts: str) -> Examples:
    return examples(Pairs(PROMPTS[: len(texts)], encode_rows(texts)))


def tiny() -> Transformer:
    return Transformer(Shape(width=16, layers=1, heads=2, context=16), seed=0)


def test_mining_pairs_a_right_with_a_wrong_one_of_prompts_that_have_both():
    prompts = encode_rows(["1=", "2=", "3="])
    right = np.array([[True, False], [True, True], [False, True]])
    own = np.stack([encode_rows(["a$", "b$"]), encode_rows(["c$", "d$"]), encode_rows(["e$", "f$"])])
    pairs = mined(prompts, Graded(own, right), Graded(own, right), np.random.default_rng(0))
    assert pairs.chosen.tokens_BT.tolist() == encode_rows(["1=a$", "3=f$"]).tolist()
    assert pairs.rejected.tokens_BT.tolist() == encode_rows(["1=b$", "3=e$"]).tolist()
    assert not pairs.chosen.learned_BT[:, :2].any() and pairs.chosen.learned_BT[:, 2:].all()


def test_a_coin_turns_about_half_of_the_pairs_and_loses_none():
    many = np.arange(400) % 30 + 2
    sides = [Examples(np.stack([many, many + side], 1), np.ones((400, 2), bool)) for side in (0, 1)]
    turned = swapped(Preferences(*sides), np.random.default_rng(0))
    both = turned.chosen.tokens_BT + turned.rejected.tokens_BT
    assert (both == sides[0].tokens_BT + sides[1].tokens_BT).all()
    assert 150 < (turned.chosen.tokens_BT == sides[1].tokens_BT).all(1).sum() < 250


def test_dpo_widens_the_margin_and_counts_both_sides_and_the_reference():
    model, reference = tiny(), tiny()
    pairs = Preferences(rows("#3$", "#4$"), rows("#4$", "#55$"))
    before = log_probabilities(model, pairs.chosen) - log_probabilities(model, pairs.rejected)
    seen: list[int] = []
    spent = train_dpo(model, reference, pairs, Recipe(20, rows=4, lr=5e-3), watch=lambda: seen.append(1))
    after = log_probabilities(model, pairs.chosen) - log_probabilities(model, pairs.rejected)
    assert (after > before + 1).all() and len(seen) == 20
    assert reference_flops(reference, pairs) == 2 * reference.parameter_count * (7 + 7 + 7 + 8)
    assert spent.flops == 6 * model.parameter_count * spent.tokens + reference_flops(reference, pairs)
    assert 20 * 4 * 14 <= spent.tokens <= 20 * 4 * 15


def test_the_likelihood_term_keeps_the_chosen_likely():
    pairs = Preferences(rows("#3$", "#4$"), rows("#4$", "#55$"))
    ends = []
    for nll in (0.0, 1.0):
        model = tiny()
        train_dpo(model, tiny(), pairs, Recipe(20, rows=4, lr=1e-3), nll=nll)
        ends.append(log_probabilities(model, pairs.chosen).mean())
    assert ends[1] > ends[0]


def test_no_pairs_are_refused():
    nothing = Examples(np.zeros((0, 4), np.int64), np.zeros((0, 4), bool))
    with pytest.raises(BadInput, match="no pairs to learn from"):
        train_dpo(tiny(), tiny(), Preferences(nothing, nothing), Recipe(1))
