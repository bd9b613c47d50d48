"""The claim nonreasoning-gap: its criterion on made-up figures, matched training, and a run of seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueup.claims import Pieces
from trueup.claims.chains import Size, Stage, learned_per_row, read_per_row
from trueup.claims.curves import Curves
from trueup.claims.gap import Difference, Gap, Measured, gap, last_doubling
from trueup.claims.gap_rows import blind_guesses, limit
from trueup.claims.nonreasoning_gap import decide, matched
from trueup.claims.nonreasoning_gap import put_to_test as run
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED


def at(value, width=0.02):
    return Difference(value, (value - width, value + width))


FLAT = [at(0.004, 0.01)] * 2
BEHIND = Gap(0.8, at(-0.4), (at(-0.4), at(-0.3)), (at(-0.4), at(-0.2)), (at(-0.4), at(0.1)), at(0.004))


def test_behind_and_flat_in_every_seed_and_pair_reproduces():
    assert decide([[BEHIND, BEHIND]] * 3, FLAT) == REPRODUCED


@pytest.mark.parametrize(
    "change",
    [{"majority": (at(-0.4), at(-0.02))}, {"weighted": (at(-0.4), at(0.03))}],
    ids=["not clearly behind", "a verifier crosses"],
)
def test_one_comparison_that_does_not_hold_keeps_it_open(change):
    assert decide([[BEHIND, BEHIND], [BEHIND, BEHIND], [BEHIND, replace(BEHIND, **change)]], FLAT) == INCONCLUSIVE


@pytest.mark.parametrize("doubling", [at(0.005, 0.001), at(0.004, 0.011)], ids=["gaining", "perhaps gaining"])
def test_votes_that_may_still_gain_keep_it_open_however_much_one_seed_does(doubling):
    assert decide([[BEHIND, BEHIND]] * 3, [FLAT[0], doubling]) == INCONCLUSIVE
    assert decide([[BEHIND, replace(BEHIND, last_doubling=at(0.02))]] * 3, FLAT) == REPRODUCED


def test_the_last_doubling_is_that_of_all_seeds_an_item_being_one_cluster():
    gained, lost = made_up((0.3, 0.4, 0.5), 0.3), made_up((0.3, 0.5, 0.4), 0.3)
    found = last_doubling([gained, gained, lost], seed=0)
    assert found.value == pytest.approx(0.1 / 3)
    alone = last_doubling([gained], seed=0)
    thrice = last_doubling([gained] * 3, seed=0)
    assert thrice.ci95 == pytest.approx(alone.ci95), "three of the same tell no more than one"


def test_a_crossing_of_either_curve_at_any_n_in_every_seed_refutes():
    votes = replace(BEHIND, majority=(at(0.03), at(-0.3)))
    chosen = replace(BEHIND, weighted=(at(-0.4), at(0.03)))
    assert decide([[votes, BEHIND], [BEHIND, chosen], [chosen, chosen]], FLAT) == REFUTED
    assert decide([[votes, BEHIND], [BEHIND, chosen], [BEHIND, BEHIND]], FLAT) == INCONCLUSIVE


def test_touching_is_no_crossing():
    touches = replace(BEHIND, weighted=(at(-0.4), at(0.02)))
    assert decide([[touches, touches]] * 3, FLAT) == REPRODUCED


def test_without_a_gap_to_begin_with_nothing_is_shown():
    level = replace(BEHIND, once=at(0.0), weighted=(at(0.1), at(0.1)))
    assert decide([[level, level]] * 3, FLAT) == INCONCLUSIVE


def test_steps_that_leave_no_room_show_nothing_whichever_way():
    for found, verdict in ((BEHIND, REPRODUCED), (replace(BEHIND, weighted=(at(0.1), at(0.1))), REFUTED)):
        assert decide([[found, found]] * 3, FLAT) == verdict
        assert decide([[found, found]] * 2 + [[found, replace(found, steps_once=0.96)]], FLAT) == INCONCLUSIVE


def test_coverage_tells_selection_from_capability_unless_guessing_is_as_quick():
    assert (
        limit((1, 2), BEHIND, 3) == "the limit is selection: coverage gets there at N = 2, a blind guesser's at N = 3"
    )
    assert limit((1, 2), BEHIND, 2).startswith("coverage tells nothing")
    assert limit((1, 2), replace(BEHIND, covered=(at(-0.4), at(-0.1))), 9).startswith("the limit is capability")
    assert limit((1, 2), replace(BEHIND, covered=(at(-0.4), at(0.01))), 9).startswith("coverage does not tell")


def test_blind_guesses_have_a_closed_form():
    assert blind_guesses(5, 1 - 0.8**7 - 1e-9) == 7
    assert blind_guesses(5, 0.0) == 1


def made_up(shares, pass1):
    """Curves over 1, 2, 4 samples with these shares of right answers."""
    flags = np.stack([np.arange(200) < round(share * 200) for share in shares])
    costs = np.ones((3, 200))
    return Curves((1, 2, 4), flags[0], np.full(200, pass1), flags, flags, flags, costs, costs, costs, 0.0)


def test_differences_are_against_one_sample_with_steps():
    found = gap(made_up((0.3, 0.4, 0.45), 0.3), made_up((0.8, 0.8, 0.8), 0.8), seed=0)
    assert [x.value for x in found.majority] == pytest.approx([-0.5, -0.4, -0.35])
    assert (found.once.value, found.last_doubling.value) == pytest.approx((-0.5, 0.05))
    assert found.last_doubling.ci95[0] < 0.05 < found.last_doubling.ci95[1]
    assert not found.majority_crosses and not found.verifier_crosses and found.stays_behind


def test_direct_training_is_stretched_to_the_same_tokens_or_flops():
    size = Size(
        modulus=5, most=4, width=8, direct=(Stage(1, 100), Stage(4, 300)), worked=(Stage(4, 400),), items=1, attempts=1,
        verifier_items=1, verifier_samples=1, verifier_steps=1, rows=10,
    )  # fmt: skip
    rows, per_token = 400 * 10, 600.0
    steps = Measured(made_up((0.3, 0.4, 0.5), 0.3), 8.0 * rows, (18.0 * rows + 260) * per_token, per_token, None)
    assert [stage.steps for stage in matched(size, "tokens", steps)] == [round(100 * 8 / 3), round(300 * 8 / 3)]
    stretch = (18 * rows + 260) / (13 * rows)
    assert [stage.steps for stage in matched(size, "flops", steps)] == [round(100 * stretch), round(300 * stretch)]


def test_the_means_that_training_is_matched_by_are_those_of_the_task():
    pytest.importorskip("torch")
    from tiny_chain import MINI

    from trueup.train.laboratory.tasks import Chain, source_of

    for worked in (False, True):
        drawn = source_of(Chain(MINI.modulus, worked, MINI.most), (1, 2))(np.random.default_rng(0), 4000)
        stage = Stage(2, 1)
        assert drawn.learned_BT.sum() / 4000 == pytest.approx(learned_per_row(stage, worked=worked), rel=0.02)
        assert (drawn.tokens_BT != 0).sum() / 4000 == pytest.approx(read_per_row(MINI, stage, worked=worked), rel=0.01)


def test_worked_steps_may_have_a_rate_of_their_own(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tiny_chain import MINI

    from trueup.claims import chains

    rates = []
    monkeypatch.setattr(chains, "_train", lambda size, task, model, stage, recipe, *_: rates.append(recipe.lr) or 0.0)
    size = replace(MINI, worked_lr=0.25)
    begin = size.start.model(width=size.width, context=size.context, seed=0)
    chains.train_until(size, begin, 0.0, seed=0, files=tmp_path / "steps")
    chains.train_stages(size, size.direct[:1], worked=False, seed=0, files=tmp_path / "direct")
    chains.train_until(MINI, begin, 0.0, seed=0, files=tmp_path / "plain")
    assert rates == [0.25, MINI.lr, MINI.lr]


def test_a_tiny_run_gives_the_same_figures_again_and_from_its_parts(tmp_path):
    pytest.importorskip("torch")
    from tiny_chain import MINI

    first = run("smoke", MINI, (0, 1, 2), Pieces(tmp_path / "a", "x"))
    again = run("smoke", MINI, (0, 1, 2), Pieces(tmp_path / "b", "x"))
    seen = []
    kept = run("smoke", MINI, (0, 1, 2), Pieces(tmp_path / "a", "x", lambda name, seconds: seen.append(seconds)))
    assert first.text() == again.text() == kept.text()
    assert seen == [0.0] * 9
    names = {row["name"] for row in first.arms}
    assert {"steps, N = 4", "direct, matched on tokens, N = 1", "steps, cut behind 0", "steps, cut behind 2"} <= names
    assert sum("steps cut behind" in note for note in first.notes) == 3
    by_name = {row["name"]: row for row in first.arms}
    tokens, flops, steps = (
        by_name[f"{x}, N = 1"] for x in ("direct, matched on tokens", "direct, matched on flops", "steps")
    )
    assert tokens["learned_tokens"] == pytest.approx(steps["learned_tokens"], rel=0.05)
    assert flops["training_flops"] == pytest.approx(steps["training_flops"], rel=0.1)


def test_cutting_behind_the_last_step_changes_nothing():
    pytest.importorskip("torch")
    from tiny_chain import MINI

    from trueup.claims.chains import TEMPERATURE, cut_short, task_of, trial_items
    from trueup.train.laboratory import Shape, Transformer, generate
    from trueup.train.laboratory.vocabulary import STEP

    model = Transformer(Shape(width=8, layers=1, heads=2, context=24), seed=0).eval()
    prompts, task = trial_items(MINI, 0), task_of(MINI, worked=True)
    cut_KM = cut_short(MINI, model, prompts, n=2, seed=3)
    whole = generate(model, prompts, most=task.longest(2), n=2, temperature=TEMPERATURE, seed=3)
    ended_M = ((whole.tokens_BT == STEP).sum(1) <= 2).reshape(-1, 2).all(1)
    right_M = task.check(prompts.repeat(2, 0), whole.tokens_BT).reshape(-1, 2).mean(1)
    assert cut_KM.shape == (3, len(prompts)) and ended_M.any()
    assert cut_KM[2][ended_M].tolist() == right_M[ended_M].tolist()
