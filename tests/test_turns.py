"""Two turns: rows that reveal nothing, SCoRe's losses by hand, who is credited with what, and runs of seconds."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import tensor  # noqa: E402

from trueup.core.errors import BadInput  # noqa: E402
from trueup.train.laboratory import Recipe, Shape, Transformer, sampling_flops  # noqa: E402
from trueup.train.laboratory.policy import attempts_at, policy_logits, policy_logp, reinforce  # noqa: E402
from trueup.train.laboratory.tasks import Addition  # noqa: E402
from trueup.train.laboratory.tasks.sums import Sums  # noqa: E402
from trueup.train.laboratory.tasks.two_turns import TwoTurns, finite  # noqa: E402
from trueup.train.laboratory.turn_policy import coin, reinforce_turns, right, score_stages, turn_loss  # noqa: E402
from trueup.train.laboratory.turn_tuning import (  # noqa: E402
    corrected,
    ended_right,
    paired_up,
    paired_up_and_kept,
    told,
    tune_turns,
)  # fmt: skip
from trueup.train.laboratory.turns import Episodes, answered, episodes  # noqa: E402
from trueup.train.laboratory.vocabulary import END, PAD, decode, encode_rows  # noqa: E402
from trueup.train.losses.policy import dapo_loss  # noqa: E402
from trueup.train.losses.score import (  # noqa: E402
    first_kl,
    of_turn,
    stage_one_loss,
    stage_one_reward,
    stage_two_loss,
    stage_two_reward,
)  # fmt: skip

SUMS = Sums(3, 2)
TWO = TwoTurns(SUMS, 1)
QUICK = Recipe(4, rows=16, lr=1e-2, schedule="constant", warmup_steps=1, weight_decay=0.0)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny(seed=0):
    return Transformer(Shape(width=8, layers=1, heads=2, context=32), seed=seed).eval()


def prompts(n=6, seed=0):
    return TWO.prompts(np.random.default_rng(seed), n)


def test_sums_in_base_ten_are_additions():
    ours, theirs = Sums(10, 3), Addition(most=3)
    rows = ours.prompts(np.random.default_rng(0), 50)
    assert (ours.targets(rows) == theirs.targets(rows)).all()
    assert (ours.answers(rows) == theirs.answers(rows)).all()


def test_every_problem_has_a_number_of_its_own():
    rows = SUMS.named(np.arange(SUMS.count))
    assert len(np.unique(rows, axis=0)) == SUMS.count == 81
    assert [decode(row) for row in SUMS.named(np.array([0, 80, 5]))] == ["00+00=", "22+22=", "00+12="]
    assert decode(SUMS.targets(SUMS.named(np.array([80])))[0]) == "#121"


def test_sums_that_cannot_be_written_are_refused():
    with pytest.raises(BadInput, match="sums of 3 digits in base 37"):
        Sums(37, 3)


def test_the_request_is_the_same_behind_right_and_wrong_and_rows_have_one_length():
    first = encode_rows(["#010$", "#0$", "#0101"])
    rows = TWO.again(SUMS.named(np.array([4, 4, 4])), first)
    assert ["".join("_$0123456789"[t] if t < 12 else "." for t in row) for row in rows] == [
        "00.11..010$.", "00.11..0$$$.", "00.11..0101."]  # fmt: skip
    assert (rows != PAD).all()


def test_what_was_filled_in_belongs_to_no_turn():
    first, second = encode_rows(["#0$", "#010$"]), encode_rows(["#010$", "#0$"])
    turns = TWO.turns(prompts(2), first, second)
    assert turns[:, 6:].tolist() == [[1, 1, 1, 0, 0, 0, 2, 2, 2, 2, 2], [1, 1, 1, 1, 1, 0, 2, 2, 2, 0, 0]]
    assert (turns[:, :6] == 0).all()


def test_a_bonus_never_pays_for_a_wrong_first_attempt():
    """Every pair of grades: the first turn's credit is its own reward, whatever alpha; the second's has the bonus."""
    reward_BK = tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert stage_two_reward(reward_BK, alpha=10.0).tolist() == [[0, 0], [0, 11], [1, -10], [1, 1]]
    assert stage_two_reward(reward_BK, alpha=0.0).tolist() == reward_BK.tolist()
    assert stage_one_reward(reward_BK).tolist() == [[0, 0], [0, 1], [0, 0], [0, 1]]


def test_the_shaped_credit_given_a_first_attempt_is_the_plain_one_scaled():
    """Among second attempts behind one first attempt, alpha scales what sets them apart and changes nothing else."""
    reward_BK = tensor([[1.0, 0.0], [1.0, 1.0]])
    apart = [stage_two_reward(reward_BK, alpha=alpha)[:, 1].diff().item() for alpha in (0.0, 10.0)]
    assert apart == [1.0, 11.0]


def test_losses_of_both_stages_by_hand():
    logp_BT = tensor([[-1.0, -2.0, -3.0, -4.0, -9.0]])
    turn_BT, kl_BT = tensor([[1, 1, 0, 2, 0]]), tensor([[0.5, 0.25, 7.0, 2.0, 7.0]])
    advantage_BK = tensor([[0.5, -2.0]])
    assert of_turn(advantage_BK, turn_BT).tolist() == [[0.5, 0.5, 0.0, -2.0, 0.0]]
    plain = -(0.5 * -3.0 + -2.0 * -4.0)
    two = stage_two_loss(logp_BT, advantage_BK, kl_BT, turn_BT, beta1=0.1)
    assert two.item() == pytest.approx(plain + 0.1 * 2.75)
    assert first_kl(kl_BT, turn_BT).item() == 0.75
    one = stage_one_loss(logp_BT, advantage_BK, kl_BT, turn_BT, beta1=0.1, beta2=2.0)
    assert one.item() == pytest.approx(plain + 0.1 * 2.75 + 2.0 * 0.75)


def test_in_the_first_stage_only_the_anchor_moves_the_first_turn():
    logp_BT = torch.zeros(1, 2, requires_grad=True)
    advantage_BK = stage_one_reward(tensor([[1.0, 1.0]]))
    (grad_BT,) = torch.autograd.grad(
        stage_one_loss(logp_BT, advantage_BK, torch.zeros(1, 2), tensor([[1, 2]])), logp_BT
    )
    assert grad_BT.tolist() == [[0.0, -1.0]]


def test_at_the_reference_the_anchor_is_nothing():
    model = tiny()
    found = episodes(model, TWO, prompts(), seed=1)
    advantage_BK = torch.zeros(len(found.prompts_BP), 2)
    loss = turn_loss(model, copy.deepcopy(model), TWO, found, advantage_BK, beta1=1.0, beta2=1.0)
    assert loss.value.item() == pytest.approx(0.0, abs=1e-5)


def test_what_the_sampler_says_of_its_tokens_is_what_training_says():
    model = tiny()
    roll = attempts_at(model, lambda rng, n: TWO.prompts(rng, n), SUMS.check, group=4, most=TWO.most)
    out = roll(np.random.default_rng(0), 16)
    tokens_BT = torch.from_numpy(out.tokens_BT)
    with torch.no_grad():
        logp_BT = policy_logp(policy_logits(model, tokens_BT), tokens_BT).numpy()
    marks = out.sampled_BT[:, 1:]
    assert np.allclose(logp_BT[marks], out.logp_BT[:, 1:][marks], atol=1e-4)
    assert (out.tokens_BT[out.sampled_BT] != PAD).all() and (out.advantage_BT[~out.sampled_BT] == 0).all()


def test_episodes_are_the_same_again_and_cost_two_attempts():
    model = tiny()
    one, two = (episodes(model, TWO, prompts(), n=3, seed=5) for _ in range(2))
    assert (one.rows(TWO) == two.rows(TWO)).all()
    lengths = [(attempt != PAD).sum(1) for attempt in (one.first_BT, one.second_BT)]
    first = sampling_flops(model, 6, lengths[0], prompts=6)
    assert one.flops == first + sampling_flops(model, 6 + TWO.most + 1, lengths[1], prompts=18)
    again = answered(model, TWO, one.prompts_BP, one.first_BT, temperature=0.0)
    assert (again.first_BT == one.first_BT).all()


def made_up():
    """Two problems, a group of eight each: the first is once right at first, the second never at all."""
    rows = SUMS.named(np.array([4, 8])).repeat(8, 0)
    first = SUMS.targets(rows)
    wrong = first.copy()
    wrong[:, 1] = first[:, 1] + 1
    first_BT, second_BT = wrong.copy(), wrong.copy()
    first_BT[0], second_BT[1] = first[0], first[1]
    grades = [TWO.right(rows, attempt) for attempt in (first_BT, second_BT)]
    return Episodes(rows, first_BT, second_BT, np.stack(grades, 1)), first


def test_traces_are_chosen_as_their_names_say():
    found, answers = made_up()
    rng = np.random.default_rng(0)
    assert found.right_BK.sum(0).tolist() == [1, 1]
    assert (corrected(found, TWO, rng).second_BT == answers[1]).all() and len(corrected(found, TWO, rng).second_BT) == 1
    assert len(ended_right(found, TWO, rng).second_BT) == 1
    pairs, kept = paired_up(found, TWO, rng), paired_up_and_kept(found, TWO, rng)
    assert (len(pairs.second_BT), len(kept.second_BT)) == (7, 8)
    assert (kept.second_BT == answers[:8]).all() and (kept.first_BT == found.first_BT[:8]).all()
    given = told(found, TWO, rng)
    assert TWO.right(given.prompts_BP, given.second_BT).all() and (given.first_BT == found.first_BT).all()


def test_a_coin_grades_without_looking():
    found, _ = made_up()
    grades = coin(found, np.random.default_rng(0))
    assert set(np.unique(grades)) <= {0.0, 1.0} and 0 < grades.mean() < 1
    assert (right(found, np.random.default_rng(0)) == found.right_BK).all()


def is_even(prompts_BP, completions_BT):
    """A reward that an untrained model gets half the time."""
    return (completions_BT[:, 0] % 2 == 0).astype(np.float32)


def test_every_way_of_learning_gives_the_same_weights_again_and_counts_its_episodes():
    base, problems = tiny(), finite(SUMS.named(np.arange(40)))
    for learn in (
        lambda m: reinforce_turns(m, TWO, problems, score_stages(), QUICK, reference=base),
        lambda m: tune_turns(m, TWO, problems, told, QUICK, rounds=2, reference=base, anchor=0.1),
        lambda m: reinforce(m, attempts_at(m, problems, is_even, group=8, most=5), QUICK, loss=dapo_loss, updates=2),
    ):
        one, two = copy.deepcopy(base), copy.deepcopy(base)
        first, second = learn(one), learn(two)
        assert (first.steps, first.tokens, first.flops) == (second.steps, second.tokens, second.flops)
        assert first.steps == QUICK.steps and first.flops > 6 * base.parameter_count * first.tokens
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
        assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), base.parameters(), strict=True))


def test_a_round_that_selects_nothing_learns_nothing_and_is_still_paid():
    base = tiny()
    model = copy.deepcopy(base)

    def nothing(found, two_turns, rng):
        return found.only(np.zeros(len(found.prompts_BP), bool))

    spent = tune_turns(model, TWO, TWO.prompts, nothing, QUICK, rounds=1, reference=base)
    assert (spent.tokens, spent.steps) == (0, 4) and spent.flops > 0
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), base.parameters(), strict=True))


def test_a_stage_is_left_out_where_its_share_is_nothing():
    assert [stage.share for stage in score_stages()] == [0.5, 0.5]
    (only,) = score_stages(first=0.0, alpha=0.0)
    assert only.share == 1.0 and only.credit(tensor([[0.0, 1.0]])).tolist() == [[0.0, 1.0]]


def test_updates_must_divide_the_steps():
    model = tiny()
    roll = attempts_at(model, TWO.prompts, SUMS.check, group=8, most=5)
    with pytest.raises(BadInput, match="4 steps are no multiple of 3 updates"):
        reinforce(model, roll, QUICK, updates=3)


def test_reinforcement_finds_what_is_rewarded():
    """The end mark at once is worth everything: in a few dozen updates every attempt ends at once."""
    model = tiny()

    def ends(prompts_BP, completions_BT):
        return (completions_BT[:, 0] == END).astype(np.float32)

    roll = attempts_at(model, TWO.prompts, ends, group=16, most=2)
    recipe = Recipe(60, rows=256, lr=1e-2, schedule="constant", warmup_steps=1, weight_decay=0.0)
    reinforce(model, roll, recipe)
    out = roll(np.random.default_rng(9), 256)
    assert (out.tokens_BT[:, 6] == END).mean() > 0.9
