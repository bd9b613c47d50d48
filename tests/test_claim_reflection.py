"""Reflection on structure that is not known: the strips, what marks tell, what length explains, the criterion alone."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from trueup.claims.gap import Difference
from trueup.claims.pieces import Pieces
from trueup.claims.reflection_ceiling import SIZES, decide, put_to_test, reflection_ceiling
from trueup.claims.reflection_contrasts import Fall, Found, apart, slope, telling, within
from trueup.claims.reflection_models import BETWEEN, BEYOND, FAMILIAR, GROUPS, KIND, SHOWN, TAUGHT_ONCE, Group, Size
from trueup.claims.reflection_published import FAMILIES, PUZZLES, macro, per_puzzle, published_rows, solver_row
from trueup.core.errors import BadInput

MINI = Size(width=16, layers=1, steps=2, rounds=1, shown=1, pool=24, items=6, sampled=3, attempts=2, longest=90)
BLIND = Difference(0.5, (0.45, 0.55))
FAR = Difference(0.4, (0.35, 0.45))
HIGH = Difference(0.8, (0.75, 0.85))
STEEP = Difference(-0.05, (-0.06, -0.04))
CEILING = Fall(FAR, HIGH, HIGH, HIGH, BLIND, BLIND)
NEAR = replace(CEILING, fall=Difference(0.1, (0.05, 0.15)))


def found(**changes) -> Found:
    usual = Found(0.99, 0.97, {BETWEEN: NEAR, BEYOND: CEILING, KIND: NEAR}, STEEP, STEEP)
    return replace(usual, **changes)


def test_one_structure_with_a_ceiling_in_every_seed_reproduces_the_claim():
    assert decide([found()] * 3) == "reproduced"
    other = found(falls={BETWEEN: CEILING, BEYOND: NEAR, KIND: NEAR})
    assert decide([found(), found(), other]) == "inconclusive"


@pytest.mark.parametrize(
    "changes",
    [
        {"fall": Difference(0.2, (0.19, 0.3))},
        {"share": Difference(0.5, (0.49, 0.6))},
        {"half": Difference(0.6, (0.59, 0.7))},
        {"telling": Difference(0.5, (0.39, 0.55))},
        {"telling": Difference(float("nan"), (0.0, 1.0))},
        {"within": Difference(0.55, (0.45, 0.61))},
    ],
)
def test_every_part_of_a_ceiling_is_needed(changes):
    falls = {**found().falls, BEYOND: replace(CEILING, **changes)}
    assert decide([found(falls=falls)] * 3) == "inconclusive"


def test_small_falls_everywhere_or_telling_reflections_refute():
    telling_marks = replace(CEILING, telling=Difference(0.2, (0.1, 0.39)))
    assert decide([found(falls={BETWEEN: NEAR, BEYOND: NEAR, KIND: NEAR})] * 3) == "refuted"
    assert decide([found(falls={BETWEEN: NEAR, BEYOND: telling_marks, KIND: NEAR})] * 3) == "refuted"
    within_marks = replace(CEILING, within=Difference(0.75, (0.63, 0.86)))
    assert decide([found(falls={BETWEEN: NEAR, BEYOND: within_marks, KIND: NEAR})] * 3) == "refuted"
    open_ = replace(NEAR, fall=Difference(0.15, (0.05, 0.25)))
    assert decide([found(falls={BETWEEN: NEAR, BEYOND: open_, KIND: NEAR})] * 3) == "inconclusive"


def test_parts_that_fall_with_the_whole_refute_nothing():
    collapsed = replace(CEILING, share=Difference(0.2, (0.1, 0.3)), half=Difference(0.2, (0.1, 0.3)))
    assert decide([found(falls={BETWEEN: NEAR, BEYOND: collapsed, KIND: NEAR})] * 3) == "inconclusive"


def test_take_backs_that_cost_through_length_alone_refute():
    nothing = Difference(0.0, (-0.009, 0.009))
    assert decide([found(adjusted=nothing)] * 3) == "refuted"
    assert decide([found(adjusted=nothing)] * 2 + [found()]) == "reproduced"
    assert decide([found(adjusted=nothing, raw=nothing)] * 3) == "reproduced"
    slight = Difference(-0.006, (-0.009, -0.003))
    assert decide([found(adjusted=slight, raw=slight)] * 3) == "reproduced"
    assert decide([found(adjusted=Difference(0.0, (-0.011, 0.0)))] * 3) == "reproduced"


def test_a_model_that_does_not_know_the_familiar_decides_nothing():
    assert decide([found(), found(), found(familiar=0.89)]) == "inconclusive"


def test_a_tie_that_is_not_judged_rightly_is_left_out():
    falls = {BETWEEN: NEAR, BEYOND: NEAR, KIND: CEILING}
    assert decide([found(falls=falls)] * 3) == "reproduced"
    assert decide([found(falls=falls, judged=0.89)] * 3) == "refuted"


def test_what_marks_tell_is_the_chance_that_a_right_answer_has_more():
    right = np.array([True, True, False, False])
    assert telling(np.array([3, 2, 1, 0]), right, 0).value == 1.0
    assert telling(np.array([0, 1, 2, 3]), right, 0).value == 0.0
    assert telling(np.array([1, 2, 1, 3]), right, 0).value == pytest.approx((0.5 + 0 + 1 + 0) / 4)
    assert np.isnan(telling(np.array([1, 2]), np.array([True, True]), 0).value)
    rng = np.random.default_rng(0)
    low, high = telling(rng.integers(0, 9, 2000), rng.random(2000) < 0.5, 0).ci95
    assert low < 0.5 < high and high - low < 0.08


def test_within_a_problem_only_its_own_attempts_are_compared():
    marks = np.array([[5, 1], [9, 9], [0, 2]])
    right = np.array([[True, False], [True, True], [True, False]])
    assert within(marks, right, 0).value == 0.5
    assert within(marks[:1], right[:1], 0).value == 1.0
    assert np.isnan(within(marks[1:2], right[1:2], 0).value)


def test_two_groups_are_drawn_apart():
    gap = apart(np.array([1.0] * 90 + [0.0] * 10), np.array([1.0] * 30 + [0.0] * 70), 0)
    assert gap.value == pytest.approx(0.6)
    spread = 1.96 * np.sqrt(0.09 / 100 + 0.21 / 100)
    assert gap.ci95 == pytest.approx((0.6 - spread, 0.6 + spread), abs=0.02)


def group(right, undone, length) -> Group:
    flat, M = np.zeros(len(right), np.int64), len(right)
    undone, length = np.array(undone), np.array(length)
    right = np.array(right, bool)
    return Group(
        right, right.astype(float), flat, flat, right, flat, undone, length,
        np.zeros((M, 2), bool), np.zeros((M, 2), np.int64),
    )  # fmt: skip


def test_a_slope_through_length_goes_where_lengths_are_equal():
    rng = np.random.default_rng(1)
    undone = rng.integers(0, 5, 4000)
    by_length = group(rng.random(4000) < 1 - 0.1 * undone, undone, undone * 10)
    assert slope({"a": by_length}, 0, bins=1).value == pytest.approx(-0.1, abs=0.02)
    length = rng.integers(0, 1000, 4000)
    alone = group(rng.random(4000) < 1 - 0.1 * undone, undone, length)
    assert slope({"a": alone}, 0, bins=6).value == pytest.approx(-0.1, abs=0.02)
    shared = undone * 100 + rng.integers(0, 300, 4000)
    through = group(rng.random(4000) < 1 - shared / 1000, undone, shared)
    assert abs(slope({"a": through}, 0, bins=200).value) < 0.02 < -slope({"a": through}, 0, bins=1).value


def test_groups_differ_in_level_without_a_slope():
    easy, hard = group([1] * 50, [0] * 25 + [1] * 25, range(50)), group([0] * 50, [3] * 25 + [4] * 25, range(50))
    assert slope({"a": easy, "b": hard}, 0, bins=1).value == 0.0


def test_published_means_are_of_families_and_of_puzzles():
    rows = {row["name"].rpartition(": ")[2]: row for row in published_rows()}
    assert rows["o1-preview"]["exact_match_macro"] == pytest.approx(0.236, abs=5e-4)
    assert rows["o1-preview"]["exact_match"] == pytest.approx(0.288, abs=5e-4)
    assert rows["DeepSeek-R1"]["exact_match_macro"] == pytest.approx(0.200, abs=5e-4)
    assert rows["DeepSeek-R1"]["exact_match"] == pytest.approx(0.260, abs=5e-4)
    assert sum(PUZZLES) == 850 and macro([0, 100]) == 50 and per_puzzle([0, 100], [3, 1]) == 25


def test_the_solver_row_is_read_from_its_measurement_or_left_out(tmp_path):
    rows = [
        {"family": name, "n": 10 * (place + 1), "exact_match": 1.0, "s_acc": 0.5} for place, name in enumerate(FAMILIES)
    ]
    path = tmp_path / "solve.json"
    path.write_text(json.dumps({"results": [*rows, {"family": "mean of families", "exact_match": 1.0}]}))
    (row,) = solver_row(path)
    assert row["n"] == 210 and row["exact_match"] == 1.0 and row["s_acc_macro"] == 0.5
    assert solver_row(tmp_path / "none.json") == []


def test_a_search_finds_the_first_solution_of_the_alphabet():
    pytest.importorskip("torch")
    from itertools import product

    from trueup.train.laboratory.tasks.strip import LETTERS, PROMPT_TOKENS, draw_strip

    rng = Random(0)
    for cells, kinds in GROUPS.values():
        for _ in range(8):
            strip = draw_strip(rng, cells, kinds, wanted=lambda strip: len(strip.worked) < 200)
            ways = ("".join(way) for way in product(LETTERS, repeat=cells))
            fits = [way for way in ways if all(strip.holds(way[: k + 1]) for k in range(cells))]
            assert fits[0] == strip.solution and strip.worked.endswith(f";#{strip.solution}$")
            assert set(strip.kinds()) <= set(kinds) and len(strip.prompt) == PROMPT_TOKENS


def test_a_search_says_what_breaks_and_takes_back_what_leads_nowhere():
    pytest.importorskip("torch")
    from trueup.train.laboratory.tasks.strip import Strip

    strip = Strip(2, ".+*")
    assert strip.prompt == "2.3+4*......=" and strip.kinds() == "+*"
    assert strip.worked == "2..a;3+aa!3+ab;4*ba;#aba$"
    other = Strip(1, ".-c*")
    never = "2-aa!2-ab!2-ac!2-ad!"
    assert Strip(1, ".-").worked == f"1..a;{never}1..a?1..b;2-ba;#ba$"
    assert other.solution == "bacb" and other.kinds() == "-g*"
    assert other.worked == f"1..a;{never}1..a?1..b;2-ba;3caa!3cab!3cac;4*ca!4*cb;#bacb$"
    assert Strip(1, "a-").solution == ""


def test_verdicts_are_learned_and_nothing_else():
    pytest.importorskip("torch")
    from trueup.train.laboratory.tasks.strip import draw_strip, judged_rows
    from trueup.train.laboratory.vocabulary import decode

    strips = [draw_strip(Random(i), 4, "+-*g:", wanted=lambda strip: ":" in strip.kinds()) for i in range(10)]
    rows = judged_rows(Random(0), strips, 4, ties=":")
    assert (rows.learned_BT.sum(1) == 4).all()
    for row, strip in zip(rows.tokens_BT, strips, strict=True):
        steps = decode(row)[13:].replace("!", "!|").replace(";", ";|").strip("|").split("|")
        for step in steps:
            place = int(step[0]) - strip.first
            assert step[1] == strip.cells[place] == ":"
            assert strip.holds(place * step[2] + step[3]) == (step[-1] == ";")


def test_a_strip_that_cannot_be_is_named():
    pytest.importorskip("torch")
    from trueup.train.laboratory.tasks.strip import draw_strip

    with pytest.raises(BadInput, match="7 cells; this task has 2 to 6"):
        draw_strip(Random(0), 7, "+", wanted=lambda strip: True)


def test_a_claim_has_no_scale_that_it_was_not_written_for(tmp_path):
    with pytest.raises(BadInput, match="it has smoke, cpu"):
        reflection_ceiling("gpu", 0, Pieces(tmp_path, "x"))
    assert all(size.items >= size.sampled for size in SIZES.values())


def test_a_whole_run_is_the_same_twice_and_asks_every_group(tmp_path):
    pytest.importorskip("torch")
    verdicts = [put_to_test("mini", MINI, [0], Pieces(tmp_path / name, "x")) for name in "ab"]
    assert verdicts[0].arms == verdicts[1].arms and verdicts[0].notes == verdicts[1].notes
    arms = {arm["name"]: arm for arm in verdicts[0].arms}
    assert all(arms[f"{model}: {group}"]["n"] == 6 for model in (TAUGHT_ONCE, SHOWN) for group in GROUPS)
    assert arms[f"{SHOWN}: {FAMILIAR}"]["training_steps"] == 3
    assert arms[f"{TAUGHT_ONCE}: {BEYOND}"]["search_tokens"] <= 90
