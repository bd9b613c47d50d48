"""The claim self-correction: its criterion on made-up figures, its held-out problems, and a run of seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueup.claims import Pieces
from trueup.claims.gap import Difference
from trueup.claims.self_correction import SIZES, decide, self_correction
from trueup.claims.self_correction import put_to_test as run
from trueup.claims.self_correction_arms import (
    ARMS,
    DRAWN,
    EVERY,
    REINFORCED,
    Course,
    Regime,
    off_line,
    train_arm,
    trained_turn,
)
from trueup.claims.self_correction_base import split
from trueup.claims.self_correction_found import Found, collapsed, compare
from trueup.claims.self_correction_map import map_notes, map_rows, random_note
from trueup.claims.self_correction_parts import Base, Parts
from trueup.claims.self_correction_rows import notes_of
from trueup.claims.self_correction_seen import Seen, Taught, distances, flat
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED
from trueup.core.errors import BadInput
from trueup.plan.paired import paired


def at(value, width=0.02):
    return Difference(value, (value - width, value + width))


def pair(won, lost, n=1000):
    """Two policies of which the first alone is right on so many items, the second alone on so many others."""
    first, second = np.zeros(n, bool), np.zeros(n, bool)
    first[:won], second[won : won + lost] = True, True
    return paired(first, second)


UP, LEVEL, DOWN = pair(80, 10), pair(40, 40), pair(10, 80)
HOLDS = Found(
    first=0.45, headroom=0.3, gain=UP, over_supervised={"STaR": at(0.05)}, breaks=at(-0.05), without={"x": UP},
    over_iterated={"iterated SFT": UP, "iterated SFT+": UP}, over_base=at(0.1), collapsed={}, shift={},
)  # fmt: skip


def test_all_parts_in_every_seed_reproduce():
    assert decide([HOLDS] * 3) == REPRODUCED


@pytest.mark.parametrize(
    "change",
    [
        {"gain": LEVEL},
        {"over_supervised": {"STaR": at(0.05), "Pair-SFT": at(0.01)}},
        {"breaks": at(-0.01)},
        {"without": {"x": UP, "y": LEVEL}},
        {"over_iterated": {"iterated SFT": pair(45, 40)}},
        {"over_base": at(0.01)},
    ],
    ids=[
        "no gain",
        "a supervised arm gains as much",
        "breaks as many",
        "an ablation is as good",
        "an iterated arm may be as good",
        "the base may gain as much",
    ],
)
def test_one_part_that_does_not_hold_keeps_it_open(change):
    assert decide([HOLDS, HOLDS, replace(HOLDS, **change)]) == INCONCLUSIVE


def test_an_iterated_arm_as_good_in_every_seed_refutes_whatever_else_holds():
    tied = replace(HOLDS, over_iterated={"iterated SFT": UP, "iterated SFT+": pair(4, 4)})
    beaten = replace(HOLDS, over_iterated={"iterated SFT": DOWN, "iterated SFT+": UP})
    assert decide([tied, beaten, tied]) == REFUTED
    assert decide([tied, HOLDS, tied]) == INCONCLUSIVE


def test_a_gain_that_is_all_in_first_attempts_refutes():
    assert decide([replace(HOLDS, over_base=at(-0.01))] * 3) == REFUTED


def test_a_difference_that_noise_could_hide_refutes_nothing():
    assert decide([replace(HOLDS, over_iterated={"iterated SFT": pair(90, 90)})] * 3) == INCONCLUSIVE


def test_a_score_that_learned_on_neither_until_flat_nor_to_the_cap_refutes_nothing():
    tied = replace(HOLDS, over_iterated={"iterated SFT": DOWN})
    assert decide([tied] * 3) == REFUTED
    assert decide([tied, tied, replace(tied, unfinished=["SCoRe"])]) == INCONCLUSIVE
    assert decide([tied, tied, replace(tied, unfinished=["iterated SFT"])]) == REFUTED
    assert decide([replace(tied, rising=["SCoRe"])] * 3) == REFUTED, "at the cap"


def test_an_arm_that_may_still_rise_keeps_a_reproduction_open():
    assert decide([HOLDS, HOLDS, replace(HOLDS, unfinished=["iterated SFT"])]) == INCONCLUSIVE
    assert decide([replace(HOLDS, rising=["iterated SFT"])] * 3) == REPRODUCED


@pytest.mark.parametrize("change", [{"first": 0.7}, {"first": 0.2}, {"headroom": 0.05}])
def test_a_base_that_the_claim_is_not_about_shows_nothing(change):
    tied = replace(HOLDS, over_iterated={"iterated SFT": LEVEL})
    assert decide([tied, tied, replace(tied, **change)]) == INCONCLUSIVE


def seen(first, second, edited=None, fixed=None, n=400):
    """Made up: items below a share of `n` are right at first, those between two shares the second time."""
    at_ = np.arange(n) / n
    first_M, second_M = at_ < first, (at_ >= second[0]) & (at_ < second[1])
    edited_M = first_M != second_M if edited is None else at_ < edited
    fixed_M = second_M if fixed is None else at_ < fixed
    taught = Taught(60, 1, 2, 3, ((0.5, 0.5), (0.5, 0.51)), True)
    return Seen(first_M, second_M, edited_M, fixed_M, (n,), (5.0, 5.0), taught)


def made_up():
    arms = {name: seen(0.5, (0.0, 0.5)) for name in ARMS}
    arms["SCoRe"] = seen(0.5, (0.01, 0.8))
    return Base(seen(0.4, (0.1, 0.45)), 0.4, 0.7), arms


def test_comparisons_are_of_the_right_arms():
    found = compare(*made_up(), 0, cap=90)
    assert (found.gain.won, found.gain.lost) == (120, 4)
    assert found.over_supervised["STaR"].value == pytest.approx(0.29)
    assert found.breaks.value == pytest.approx(0.01 - 0.1)
    assert found.over_base.value == pytest.approx(0.29 - (-0.05))
    assert found.without["SCoRe - shaping"].difference == pytest.approx(0.29)
    assert found.counts and found.holds and not found.fails
    assert (found.first, found.headroom) == (pytest.approx(0.4), pytest.approx(0.3))


def test_shift_is_correction_of_the_bases_attempts_minus_of_its_own():
    base, arms = made_up()
    arms["Pair-SFT"] = seen(0.5, (0.0, 0.75), fixed=0.85)
    found = compare(base, arms, 0, cap=90).shift["Pair-SFT"]
    assert found.value == pytest.approx(0.45 / 0.6 - 0.5)
    assert found.ci95[0] > 0


def test_collapse_is_hardly_an_edit_and_hardly_a_gain():
    assert collapsed(seen(0.5, (0.0, 0.5)))
    assert not collapsed(seen(0.5, (0.0, 0.5), edited=0.2))
    assert not collapsed(seen(0.5, (0.0, 0.52)))


def test_flat_looks_at_one_turn_of_the_last_two_marks():
    still, rising = ((0.2, 0.5), (0.3, 0.51)), ((0.3, 0.5), (0.31, 0.52))
    assert flat(still, 1) and not flat(still, 0) and not flat(rising, 1) and flat(rising, 0)
    assert not flat(((0.3, 0.5),), 1) and not flat((), 1)


def test_single_turn_learning_is_flat_by_the_turn_that_it_trains():
    assert [name for name in (*ARMS, *DRAWN) if trained_turn(name) == 0] == [
        "single-turn RL",
        "single-turn RL, random reward",
    ]


def test_arms_that_are_not_flat_are_unfinished_below_the_cap_and_named_at_it():
    base, arms = made_up()
    for name, updates in (("SCoRe", 60), ("STaR", 90)):
        arms[name] = replace(arms[name], taught=replace(arms[name].taught, updates=updates, is_flat=False))
    found = compare(base, arms, 0, cap=90)
    assert (found.unfinished, found.rising) == (["SCoRe"], ["STaR"])
    last = notes_of(7, base, arms, found)[-1]
    assert "SCoRe 60" in last and "STaR 90" in last and last.endswith("not flat at the cap: STaR")
    assert not found.fails and not found.holds


def test_every_reinforced_arm_has_a_control_whose_reward_knows_nothing():
    assert list(DRAWN) == [f"{name}, random reward" for name in REINFORCED] and len(DRAWN) == 5
    base, arms = made_up()
    note = random_note(dict.fromkeys(DRAWN, arms["SCoRe"]), base, 7)
    assert all(f"{name} 50.0% and 79.0% after 60 updates" in note for name in DRAWN)


def test_the_map_says_where_score_leads_and_what_an_anchor_does():
    free, held = (Regime("SCoRe", 0.9, anchored=anchored) for anchored in (False, True))
    cells = {free: seen(0.5, (0.0, 0.9)), held: seen(0.45, (0.0, 0.6))}
    cells |= {replace(cell, name="iterated SFT+"): seen(0.4, (0.0, 0.75)) for cell in (free, held)}
    leads, anchor = map_notes(cells, SIZES["cpu"], 7)
    assert "seed 7, each arm's first 450 updates" in leads
    assert "copies 90%, fresh problems +15.0%" in leads and "fresh problems, anchored -15.0%" in leads
    assert leads.endswith("It leads in 1, trails in 1 of 2 (0 cannot be told)")
    assert "SCoRe 50.0% and 90.0% to 45.0% and 60.0%" in anchor


def test_the_map_is_read_once_more_where_its_arms_are_flat():
    free = Regime("SCoRe", 0.9)
    rising = replace(seen(0.5, (0.0, 0.9)), taught=replace(seen(0.5, (0.0, 0.9)).taught, is_flat=False))
    cells = {free: rising, replace(free, name="iterated SFT+"): seen(0.4, (0.0, 0.75))}
    leads, _ = map_notes(cells, SIZES["cpu"], 7, settled=True)
    assert "seed 7, each arm until it is flat, 1350 at most: " in leads and "fresh problems +15.0%" in leads
    assert leads.endswith("It leads in 1, trails in 0 of 1 (0 cannot be told); not flat at the cap: SCoRe in 1; "
                          "iterated SFT+ in 0")  # fmt: skip


def test_rows_of_the_map_are_over_its_seeds():
    cell = Regime("SCoRe", 0.9, few=True)
    rows = map_rows(
        [{"blind": seen(0.1, (0.0, 0.1))}, {"blind": seen(0.3, (0.0, 0.3))}],
        [{0.9: seen(0.4, (0.0, 0.4))}] * 2,
        [{cell: seen(0.5, (0.0, 0.6))}, {cell: seen(0.7, (0.0, 1.0))}],
        0,
    )
    assert [row["name"] for row in rows] == ["blind", "map: base, copies 90%", "map: SCoRe, copies 90%, few problems"]
    one = len(seen(0.5, (0.0, 0.5)).first_M)
    assert [(row["n"], row["accuracy_t2"]) for row in rows] == [(2 * one, v) for v in (0.2, 0.4, 0.8)]


def test_distances_are_levenshteins():
    first = np.array([[5, 6, 7, 1], [5, 6, 7, 1], [5, 6, 1, 0], [5, 6, 7, 1]])
    second = np.array([[5, 6, 7, 1], [5, 8, 7, 1], [5, 6, 7, 1], [6, 7, 1, 0]])
    assert distances(first, second).tolist() == [0, 1, 1, 1]


def test_seen_survives_its_file():
    arm = seen(0.3, (0.1, 0.6))
    again = Seen.of_json(arm.to_json())
    assert all((getattr(again, name) == getattr(arm, name)).all() for name in ("first_M", "second_M", "fixed_M"))
    assert (again.taught, again.distances) == (arm.taught, arm.distances)


def test_no_problem_is_both_trained_on_and_tested():
    pytest.importorskip("torch")
    parts = split(SIZES["cpu"])
    rows = [{tuple(row) for row in part.tolist()} for part in (parts.test_BP, parts.pilot_BP, parts.training_BP)]
    assert [len(part) for part in rows] == [2000, 1000, 12625]
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]


def test_a_scale_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="has no scale 'tpu'; it has smoke, cpu, gpu"):
        self_correction("tpu", 0, Pieces(tmp_path, "x"))


MINI = replace(SIZES["smoke"], goal=0.0, updates=4, width=8, copies=(0.9,), first_steps=4, round_steps=1)
CORRECTED = Regime("SCoRe", 0.9)


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    threads = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(threads)


def never_flat(monkeypatch):
    monkeypatch.setattr("trueup.claims.self_correction_seen.FLAT", -1.0)


@pytest.mark.parametrize("name", ["SCoRe", "Pair-SFT", "iterated SFT", "single-turn RL"])
def test_learning_on_from_its_files_equals_going_through(name, torch, tmp_path, monkeypatch):
    never_flat(monkeypatch)
    regime, size = Regime(name, 0.9), replace(MINI, stretches=3)
    through = Parts(size, 1, Pieces(tmp_path / "a", "x")).settled(regime)
    assert through.taught.updates == 7 == size.cap and not through.taught.is_flat
    killed = Parts(replace(size, stretches=1), 1, Pieces(tmp_path / "b", "x"))
    killed._stretch(regime, 0), killed._stretch(regime, 1)
    assert (tmp_path / "b" / f"seed1-{regime.part}-5.pt").exists()
    on = Parts(size, 1, Pieces(tmp_path / "b", "x")).settled(regime)
    assert on.to_json() == through.to_json()


def test_a_stretch_whose_weights_were_cleared_is_trained_again_from_the_base(torch, tmp_path, monkeypatch):
    never_flat(monkeypatch)
    parts = Parts(MINI, 1, Pieces(tmp_path, "x"))
    first = parts.settled(CORRECTED).to_json()
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["seed1-habit-90%.pt", "seed1-skilled.pt"]
    (tmp_path / f"seed1-SCoRe-90%-fresh-{MINI.cap}.json").unlink()
    assert Parts(MINI, 1, Pieces(tmp_path, "x")).settled(CORRECTED).to_json() == first


def test_an_arm_that_is_flat_learns_no_more(torch, tmp_path, monkeypatch):
    monkeypatch.setattr("trueup.claims.self_correction_seen.FLAT", 2.0)
    parts = Parts(MINI, 1, Pieces(tmp_path, "x"))
    settled, begun = parts.settled(CORRECTED), parts.begun(CORRECTED)
    assert settled.to_json() == begun.to_json() and settled.taught.updates == 4 and settled.taught.is_flat


def test_later_stretches_are_shorter_go_on_from_the_last_and_have_seeds_of_their_own(torch, tmp_path, monkeypatch):
    from trueup.train.laboratory import Spent

    never_flat(monkeypatch)
    given, weights = [], []

    def learn(course):
        weight = course.model.embedding.weight.data
        weights.append(float(weight[0, 0]))
        weight[0, 0] += 1.0
        given.append((course.begins, course.recipe.steps, course.recipe.seed))
        return Spent(steps=course.recipe.steps, tokens=10, flops=100)

    monkeypatch.setitem(EVERY, "SCoRe", learn)
    taught = Parts(MINI, 1, Pieces(tmp_path, "x")).settled(CORRECTED).taught
    assert [(begins, steps) for begins, steps, _ in given] == [(True, 4), (False, 1), (False, 1)]
    assert len({seed for *_, seed in given}) == 3 and given[0][2] == 1
    assert np.diff(weights) == pytest.approx([1.0, 1.0])
    assert (taught.updates, taught.tokens, taught.flops, len(taught.curve)) == (6, 30, 300, 3)


def test_marks_of_single_turn_learning_lie_where_those_of_others_do(torch, tmp_path):
    parts = Parts(replace(MINI, updates=6), 1, Pieces(tmp_path, "x"))
    curves = [parts.begun(Regime(name, 0.9)).taught.curve for name in ("single-turn RL", "SCoRe")]
    assert [len(curve) for curve in curves] == [3, 3]


def test_a_first_stretch_is_the_arm_as_the_laboratory_trains_it(torch, tmp_path):
    """What goes on behind it begins afresh: no step of the first stretch knows of the others."""
    from copy import deepcopy

    from trueup.train.laboratory import Recipe
    from trueup.train.laboratory.tasks.two_turns import finite
    from trueup.train.laboratory.turn_policy import reinforce_turns, score_stages
    from trueup.train.laboratory.turn_tuning import paired_up, tune_turns

    parts = Parts(MINI, 1, Pieces(tmp_path, "x"))
    base, _, _ = parts._habitual(0.9)
    recipe = Recipe(4, MINI.rows, MINI.lr, "constant", 10, weight_decay=0.0, seed=1)
    given = MINI.two_turns, finite(split(MINI).training_BP)
    for name, learn in {
        "SCoRe": lambda model: reinforce_turns(model, *given, score_stages(), recipe, reference=base),
        "Pair-SFT": lambda model: tune_turns(model, *given, paired_up, recipe, rounds=1, reference=base),
    }.items():
        model = deepcopy(base)
        spent = learn(model)
        parts._stretch(Regime(name, 0.9), 0)
        ours = parts._weights(Regime(name, 0.9), 0)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), ours.parameters(), strict=True))
        taught = parts.begun(Regime(name, 0.9)).taught
        assert (taught.tokens, taught.flops) == (spent.tokens, spent.flops)


def test_off_line_traces_are_the_bases_whatever_the_model_has_become(torch, tmp_path, monkeypatch):
    from copy import deepcopy

    from trueup.train.laboratory import Recipe, Spent, turn_tuning
    from trueup.train.laboratory.tasks.two_turns import finite
    from trueup.train.laboratory.turns import episodes

    base, _, _ = Parts(MINI, 1, Pieces(tmp_path, "x"))._habitual(0.9)
    model, two_turns, problems = deepcopy(base), MINI.two_turns, finite(split(MINI).training_BP)
    for weight in model.parameters():
        weight.data.mul_(1.5)
    begun, sampled = deepcopy(model.state_dict()), []

    def tune(learner, *_, **__):
        sampled.append(episodes(learner, two_turns, problems(np.random.default_rng(0), 8), n=4, seed=0))
        _[2](sampled[0], two_turns, np.random.default_rng(0))
        return Spent()

    monkeypatch.setattr(turn_tuning, "tune_turns", tune)
    off_line("paired_up", Course(model, base, two_turns, problems, Recipe(2), 0.0, 1, False, lambda done: None))
    own = episodes(base, two_turns, problems(np.random.default_rng(0), 8), n=4, seed=0)
    assert (sampled[0].first_BT == own.first_BT).all() and (sampled[0].second_BT == own.second_BT).all()
    assert all(torch.equal(begun[name], weight) for name, weight in model.state_dict().items())


def test_sampled_tokens_are_those_of_every_attempt(torch, tmp_path):
    size = replace(MINI, updates=4, stretches=0)
    parts = Parts(size, 1, Pieces(tmp_path, "x"))
    most = 2 * size.updates * size.rows * size.two_turns.most
    for name in ("SCoRe", "STaR", "single-turn RL", "reference answers"):
        taught = parts.begun(Regime(name, 0.9)).taught
        assert most / 2 < taught.sampled_tokens <= most and taught.updates == 4


def test_a_tiny_run_gives_the_same_figures_again_and_from_its_parts(torch, tmp_path):
    first = run("smoke", MINI, (1,), Pieces(tmp_path / "a", "x"))
    seen_parts = []
    kept = run("smoke", MINI, (1,), Pieces(tmp_path / "a", "x", lambda name, s: seen_parts.append((name, s))))
    assert first.text() == kept.text() and all(seconds == 0 for _, seconds in seen_parts)
    (tmp_path / "a" / "seed1-SCoRe-90%-fresh-4.json").unlink()
    (tmp_path / "a" / "seed1-habit-90%.json").unlink()
    assert run("smoke", MINI, (1,), Pieces(tmp_path / "a", "x")).text() == first.text()
    names = [row["name"] for row in first.arms]
    assert names[: 1 + len(ARMS)] == ["base", *ARMS]
    assert names[1 + len(ARMS) :][:4] == [name for name in DRAWN if name not in ARMS]
    assert {f"map: {name}, copies 90%, fresh problems, anchored" for name in ARMS} <= set(names)
    assert "map: SCoRe, copies 90%, few problems, anchored" in names
    assert len(names) == 1 + len(ARMS) + 4 + 1 + 2 * len(ARMS) + 2 * 5
    by_name = {row["name"]: row for row in first.arms}
    assert by_name["SCoRe"]["n"] == 30 and by_name["SCoRe"]["flops"] > by_name["STaR"]["flops"] > 0
    assert by_name["SCoRe"]["sampled_tokens"] > 0 and by_name["base"]["sampled_tokens"] is None
    assert all(row["updates"] != [0] for row in first.arms if not row["name"].endswith(("base", "base, copies 90%")))


def test_cells_of_the_map_are_seen_after_equal_updates_and_where_they_end(torch, tmp_path, monkeypatch):
    never_flat(monkeypatch)
    trained = []

    def counted(*given, number, **more):
        trained.append((given[-1], number))
        return train_arm(*given, number=number, **more)

    monkeypatch.setattr("trueup.claims.self_correction_parts.train_arm", counted)
    verdict = run("smoke", MINI, (1,), Pieces(tmp_path, "x"))
    assert all(row["updates"] == [MINI.cap] for row in verdict.arms if row["name"].startswith("map: SCoRe"))
    told = [note for note in verdict.notes if note.startswith("map, seed 1")]
    first, last = f"each arm's first {MINI.updates} updates", f"each arm until it is flat, {MINI.cap} at most"
    assert [first in note for note in told] == [True, True, False, False]
    assert [last in note for note in told] == [False, False, True, True]
    assert len(trained) == len(set(trained))
