"""The claim self-correction: its criterion on made-up figures, its held-out problems, and a run of seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueup.claims import Pieces
from trueup.claims.gap import Difference
from trueup.claims.self_correction import SIZES, decide, self_correction
from trueup.claims.self_correction import put_to_test as run
from trueup.claims.self_correction_arms import ARMS, Seen, distances
from trueup.claims.self_correction_base import split
from trueup.claims.self_correction_found import Base, Found, collapsed, compare, flat
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
    return Seen(first_M, second_M, edited_M, fixed_M, (n,), (5.0, 5.0), ((0.5, 0.5),), 1, 2)


def made_up():
    arms = {name: seen(0.5, (0.0, 0.5)) for name in ARMS}
    arms["SCoRe"] = seen(0.5, (0.01, 0.8))
    return Base(seen(0.4, (0.1, 0.45)), 0.4, 0.7), arms


def test_comparisons_are_of_the_right_arms():
    found = compare(*made_up(), 0)
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
    found = compare(base, arms, 0).shift["Pair-SFT"]
    assert found.value == pytest.approx(0.45 / 0.6 - 0.5)
    assert found.ci95[0] > 0


def test_collapse_is_hardly_an_edit_and_hardly_a_gain():
    assert collapsed(seen(0.5, (0.0, 0.5)))
    assert not collapsed(seen(0.5, (0.0, 0.5), edited=0.2))
    assert not collapsed(seen(0.5, (0.0, 0.52)))


def test_flat_looks_at_the_second_turn_of_the_last_two_marks():
    assert flat(((0.2, 0.5), (0.3, 0.51))) and not flat(((0.3, 0.5), (0.3, 0.53))) and not flat(((0.3, 0.5),))


def test_distances_are_levenshteins():
    first = np.array([[5, 6, 7, 1], [5, 6, 7, 1], [5, 6, 1, 0], [5, 6, 7, 1]])
    second = np.array([[5, 6, 7, 1], [5, 8, 7, 1], [5, 6, 7, 1], [6, 7, 1, 0]])
    assert distances(first, second).tolist() == [0, 1, 1, 1]


def test_seen_survives_its_file():
    arm = seen(0.3, (0.1, 0.6))
    again = Seen.of_json(arm.to_json())
    assert all((getattr(again, name) == getattr(arm, name)).all() for name in ("first_M", "second_M", "fixed_M"))
    assert (again.curve, again.distances, again.flops) == (arm.curve, arm.distances, arm.flops)


def test_no_problem_is_both_trained_on_and_tested():
    pytest.importorskip("torch")
    parts = split(SIZES["cpu"])
    rows = [{tuple(row) for row in part.tolist()} for part in (parts.test_BP, parts.pilot_BP, parts.training_BP)]
    assert [len(part) for part in rows] == [2000, 1000, 12625]
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]


def test_a_scale_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="has no scale 'tpu'; it has smoke, cpu, gpu"):
        self_correction("tpu", 0, Pieces(tmp_path, "x"))


MINI = replace(SIZES["smoke"], goal=0.0, updates=3, width=8, copies=(0.9,))


def test_a_tiny_run_gives_the_same_figures_again_and_from_its_parts(tmp_path):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    first = run("smoke", MINI, (1,), Pieces(tmp_path / "a", "x"))
    seen_parts = []
    kept = run("smoke", MINI, (1,), Pieces(tmp_path / "a", "x", lambda name, s: seen_parts.append((name, s))))
    assert first.text() == kept.text() and all(seconds == 0 for _, seconds in seen_parts)
    (tmp_path / "a" / "seed1-SCoRe-90%-fresh.json").unlink()
    (tmp_path / "a" / "seed1-habit-90%.json").unlink()
    assert run("smoke", MINI, (1,), Pieces(tmp_path / "a", "x")).text() == first.text()
    names = [row["name"] for row in first.arms]
    assert names[: 1 + len(ARMS)] == ["base", *ARMS]
    assert "map: SCoRe, copies 90%, few problems, anchored" in names and len(names) == 1 + len(ARMS) + 1 + 20
    by_name = {row["name"]: row for row in first.arms}
    assert by_name["SCoRe"]["n"] == 30 and by_name["SCoRe"]["flops"] > by_name["STaR"]["flops"] > 0
