"""Latent iteration: problems and their sweeps, what errors go with, what a probe finds, the criterion alone."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from trueup.claims.gap import Difference
from trueup.claims.latent_found import Causes, Found, Latent, apart, causes, latent
from trueup.claims.latent_iteration import SIZES, decide, latent_iteration, part_note, put_to_test
from trueup.claims.latent_models import Seen, Size
from trueup.claims.latent_probe import Probed, _held_out_errors
from trueup.claims.pieces import Pieces
from trueup.core.errors import BadInput
from trueup.plan import Resampler

pytest.importorskip("torch")

from trueup.claims.latent_models import held_to_form, satisfied_share
from trueup.claims.latent_predictors import mean_values, nearest
from trueup.claims.latent_solver import ac_power_flows, quadratic_of, solved, stated
from trueup.core.quadratic import active_set
from trueup.train.laboratory.tasks.coupled import Coupled, holds, keeps_limit, read_systems, read_values, write_systems
from trueup.train.laboratory.tasks.hundredths import operations
from trueup.train.laboratory.vocabulary import decode, encode_rows

MINI = Size(
    shapes={"S": (16, 1), "L": (16, 2)}, most=4, trained=3, lessons=60, base_steps=2, direct_steps=3, written_steps=2,
    updates=2, items=20, probe_items=60, ac_items=1, rows=16,
)  # fmt: skip
UP, DOWN, EVEN = (Difference(value, (value - 0.02, value + 0.02)) for value in (0.4, -0.4, 0.0))


def probe(ahead=EVEN, over_blank=EVEN, best=(4, 4)) -> Latent:
    none = np.zeros((3, 3))
    return Latent(1, 2, ahead, over_blank, best, none, none)


def found(**changes) -> Found:
    usual = Found(
        Causes(UP, EVEN, UP), {"S": 0.99, "L": 0.96}, {"S": EVEN, "L": EVEN}, {"S": EVEN, "L": EVEN},
        {"S": UP, "L": UP}, EVEN, {"S": 0.6, "L": 0.6}, {"S": DOWN, "L": DOWN}, {"S": probe(), "L": probe()},
    )  # fmt: skip
    return replace(usual, **changes)


def test_templates_are_matched_where_every_part_holds_in_every_seed():
    assert decide([found()] * 3, is_feasible=True) == "reproduced"
    assert "(a) error goes with distance: 3 of 3 seeds" in part_note([found()] * 3)
    assert "better for size in 1" in part_note([found(), found(grown=UP), found(grown=DOWN)])


@pytest.mark.parametrize(
    "changes",
    [
        {"causes": Causes(UP, UP, EVEN)}, {"nearest": {"S": EVEN, "L": UP}}, {"bounded": {"S": 0.94, "L": 0.99}},
        {"taught": {"S": UP, "L": EVEN}}, {"grown": UP}, {"written": {"S": UP, "L": EVEN}},
    ],
)  # fmt: skip
def test_one_part_that_fails_in_one_seed_leaves_it_open(changes):
    assert decide([found(), found(), found(**changes)], is_feasible=True) == "inconclusive"


def test_sweeps_found_inside_one_size_in_every_seed_refute():
    shown = probe(UP, UP, (2, 3))
    assert decide([found(latent={"S": probe(), "L": shown})] * 3, is_feasible=True) == "refuted"
    mixed = [found(latent={"S": probe(), "L": shown})] * 2 + [found(latent={"S": shown, "L": probe()})]
    assert decide(mixed, is_feasible=True) == "reproduced"


@pytest.mark.parametrize("one", [probe(EVEN, UP), probe(UP, EVEN), probe(UP, UP, (3, 2))])
def test_a_sweep_that_is_not_ahead_or_untaught_or_out_of_order_is_no_iteration(one):
    assert not one.is_shown


def test_accuracy_that_stays_beyond_training_refutes_only_where_there_is_some():
    stays = {"S": EVEN, "L": DOWN}
    assert decide([found(beyond=stays)] * 3, is_feasible=True) == "refuted"
    assert decide([found(beyond=stays, edge={"S": 0.49, "L": 0.9})] * 3, is_feasible=True) == "reproduced"


def test_a_solver_that_fails_on_one_item_decides_nothing():
    assert decide([found(beyond={"S": EVEN, "L": EVEN})] * 3, is_feasible=False) == "inconclusive"


def test_a_problem_says_what_its_sweeps_and_its_solution_are():
    rows = encode_rows(["73-k8u=", "73+k8z="])
    systems = read_systems(rows)
    assert (write_systems(systems) == rows).all()
    # x = .20 - .7 y, y = .08 - .3 x: x = (.20 - .056) / .79; with plus (.20 + .056) / .79, y = .08 + .3 x.
    x, y = 0.144 / 0.79, 0.256 / 0.79
    expected = [[x, 0.08 - 0.3 * x], [y, 0.08 + 0.3 * y]]
    assert systems.solutions() == pytest.approx(np.array(expected))
    assert [decode(row) for row in Coupled().targets(rows)] == ["#i3", "#wi"]
    # With plus: 20, .3 x 20 = 6 and 14; .7 x 14 = 9.8 and 30, 9 and 17; 11.9 and 32, 9.6 and 18.
    assert [decode(row) for row in Coupled(True).targets(rows)] == [
        "k-70k8-362" + "k-71j8-362" + "#j2",
        "k+70k8+36e" + "k+7au8+39h" + "k+7cw8+3ai" + "#wi",
    ]


@pytest.mark.parametrize("dial", [1, 2, 5])
def test_every_target_is_feasible_and_the_dial_is_the_sweeps_it_takes(dial):
    rng = np.random.default_rng(3)
    direct, worked = Coupled(most=5), Coupled(True, most=5)
    prompts = direct.prompts(rng, 200, dial)
    assert prompts.shape == (200, 7) and (direct.dials(prompts) == dial).all()
    for task in (direct, worked):
        targets = task.targets(prompts)
        assert task.check(prompts, targets).all() and targets.shape[1] == task.longest(dial)
    assert read_systems(prompts).held_B.sum() == 100
    with pytest.raises(BadInput, match="this task has 1 to 5"):
        direct.prompts(rng, 1, 6)


def test_the_held_kind_is_a_quadratic_program_and_the_other_is_linear():
    systems = read_systems(Coupled(most=4).prompts(np.random.default_rng(0), 60, 4))
    solutions = systems.solutions()
    for i in range(len(systems)):
        one = systems.taken(np.array([i]))
        (c, d), (a, b) = one.share_B2[0] / 10, one.given_B2[0] / 100
        if one.held_B[0]:
            assert active_set(quadratic_of(one)) == pytest.approx(solutions[i], abs=1e-9)
        else:
            exact = np.linalg.solve([[1, -c], [-d, 1]], [a, b])
            assert exact == pytest.approx(solutions[i], abs=1e-9)


def test_equations_and_limits_are_scored_apart():
    rows = encode_rows(["73-k8u="] * 5)
    answers = encode_rows(["#i3$", "#z3$", "#zz$", "#i3", "#i$"])
    systems, values = read_systems(rows), read_values(answers)
    assert holds(systems.residuals(values)).tolist() == [True, False, False, False, False]
    assert keeps_limit(systems.excess(values)).all(1).tolist() == [True, False, False, False, False]
    # 35 - 20 + .7 x 3 is off; 3 - 8 + .3 x 35 = 5.5, where the other is held to 0 and off by 3.
    assert satisfied_share(rows, answers).tolist() == [1.0, 0.25, 0.0, 0.0, 0.0]


def test_lessons_of_arithmetic_are_right():
    for row in operations(np.random.default_rng(0), 90).tokens_BT:
        first, sign, second, result = re.fullmatch(r"(\w)([-+*])(\w)=(\w)", decode(row)).groups()
        a, b = int(first, 36), int(second, 36)
        assert int(result, 36) == {"*": (a * b + 5) // 10, "-": max(a - b, 0), "+": a + b}[sign]


def test_the_solver_is_feasible_on_both_kinds():
    systems = read_systems(Coupled(most=4).prompts(np.random.default_rng(1), 8, 4))
    assert solved(systems) == pytest.approx(systems.solutions(), abs=1e-6)
    assert ac_power_flows(2, 0, 1e-6) == [2, 2, 2]
    assert stated(systems.taken(np.flatnonzero(~systems.held_B)[:1])).count("con ") == 2


def test_the_nearest_lesson_is_of_the_same_kind():
    items, lessons = (read_systems(encode_rows(rows)) for rows in (["73-k8u="], ["73+k8u=", "73-k1u=", "13-00u="]))
    near = nearest(items, lessons)
    assert near.distance_M == pytest.approx([7 / 35])
    assert near.values_M2 == pytest.approx(lessons.solutions()[1:2])
    assert mean_values(items, lessons) == pytest.approx(lessons.solutions()[1:].mean(0, keepdims=True))


def test_an_error_that_is_the_distance_does_not_go_with_sweeps():
    rng = np.random.default_rng(0)
    sweeps = rng.integers(1, 4, 600).astype(float)
    distance, draws = sweeps + rng.normal(size=600), Resampler.of([str(i) for i in range(600)], seed=0)
    cause = causes(distance**3, distance, sweeps, draws)
    assert cause.distance.value == pytest.approx(1.0) and abs(cause.sweeps.value) < 0.01
    noisy = causes(sweeps + 0.3 * rng.normal(size=600), distance, sweeps, draws)
    assert noisy.sweeps.ci95[0] > 0.7 and noisy.distance.ci95[0] < 0 < noisy.distance.ci95[1]
    assert noisy.more.ci95[1] < 0


def test_of_no_answers_no_cause_is_known():
    draws = Resampler.of(list("abc"), seed=0)
    assert causes(np.full(3, np.nan), np.arange(3.0), np.arange(3.0), draws).more.ci95 == (-1.0, 1.0)


def test_what_is_apart_is_the_difference_of_two_means():
    values, rows = np.array([1.0, 1.0, 0.0, 1.0] * 100), np.array([True, True, False, False] * 100)
    gap = apart(Resampler.of([str(i) for i in range(400)], seed=0), values, rows, ~rows)
    assert gap.value == 0.5 and 0.38 < gap.ci95[0] < 0.5 < gap.ci95[1] < 0.62


def test_a_probe_finds_what_is_linear_in_the_states_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    state = rng.normal(size=(400, 8))
    target = np.column_stack([state @ np.arange(8.0) / np.sqrt(140), rng.normal(size=400)])
    errors = _held_out_errors(state, target)
    assert errors.shape == (2, 200)
    assert errors[0].mean() < 1e-3 and errors[1].mean() > 0.7


def test_iteration_inside_shows_as_sweeps_in_the_order_of_the_layers():
    rng, held = np.random.default_rng(0), 400
    r2 = np.array([[0.0, 0.0, 0.0], [0.9, 0.4, 0.3], [0.6, 0.9, 0.5], [0.5, 0.7, 0.95]])
    taught, blank = ((1 - part)[..., None] * rng.chisquare(1, (4, 3, held)) for part in (r2, np.full((4, 3), 0.2)))
    shown = latent(Probed(taught, blank), Resampler.of([str(i) for i in range(held)], seed=0))
    assert shown.is_shown and shown.layer == 1 and shown.sweep == 2 and shown.best_L == (2, 3, 4)
    assert not latent(Probed(blank, taught), Resampler.of([str(i) for i in range(held)], seed=0)).is_shown


def test_a_place_that_is_picked_of_many_by_chance_is_rarely_shown_to_be_ahead():
    """No sweep is told better than the solution anywhere: meant are 2.5 of 100, limits of one place alone give 23."""
    rng, held = np.random.default_rng(0), 200
    draws = Resampler.of([str(i) for i in range(held)], seed=0, draws=400)
    ahead = over_blank = 0
    for _ in range(100):
        taught, blank = rng.exponential(0.3, (6, 4, held)), rng.exponential(1.0, (6, 4, held))
        one = latent(Probed(taught, blank), draws)
        ahead, over_blank = ahead + (one.ahead.ci95[0] > 0), over_blank + (one.over_blank.ci95[0] > 0)
    assert ahead <= 5 and over_blank <= 5


def test_a_place_that_is_the_only_one_has_the_draws_own_limits():
    rng, held = np.random.default_rng(1), 800
    draws = Resampler.of([str(i) for i in range(held)], seed=0)
    taught, blank = (rng.chisquare(1, (3, 2, held)) * scale for scale in (0.4, 0.8))
    one = latent(Probed(taught, blank), draws)
    moved = -(draws.weights[:, draws.codes].astype(float) @ (taught[1, 0] - taught[1, 1])) / held
    assert one.ahead.ci95 == pytest.approx(np.quantile(moved, [0.025, 0.975]))


def test_a_model_held_to_the_form_can_always_be_read():
    from trueup.train.laboratory import Shape, Transformer

    model = Transformer(Shape(16, 1, 4, context=16), seed=0)
    out = held_to_form(model, Coupled().prompts(np.random.default_rng(0), 20, 1))
    assert not np.isnan(read_values(out)).any()


def test_answers_survive_being_kept():
    seen = Seen(np.array([[0.0, 0.35], [np.nan, np.nan]]), 4.0, 1.0, 2.0, 3.0)
    back = Seen.of_json(seen.to_json())
    assert np.array_equal(back.values_M2, seen.values_M2, equal_nan=True) and back.flops == 3.0


def test_the_test_items_are_no_lessons():
    from trueup.claims.latent_models import Trial

    trial = Trial(replace(MINI, lessons=4000, items=200), 0, 0, None)  # type: ignore[arg-type]
    items, lessons = ({row.tobytes() for row in rows} for rows in (trial.items, trial.lessons))
    assert len(items) == 800 and not items & lessons and len(lessons) > 3500


def test_a_claim_has_no_scale_that_it_was_not_written_for(tmp_path):
    with pytest.raises(BadInput, match="it has smoke, cpu"):
        latent_iteration("gpu", 0, Pieces(tmp_path, "x"))


def test_every_scale_has_three_sizes_and_a_thousand_items_where_it_decides():
    assert all(len(size.shapes) == 3 and 3 <= size.trained < size.most for size in SIZES.values())
    assert SIZES["cpu"].items * SIZES["cpu"].trained >= 1000


def test_a_whole_run_is_the_same_when_it_goes_on_where_it_was(tmp_path):
    first = put_to_test("mini", MINI, [0], Pieces(tmp_path, "x"))
    again = put_to_test("mini", MINI, [0], Pieces(tmp_path, "x"))
    assert first.arms == again.arms and first.notes == again.notes and first.verdict == again.verdict
    arms = {arm["name"]: arm for arm in first.arms}
    assert len(arms) == len(first.arms) == 3 + 2 * 5
    assert arms["constraint solver"]["equations_hold"]["share"] == 1.0
    # Two steps of arithmetic, 6 tokens a row, then three of 11.
    assert arms["L direct"]["training_tokens"] == 16 * (2 * 6 + 3 * 11)
