"""A method by difficulty: judged by its criterion alone, on logs whose pilot and truth stand apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueup.claims.chains import Size as LabSize
from trueup.claims.chains import Stage
from trueup.claims.compute_optimal import FACTOR, FLAT, NEAR, SIZES, compute_optimal, decide, put_to_test
from trueup.claims.gap import Difference
from trueup.claims.pieces import Pieces
from trueup.claims.search_contrasts import Factor, Found, Interaction, compare, interaction
from trueup.claims.search_logs import Logs, Size, labelled_throughout, pooled
from trueup.core.errors import BadInput
from trueup.plan.compute_optimal import Comparison, Pilot
from trueup.plan.logged import Logged

MINI = Size(
    LabSize(
        modulus=3, most=2, width=16, direct=(), worked=(Stage(2, 4),), items=20, attempts=4, verifier_items=8,
        verifier_samples=2, verifier_steps=2, rows=8,
    ),
    beams=(4,), width=2, rollouts=2, pilot=2, truth=4,
)  # fmt: skip
NOTHING = Comparison(0, "FLOPs", (), {}, (), ())


def around(value: float, half: float = 0.01) -> Difference:
    return Difference(value, (value - half, value + half))


def found(**changes) -> Found:
    usual = Found(
        0.45, Factor(4.0, (2.5, 5.0)), Factor(2.0, (1.2, 3.0)), (around(0.0), around(0.05)),
        (around(-0.02), around(0.03)), Interaction(-0.05, 0.1, 0.001), around(0.02), NOTHING, (1.0, 2.0),
    )  # fmt: skip
    return replace(usual, **changes)


def test_a_gain_that_survives_its_pilot_is_reproduced():
    assert decide([found()] * 3) == "reproduced"


def test_half_the_budget_is_enough_and_more_is_not():
    assert decide([found(factor=Factor(FACTOR, (1.1, 4.0)))] * 3) == "reproduced"
    assert decide([found(factor=Factor(FACTOR - 0.01, (1.1, 4.0)))] * 3) == "inconclusive"
    assert decide([found(factor=Factor(4.0, (1.0, 5.0)))] * 3) == "inconclusive"


def test_a_fixed_method_as_good_at_every_budget_refutes():
    same = (Difference(0.0, (-0.01, NEAR - 0.001)), Difference(-0.05, (-0.06, -0.04)))
    assert decide([found(over_fixed=same)] * 3) == "refuted"
    assert decide([found(over_fixed=same), found(over_fixed=same), found()]) == "inconclusive"


def test_too_few_items_to_tell_refute_nothing():
    wide = (Difference(0.0, (-0.05, NEAR)),) * 2
    assert decide([found(over_fixed=wide, charged_over_fixed=wide)] * 3) == "inconclusive"


def test_a_gain_that_the_pilot_eats_refutes():
    assert decide([found(charged_over_fixed=(around(-0.02), around(0.0)))] * 3) == "refuted"
    assert decide([found(charged_factor=Factor(0.8, (0.5, 1.0)))] * 3) == "refuted"
    assert decide([found(charged_factor=Factor(0.8, (0.5, 1.01)))] * 3) == "inconclusive"


def test_where_no_budget_affords_the_pilot_nothing_is_refuted_by_it():
    assert decide([found(charged_over_fixed=())] * 3) == "reproduced"


@pytest.mark.parametrize(
    "turn", [Interaction(0.01, 0.1, 0.001), Interaction(-0.05, -0.01, 0.001), Interaction(-0.05, 0.1, 0.01)]
)
def test_without_the_turn_between_bins_nothing_is_reproduced(turn):
    assert decide([found(interaction=turn)] * 3) == "inconclusive"


def test_a_hardest_bin_that_surely_rises_is_not_reproduced():
    assert decide([found(hardest_gain=Difference(0.2, (FLAT + 0.001, 0.3)))] * 3) == "inconclusive"


@pytest.mark.parametrize("once", [0.29, 0.61])
def test_a_base_too_weak_or_too_strong_decides_nothing(once):
    assert decide([found(once=once)] * 3) == "inconclusive"


def test_the_interaction_is_the_z_test_of_two_means():
    easiest, middle = np.array([-1.0, 0.0] * 50), np.array([0.0, 1.0] * 50)
    turn = interaction(easiest, middle)
    assert (turn.easiest, turn.middle) == (-0.5, 0.5)
    assert turn.p == pytest.approx(0.0, abs=1e-12)
    assert interaction(easiest, easiest[::-1]).p == pytest.approx(1.0)
    shifted = easiest + 1.959964 * np.sqrt(2 * easiest.var(ddof=1) / 100)
    assert interaction(easiest, shifted).p == pytest.approx(0.05, abs=1e-4)


def test_two_bins_without_spread_are_alike_or_surely_not():
    assert interaction(np.zeros(5), np.zeros(5)).p == 1.0
    assert interaction(np.zeros(5), np.ones(5)).p == 0.0


def logs(n: int = 400) -> Logs:
    """In the easier half a vote of 4 suffices; in the harder one only a beam is right."""
    is_easy = np.arange(n) % 2 == 1
    rng = np.random.default_rng(0)
    once = (is_easy & (rng.random(n) < 0.8)).astype(float)
    rows = {
        "vote 1": (once, 1.0), "vote 4": (is_easy.astype(float), 4.0), "weighted 2": (once, 3.0),
        "weighted 4": (is_easy * 0.0 + (is_easy | (rng.random(n) < 0.3)), 6.0), "beam 4": (1.0 - is_easy, 6.0),
    }  # fmt: skip
    right, cost = np.stack([row for row, _ in rows.values()]), np.stack([np.full(n, c) for _, c in rows.values()])
    table = Logged(tuple(rows), right, cost, tuple(map(str, range(n))), "FLOPs")
    ease = is_easy + 0.01 * rng.random(n)
    return Logs(table, cost, Pilot(ease, np.full(n, 0.5)), ease, {"model": 1.0, "verifier": 2.0})


def test_bins_that_matter_are_seen_in_every_figure():
    one = compare(MINI, logs(), 0)
    assert one.once == pytest.approx(0.4, abs=0.05)
    assert one.budgets == (1.0, 3.0, 6.0)
    assert one.over_fixed[-1].value > 0.2 and one.over_fixed[-1].ci95[0] > 0.15
    assert one.interaction.easiest == -1.0 and one.interaction.p < 0.01
    assert one.hardest_gain.value > 0.9


def test_logs_survive_being_kept():
    kept = Logs.of_json(logs(8).to_json())
    assert kept.table.names == logs(8).table.names and kept.one_off_flops == {"model": 1.0, "verifier": 2.0}
    assert np.array_equal(kept.table.right, logs(8).table.right) and np.array_equal(kept.truth, logs(8).truth)


def test_a_claim_has_no_scale_that_it_was_not_written_for(tmp_path):
    with pytest.raises(BadInput, match="it has smoke, cpu, gpu"):
        compute_optimal("tpu", 0, Pieces(tmp_path, "x"))


def test_beams_part_into_the_width_at_every_scale():
    assert all(n % min(n, size.width) == 0 and n <= size.lab.attempts for size in SIZES.values() for n in size.beams)


def test_a_verifier_learns_of_steps_from_rollouts_and_of_all_else_from_the_outcome():
    pytest.importorskip("torch")
    from trueup.train.laboratory import outcome_rows
    from trueup.train.laboratory.vocabulary import encode_rows

    prompts, texts = encode_rows(["2+1="]), encode_rows(["3;#3$"])
    outcomes = outcome_rows(prompts, texts, np.array([True]))
    at_step = np.arange(9)[None] == 5
    steps = replace(outcomes, label_BT=np.where(at_step, 0.5, 0.0), known_BT=at_step, flops=7)
    both = labelled_throughout(steps, outcomes)
    assert both.known_BT.tolist() == [[False] * 4 + [True] * 5] and both.flops == 7
    assert both.label_BT[0, 4:].tolist() == [1, 0.5, 1, 1, 1]


def test_a_whole_run_is_the_same_twice(tmp_path):
    pytest.importorskip("torch")
    verdicts = [put_to_test("mini", MINI, [0, 1], Pieces(tmp_path / name, "x")) for name in "ab"]
    assert verdicts[0].arms == verdicts[1].arms and verdicts[0].notes == verdicts[1].notes
    assert verdicts[0].n == 20 and verdicts[0].seeds == (0, 1)
    arms = {arm["name"]: arm for arm in verdicts[0].arms}
    assert len(arms) == len(verdicts[0].arms) and arms["predicted bins, pilot charged, budget of N = 4"]["n"] == 40
    assert arms["vote 1"]["inference_flops_per_request"] < arms["vote 4"]["inference_flops_per_request"]
    assert arms["vote 4"]["generated_tokens_per_request"] == arms["weighted 4"]["generated_tokens_per_request"]
    assert arms["vote 4"]["one_off_flops"] < arms["weighted 4"]["one_off_flops"]
    assert 0 < arms["beam 4"]["generated_tokens_per_request"] <= 4 * 7


def test_pooled_seeds_share_the_clusters_of_their_items():
    both = pooled([logs(8), logs(8)])
    assert both.table.clusters == tuple(map(str, range(8))) * 2 and both.table.right.shape == (5, 16)
    assert both.one_off_flops == logs(8).one_off_flops and len(both.truth) == len(both.pilot.cost) == 16
