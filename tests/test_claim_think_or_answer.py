"""When to think: the task's dial, both modes and their rewards, routers at one cost, the criterion alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueup.claims import think_routers as routers
from trueup.claims.gap import Difference
from trueup.claims.pieces import Pieces
from trueup.claims.think_contrasts import ALWAYS, LOGISTIC, RANDOM, Found, Rival
from trueup.claims.think_models import Seen, Size
from trueup.claims.think_or_answer import (
    ARMS,
    GRPO,
    GRPO_TOKEN,
    LEARNING,
    MAIN,
    MAIN_TOKEN,
    PAIRS,
    PLAIN,
    SIZES,
    STD,
    WEIGHTED,
    collapse_verdict,
    decide,
    put_to_test,
    routing_verdict,
    think_or_answer,
)
from trueup.claims.think_trace import Trace
from trueup.core.errors import BadInput

MINI = Size(
    most=2, width=16, warm=(0.5, 0.5), warm_steps=2, updates=3, items=12, labelled=12, rows=16,
    arms=ARMS,
)  # fmt: skip
EVEN = Difference(0.0, (-0.01, 0.01))
WORSE = Rival(Difference(-0.1, (-0.12, -0.08)), 1.0, 0.3)
AS_GOOD = Rival(EVEN, 1.0, 0.3)


def found(**changes) -> Found:
    ahead = Difference(0.05, (0.03, 0.07))
    usual = Found(
        0.5, np.array([1.0, 1.0, 0.9, 0.5, 0.4]), np.full(5, 0.99),
        {**dict.fromkeys(ARMS, 0.4), GRPO: 0.001}, 1.0,
        {RANDOM: ahead, LOGISTIC: ahead, ALWAYS: EVEN}, 0.65, dict.fromkeys(PLAIN, WORSE),
    )  # fmt: skip
    return replace(usual, **changes)


def test_both_halves_in_four_of_five_seeds_reproduce_the_claim():
    lost = found(minority={**found().minority, GRPO: 0.02})
    assert decide([found()] * 4 + [lost]) == "reproduced"
    assert decide([found()] * 3 + [lost] * 2) == "inconclusive"
    assert decide([found()] * 3 + [found(spearman=0.9)] * 2) == "inconclusive"


def test_a_mode_must_be_lost_by_the_plain_loss_and_kept_by_the_other_in_one_normalisation():
    def shares(grpo, main, token, main_token):
        named = {GRPO: grpo, MAIN: main, GRPO_TOKEN: token, MAIN_TOKEN: main_token}
        return found(minority={**found().minority, **named})

    assert collapse_verdict([shares(0.3, 0.3, 0.01, 0.05)] * 5) == "reproduced"
    assert collapse_verdict([shares(0.01, 0.04, 0.3, 0.3)] * 5) == "inconclusive"
    assert collapse_verdict([shares(0.01, 0.04, 0.3, 0.3), shares(0.3, 0.3, 0.01, 0.04)] * 2) == "inconclusive"


@pytest.mark.parametrize(
    "changes",
    [
        {"spearman": 0.9},
        {"tokens": 0.71},
        {"over": {**found().over, ALWAYS: Difference(-0.01, (-0.02, 0.0))}},
        {"over": {**found().over, RANDOM: EVEN}},
        {"over": {**found().over, LOGISTIC: EVEN}},
        {"short_D": np.array([1.0, 1.0, 0.4, 0.4])},
    ],
)
def test_every_part_of_the_routing_half_is_needed(changes):
    assert routing_verdict([found()] * 5) == "reproduced"
    assert routing_verdict([found(**changes)] * 5) == "inconclusive"


def test_one_plain_loss_that_does_as_well_refutes():
    one, other = ({**found().rivals, name: AS_GOOD} for name in (WEIGHTED, STD))
    assert decide([found(rivals=one)] * 4 + [found()]) == "refuted"
    assert decide([found(rivals=one)] * 3 + [found(rivals=other)] * 2) == "reproduced"


@pytest.mark.parametrize(
    "rival",
    [
        Rival(EVEN, 1.0, 0.049), Rival(EVEN, 1.051, 0.3), Rival(Difference(-0.01, (-0.02, 0.0)), 1.0, 0.3),
    ],
)  # fmt: skip
def test_a_plain_loss_in_one_mode_or_dearer_or_less_right_refutes_nothing(rival):
    assert decide([found(rivals=dict.fromkeys(PLAIN, rival))] * 5) == "reproduced"


@pytest.mark.parametrize(
    "changes",
    [
        {"start": 0.61}, {"think_D": np.array([1.0, 1.0, 1.0, 1.0, 0.94])}, {"short_D": np.full(5, 0.95)},
        {"short_D": np.array([0.89, 0.8, 0.7, 0.6, 0.5])},
    ],
)  # fmt: skip
def test_a_warm_up_without_graded_difficulty_decides_nothing(changes):
    rivals = dict.fromkeys(PLAIN, AS_GOOD)
    assert decide([found(rivals=rivals)] * 4 + [found(rivals=rivals, **changes)]) == "inconclusive"


def seen(think, right_short, right_think, short=9, long=24) -> Seen:
    think_M, M = np.array(think, float), len(think)
    lengths = np.stack([np.full(M, short), np.full(M, long)])
    right = np.stack([np.array(right_short, bool), np.array(right_think, bool)])
    return Seen(np.stack([1 - think_M, think_M]), right, lengths, right, 10.0 * np.arange(30), 0.0, 0.0, 0.0)


def test_what_a_chance_to_think_comes_to_is_its_expectation():
    one = seen([0.0, 1.0, 0.25], [1, 1, 1], [1, 0, 0])
    assert routers.accuracy(one, one.chance_2M).tolist() == [1.0, 0.0, 0.75]
    assert routers.tokens(one, one.chance_2M).tolist() == [9.0, 24.0, 12.75]
    assert routers.flops(one, one.chance_2M) == pytest.approx(10 * 45.75 / 3)


def test_a_choice_that_names_no_mode_is_wrong():
    one = seen([0.5], [1], [1])
    assert routers.accuracy(one, one.chance_2M * 0.8).tolist() == [0.8]
    assert routers.tokens(one, one.chance_2M * 0.8).tolist() == [pytest.approx(16.5)]


def test_ranked_items_think_until_the_budget_is_spent():
    one = seen([0.5] * 4, [1] * 4, [1] * 4)
    chance = routers.ranked(one, np.array([0.1, 0.9, 0.5, 0.5]), budget=9 + 15 * 2 / 4)
    assert chance[1].tolist() == [0.0, 1.0, 0.5, 0.5]
    assert routers.tokens(one, chance).mean() == pytest.approx(9 + 15 * 2 / 4)


def test_at_random_all_think_as_often_as_the_budget_allows():
    one = seen([0.0, 0.2, 0.7, 0.9], [1] * 4, [1] * 4)
    budget = routers.tokens(one, one.chance_2M).mean()
    assert routers.at_random(one, budget)[1].tolist() == [pytest.approx(0.45)] * 4


def test_a_router_learns_from_characters_what_a_line_can_tell():
    rng = np.random.default_rng(0)
    prompts = rng.integers(2, 12, (400, 3))
    is_easy = prompts[:, 1] < 7
    one = seen([0.5] * 400, is_easy, [1] * 400)
    budget = 9 + 15 * (~is_easy).mean()
    rows = routers.characters(prompts)
    chance = routers.learned(one, rows, rows, budget, 0)
    assert routers.accuracy(one, chance).mean() > 0.99
    assert routers.accuracy(one, routers.at_random(one, budget)).mean() == pytest.approx(
        1 - (~is_easy).mean() * is_easy.mean()
    )


def test_a_rank_correlation_is_one_only_where_every_step_rises():
    assert routers.spearman(np.array([0.0, 0.2, 0.3, 0.8, 0.9])) == pytest.approx(1.0)
    assert routers.spearman(np.array([0.0, 0.2, 0.3, 0.9, 0.8])) == pytest.approx(0.9)
    assert routers.spearman(np.array([0.9, 0.9, 0.9])) == 0.0


def test_the_rarer_mode_is_counted_at_the_end_alone():
    rows = np.full((20, 2), 50)
    think = np.concatenate([np.full((18, 2), 25), np.full((2, 2), 49)])
    modes = np.stack([100 - think.sum(1), think.sum(1)], 1)
    trace = Trace(rows, think, modes, modes, modes * 10, np.zeros(20, np.int64))
    assert trace.minority() == pytest.approx(0.02)
    assert trace.course(10) == [0.5] * 9 + [0.98]
    right, length = trace.by_mode(trace.end)
    assert right.tolist() == [1.0, 1.0] and length.tolist() == [10.0, 10.0]


def test_the_dial_is_how_far_a_carry_may_travel():
    pytest.importorskip("torch")
    from trueup.train.laboratory.tasks.carries import Carries
    from trueup.train.laboratory.vocabulary import encode_rows

    task, rng = Carries(False, 5), np.random.default_rng(0)
    asked = encode_rows(["11111+22222=", "11111+22229=", "15111+24229=", "45112+54229=", "45672+54319="])
    assert task.dials(asked).tolist() == [1, 2, 3, 4, 5]
    for dial in range(1, 6):
        prompts = task.prompts(rng, 500, dial)
        assert (task.dials(prompts) == dial).all() and task.check(prompts, task.targets(prompts)).all()
    sums = task.sums(task.prompts(rng, 2000, 5))
    behind = np.where(sums[:, 0] == 9, sums[:, 3], sums[:, 4])
    assert np.mean(behind > 9) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(BadInput, match="this task has 1 to 5"):
        task.prompts(rng, 1, 6)


def test_a_short_answer_is_worth_more_if_it_is_right_and_short():
    pytest.importorskip("torch")
    from trueup.train.laboratory.vocabulary import encode_rows

    modes = MINI.modes
    prompts = encode_rows(["12+34="] * 6)
    texts = ["!#046$", ":60;40;#046$", "#046$", "!60;40;#046$", "!#047$", ":#046$"]
    assert modes.reward(prompts, encode_rows(texts)).tolist() == [1.0, 0.5, -1.0, -1.0, -1.0, 0.5]
    assert modes.reward(prompts, encode_rows(texts), gamma=0.2).tolist()[1] == pytest.approx(0.8)
    assert modes.named(encode_rows(texts)).sum(1).tolist() == [1, 1, 0, 1, 1, 1]


def test_the_warm_up_shows_every_prompt_in_both_modes_and_no_prompt_holds_one():
    pytest.importorskip("torch")
    from trueup.train.laboratory.modes import SHORT, THINK

    drawn = MINI.modes.paired((0.5, 0.5))(np.random.default_rng(0), 16)
    prompts, modes = drawn.tokens_BT[:, :6], drawn.tokens_BT[:, 6]
    assert (prompts[:8] == prompts[8:]).all() and not np.isin(prompts, (SHORT, THINK)).any()
    assert modes.tolist() == [SHORT] * 8 + [THINK] * 8
    assert drawn.learned_BT[:, 6].all() and not drawn.learned_BT[:, :6].any()


def test_a_claim_has_no_scale_that_it_was_not_written_for(tmp_path):
    with pytest.raises(BadInput, match="it has smoke, cpu, gpu"):
        think_or_answer("tpu", 0, Pieces(tmp_path, "x"))


def test_at_every_scale_a_group_fits_the_batch_and_every_arm_is_named():
    assert all(size.rows % size.group == 0 and size.arms.keys() == ARMS.keys() for size in SIZES.values())
    assert {*PLAIN, *(name for pair in PAIRS for name in pair)} <= LEARNING.keys()


def test_a_control_differs_by_its_reward_alone():
    assert len(ARMS) == 2 * len(LEARNING)
    assert all(ARMS[f"{name}, random reward"] == replace(arm, random_reward=True) for name, arm in LEARNING.items())


def test_a_whole_run_is_the_same_twice_and_counts_what_it_sampled(tmp_path):
    pytest.importorskip("torch")
    verdicts = [put_to_test("mini", MINI, [0], Pieces(tmp_path / name, "x")) for name in "ab"]
    assert verdicts[0].arms == verdicts[1].arms and verdicts[0].notes == verdicts[1].notes
    arms = {arm["name"]: arm for arm in verdicts[0].arms}
    assert len(arms) == len(verdicts[0].arms) and arms[MAIN]["n"] == 12
    # Three updates of 16 samples, 6 prompt tokens and up to 12 others each, all trained on.
    assert 3 * 16 * 7 <= arms[MAIN]["training_tokens"] <= 3 * 16 * 18
    assert arms[MAIN]["training_flops"] > 6 * 3 * 16 * 7 * 3000
    assert f"{MAIN}'s answers, routed: {RANDOM}" in arms
