"""The claim on retraction: its criterion at its edges, its statistics by hand, its parts end to end when small."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import erfc, sqrt

import numpy as np
import pytest

from trueup.claims.gap import Difference
from trueup.claims.pieces import Pieces
from trueup.claims.retraction import decide, put_to_test, retraction
from trueup.claims.retraction_formal import decided, fault_of, is_solved, of_gold, of_programs
from trueup.claims.retraction_found import Found, Slope, by_band, slope
from trueup.claims.retraction_models import (
    APPEND,
    DELETE,
    FORMAL,
    FORWARD,
    GREEDY,
    PASSING,
    POINTS,
    SAME_WEIGHTS,
    STEERED,
    TAUGHT,
    Seen,
    Size,
    _first_of_most,
    first_part,
    maps_of,
    rows_of,
    steps_of,
)  # fmt: skip
from trueup.claims.retraction_rows import SOLVER
from trueup.core.csp import parse
from trueup.core.errors import BadInput

pytest.importorskip("torch")
from trueup.train.laboratory.tasks.maps import Map
from trueup.train.laboratory.vocabulary import PAD

DOWN, LEVEL = Slope(-0.1, 0.001), Slope(0.0, 0.5)
UP = Slope(0.1, 0.001)
SMALL = Difference(0.0, (-0.01, 0.01))
LARGE = Difference(0.3, (0.28, 0.32))
ARCHITECTURAL = Found(
    easy={FORWARD: 0.99, APPEND: 0.99, DELETE: 0.99},
    deep={FORWARD: 0.3, APPEND: 0.5, DELETE: 0.9},
    deep_ci95={APPEND: (0.48, 0.52)},
    slopes={FORWARD: DOWN, APPEND: DOWN, DELETE: LEVEL},
    apart={FORWARD: UP, APPEND: UP},
    over_append=LARGE,
    over_forward=LARGE,
    learned={FORWARD: SMALL, APPEND: SMALL},
    began=0.95,
)
EARLIER = ((), (), (0,), (1, 2), (2, 3), (1, 3, 4), (2, 4, 5), (1, 4, 6), (0, 7))
MAP = Map(EARLIER, (3, 1, 2, 3, 1, 2, 3, 2, 1), 2, 3)


def test_falling_without_deletion_level_with_it_and_no_help_from_data_is_reproduced():
    assert decide([ARCHITECTURAL] * 3, True) == "reproduced"


@pytest.mark.parametrize(
    "change",
    [
        {"slopes": {FORWARD: DOWN, APPEND: LEVEL, DELETE: LEVEL}},
        {"slopes": {FORWARD: Slope(-0.1, 0.02), APPEND: DOWN, DELETE: LEVEL}},
        {"apart": {FORWARD: UP, APPEND: Slope(0.1, 0.02)}},
        {"apart": {FORWARD: UP, APPEND: DOWN}},
        {"learned": {FORWARD: SMALL, APPEND: Difference(0.03, (0.0, 0.06))}},
        {"easy": {FORWARD: 0.99, APPEND: 0.89, DELETE: 0.99}},
        {"over_append": SMALL},
        {"deep_ci95": {APPEND: (0.96, 0.98)}},
    ],
)
def test_one_seed_that_disagrees_leaves_it_open(change):
    assert decide([ARCHITECTURAL, ARCHITECTURAL, replace(ARCHITECTURAL, **change)], True) == "inconclusive"


def test_it_is_refuted_where_the_text_alone_suffices_or_deletion_brings_nothing_and_only_where_that_is_shown():
    trained = replace(ARCHITECTURAL, deep_ci95={APPEND: (0.951, 0.97)})
    unsure = replace(ARCHITECTURAL, deep_ci95={APPEND: (0.949, 0.97)}, learned={FORWARD: LARGE, APPEND: SMALL})
    alike = replace(ARCHITECTURAL, over_append=SMALL)
    nearly = replace(ARCHITECTURAL, over_append=Difference(0.0, (-0.03, 0.03)), learned={FORWARD: LARGE, APPEND: SMALL})
    assert decide([trained] * 3, True) == decide([alike] * 3, True) == "refuted"
    assert decide([unsure] * 3, True) == decide([nearly] * 3, True) == "inconclusive"
    assert decide([trained, alike, alike], True) == "inconclusive"


def test_it_is_refuted_where_more_data_mends_a_text_that_could_do_the_easy_ones():
    mended = replace(ARCHITECTURAL, learned={FORWARD: SMALL, APPEND: Difference(0.25, (0.21, 0.29))})
    slower = replace(ARCHITECTURAL, learned={FORWARD: SMALL, APPEND: Difference(0.21, (0.19, 0.23))})
    assert decide([mended] * 3, True) == "refuted"
    assert decide([slower] * 3, True) == decide([mended, mended, slower], True) == "inconclusive"
    assert decide([replace(mended, began=0.89)] * 3, True) == "inconclusive"


def test_nothing_is_said_where_the_solver_errs_or_a_model_cannot_do_what_needs_no_turning_back():
    assert decide([ARCHITECTURAL] * 3, False) == "inconclusive"
    unable = replace(ARCHITECTURAL, easy={**ARCHITECTURAL.easy, DELETE: 0.5}, over_append=SMALL)
    assert decide([unable] * 3, True) == "inconclusive"


def test_a_slope_is_least_squares_with_a_robust_error():
    """By hand: depths 0 0 1 1 about their mean 1/2, values 1 1 1 0: slope -1/2, residuals 0 0 1/2 -1/2."""
    found = slope(np.array([1.0, 1, 1, 0]), np.array([0, 0, 1, 1]))
    assert found.value == pytest.approx(-0.5)
    assert found.p == pytest.approx(erfc(0.5 / (sqrt(2 * 0.25**2) / 1.0) / sqrt(2)))
    assert slope(np.ones(4), np.array([0, 1, 2, 3])).p == 1.0


def test_accuracies_stand_by_band():
    assert by_band([True, False, True, True, False], np.array([0, 0, 1, 2, 5])) == [0.5, 1.0, 0.0]


def test_the_commonest_answer_wins_and_of_equals_the_first():
    assert _first_of_most(["b", "a", "a", "b"]) == 0
    assert _first_of_most(["b", "a", "a"]) == 1


def test_every_program_has_room_for_its_end_mark(tmp_path):
    size = Size(maps=4, items=4, width=16, tokens=1000)
    maps, items = maps_of(size, 0, Pieces(tmp_path, "t"))
    assert max(len(one.statements() + "$") for one in (*maps, *items)) <= size.program < size.most


def test_a_written_program_is_right_or_fails_in_one_of_four_ways():
    gold = of_gold([MAP])
    assert is_solved(MAP, gold[0])
    right = MAP.statements() + "$"
    texts = {
        right: None,
        right.replace("i:ah;", "i:;"): "under-constrained",
        right.replace("c:a", "c:ab;c3"): "unsatisfiable",
        right.replace("a3;b1;", "a1;b3;"): "wrong",
        right.replace("c:a;", "c:!;"): "parse",
        right[:-1]: "parse",
        right.replace("a3;", ""): "parse",
    }  # fmt: skip
    right_M, found = of_programs(list(texts), [MAP] * len(texts), gold * len(texts))
    assert right_M.tolist() == [fault is None for fault in texts.values()]
    assert found == Counter(fault for fault in texts.values() if fault)
    assert fault_of("timeout") == "undecided"


def test_the_solver_is_right_on_maps_of_every_band(tmp_path):
    size = Size(maps=2, items=3, width=16, tokens=1000)
    maps, items = maps_of(size, 5, Pieces(tmp_path / "p", "x"))
    assert all(is_solved(one, found) for one, found in zip(items, of_gold(items), strict=True))
    assert [min(one.undone, 3) for one in items] == sorted(min(one.undone, 3) for one in items)
    assert not {one.key() for one in maps} & {one.key() for one in items}
    again, _ = maps_of(size, 5, Pieces(tmp_path / "p", "x"))
    assert again == maps


def test_arms_take_as_many_tokens_from_the_same_maps():
    maps = [replace(MAP, undone=undone) for undone in (0, 0, 0, 0, 1, 2, 1, 1, 3, 4, 5, 6)]
    assert [one.undone for one in first_part(maps, 2)] == [0, 0, 1, 2, 3, 4]
    assert [one.undone for one in first_part(maps, 9)] == [0, 1, 3]
    assert first_part(maps, 1) == maps
    size = Size(maps=4, items=1, width=16, tokens=100_000)
    for arm in TAUGHT:
        rows = rows_of(arm, maps)
        mean = (rows.tokens_BT != PAD).sum() / len(rows.tokens_BT)
        assert 0 <= steps_of(rows, size, 0.25) * size.rows * mean - 25_000 < size.rows * mean


def test_a_run_says_every_arm_and_goes_on_where_it_was(tmp_path):
    size = Size(maps=4, items=3, width=16, tokens=3000, layers=1, rows=8)
    made = []
    first = put_to_test("smoke", size, range(2), Pieces(tmp_path / "p", "x", lambda *part: made.append(part)))
    again = put_to_test("smoke", size, range(2), Pieces(tmp_path / "p", "x"))
    assert again.text() == first.text()
    rows = {row["name"]: row for row in first.arms}
    assert rows[SOLVER]["accuracy"] == 1.0
    last = {FORWARD, GREEDY, PASSING, STEERED, APPEND, SAME_WEIGHTS, DELETE, FORMAL}
    assert last < set(rows)
    assert rows[STEERED]["accuracy"] >= rows[GREEDY]["accuracy"]
    assert all(
        row["written_tokens_per_request"] <= size.most for name, row in rows.items() if not name.startswith(FORMAL)
    )
    curve = [rows[f"{APPEND}, {point} of the data"] for point in [*POINTS][:-1]] + [rows[APPEND]]
    assert {row["n"] for row in curve} == {2 * 9}
    fed = [row["training_tokens"] for row in curve]
    assert fed == sorted(fed) and len(set(fed)) == len(POINTS)
    spent = [rows[name]["training_tokens"] for name in (FORWARD, APPEND, DELETE, FORMAL)]
    assert max(spent) < 1.5 * min(spent)
    assert sum(rows[FORMAL]["faults"].values()) == pytest.approx(1 - rows[FORMAL]["accuracy"])
    assert first.verdict == "inconclusive"


def test_seen_comes_back_from_json():
    one = Seen(np.array([True, False]), np.array([3, 4]), 1.5, {"parse": 1}, 10, 20)
    back = Seen.of_json(one.to_json())
    assert back.to_json() == one.to_json()


def test_an_unknown_scale_names_the_known_ones(tmp_path):
    with pytest.raises(BadInput, match="it has smoke, cpu"):
        retraction("huge", 0, Pieces(tmp_path / "p", "x"))


def test_a_program_without_one_solution_is_told_apart():
    found = decided([parse("int a in 1..2"), parse("int a in 1..2\ncon a > 2"), parse("int a in 1..1")])
    assert [status for status, _ in found] == ["not_unique", "unsatisfiable", "solved"]
