"""The claim internal-external: its criterion on made-up figures, break-even by hand, and a run of seconds."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from trueup.claims import Pieces
from trueup.claims.crossing import Way, crossing, external
from trueup.claims.curves import Curves, doublings
from trueup.claims.internal_external import (
    NAME,
    REQUESTS,
    SIZES,
    Compared,
    at_equal_flops,
    compare,
    decide,
    internal_external,
    total_flops,
)  # fmt: skip
from trueup.claims.internal_external import put_to_test as run
from trueup.claims.verdict import INCONCLUSIVE, REFUTED, REPRODUCED
from trueup.core.errors import BadInput, Unavailable
from trueup.plan.paired import Paired

N = 1000
WAYS = ("with a verifier", "by votes")


def arm(difference, *, ci95=None, p=1e-6):
    won = max(0, round(difference * N))
    return Paired(N, won, max(0, -round(difference * N)), p, ci95 or (difference - 0.01, difference + 0.01))


GOOD = Compared(0.45, 0.75, arm(0.3), arm(0.1), arm(0.05), arm(0.25), arm(-0.25))


def curves(*, right, flops, verifier_flops=0.0, sizes=(1, 2, 4)):
    """Made-up curves: the share of right answers, and FLOPs an item, at each number of samples."""
    items = 100
    flags = np.stack([np.arange(items) < round(share * items) for share in right])
    costs = np.array(flops, float)[:, None] * np.ones(items)
    return Curves(sizes, flags[0], flags[0].astype(float), flags, flags, flags, costs, costs, 0 * costs, verifier_flops)


def test_all_four_in_every_seed_reproduce():
    assert decide([GOOD] * 3) == REPRODUCED


@pytest.mark.parametrize("name", ["trained", "base_search", "trained_search", "ahead"])
def test_a_single_test_of_a_single_seed_at_the_level_or_backwards_keeps_it_open(name):
    at_level = replace(GOOD, **{name: arm(0.1, p=0.01)})
    backwards = replace(GOOD, **{name: arm(-0.1, ci95=(-0.2, 0.1))})
    assert decide([GOOD, GOOD, at_level]) == decide([GOOD, GOOD, backwards]) == INCONCLUSIVE


def test_search_that_adds_nothing_to_training_refutes_in_all_seeds_only():
    nothing = replace(GOOD, trained_search=arm(0.0, ci95=(-0.004, 0.0049)))
    assert decide([nothing] * 3) == REFUTED
    assert decide([nothing, nothing, GOOD]) == INCONCLUSIVE
    perhaps = replace(GOOD, trained_search=arm(0.0, ci95=(-0.004, 0.005)), ahead=arm(0.0, p=1.0))
    assert decide([perhaps] * 3) == INCONCLUSIVE


def test_a_base_as_good_at_equal_flops_refutes_whatever_else_holds():
    matched = replace(GOOD, equal_flops=arm(0.0, ci95=(-0.004, 0.004)))
    assert decide([matched] * 3) == REFUTED
    assert decide([replace(GOOD, equal_flops=arm(0.0, ci95=(-0.005, 0.004)))] * 3) == REPRODUCED
    assert decide([replace(GOOD, equal_flops=None)] * 3) == REPRODUCED


@pytest.mark.parametrize("base", [0.24, 0.66])
def test_a_base_that_is_too_good_or_too_bad_shows_nothing(base):
    assert decide([GOOD, GOOD, replace(GOOD, base_once=base)]) == INCONCLUSIVE


def test_a_trained_model_that_leaves_no_room_shows_nothing_of_search():
    nothing = replace(GOOD, trained_once=0.951, trained_search=arm(0.0, ci95=(0.0, 0.001)))
    assert decide([nothing] * 3) == INCONCLUSIVE


def test_each_difference_compares_what_they_say():
    found = compare(curves(right=(0.4, 0.5, 0.6), flops=(1, 2, 4)), curves(right=(0.7, 0.8, 0.9), flops=(2, 4, 8)), 0.0)
    assert (found.base_once, found.trained_once) == pytest.approx((0.4, 0.7))
    differences = [found.trained, found.base_search, found.trained_search, found.ahead, found.equal_flops]
    assert [x.difference for x in differences] == pytest.approx([0.3, 0.2, 0.2, 0.3, -0.2])


def test_totals_spread_what_is_paid_once_and_a_single_sample_needs_no_verifier():
    totals = total_flops(curves(right=(0, 0, 0), flops=(1, 2, 4), verifier_flops=3 * REQUESTS), 5 * REQUESTS)
    assert totals.tolist() == [6, 10, 12]


def test_equal_flops_is_the_most_that_both_reach_and_the_base_never_gets_less():
    base = curves(right=(0, 0, 0), flops=(1, 2, 4))
    assert at_equal_flops(base, curves(right=(0, 0, 0), flops=(2, 4, 8)), 0.0) == (2, 1)
    assert at_equal_flops(base, curves(right=(0, 0, 0), flops=(0.5, 1, 1.5)), 0.0) == (1, 2)
    assert at_equal_flops(base, curves(right=(0, 0, 0), flops=(1, 2, 4)), REQUESTS) == (2, 1)
    assert at_equal_flops(base, curves(right=(0, 0, 0), flops=(1, 2, 4)), 4 * REQUESTS) is None


def way(right, flops, once):
    right_KM = np.stack([np.arange(100) < round(share * 100) for share in right]).astype(float)
    sizes = doublings(2 ** (len(right) - 1))
    return Way(sizes, right_KM, np.array(flops, float)[:, None] * np.ones(100), np.array(once, float))


def test_break_even_is_what_training_costs_over_what_it_saves():
    found = crossing(way((0.5, 0.8, 0.8), (1, 10, 20), (0, 100, 100)), way((0.9,), (2,), (1700,)), seed=0)
    assert (found.accuracy, found.external_samples, found.internal_samples) == (pytest.approx(0.8), 2, 1)
    assert (found.volume, *found.ci95) == pytest.approx([(1700 - 100) / (10 - 2)] * 3)
    assert found.never == 0.0
    assert found.row()["breakeven_requests"] == pytest.approx(200)


def test_break_even_is_taken_where_both_get_to_not_at_the_best_of_one():
    found = crossing(way((0.5, 0.6, 0.9), (1, 2, 40), (0, 0, 0)), way((0.6,), (1,), (10,)), seed=0)
    assert (found.accuracy, found.external_samples, found.volume) == (pytest.approx(0.6), 2, pytest.approx(10.0))


def test_training_never_pays_where_a_request_of_it_is_dearer_and_at_once_where_it_cost_less():
    never = crossing(way((0.9,), (1,), (0,)), way((0.9,), (2,), (10,)), seed=0)
    assert (never.volume, never.never, never.row()["breakeven_requests"]) == (inf, 1.0, None)
    assert crossing(way((0.9,), (3,), (20,)), way((0.9,), (2,), (10,)), seed=0).volume == 0.0


def test_the_interval_covers_the_choice_of_samples():
    """Two samples reach what training does in some draws only; in the others it takes four."""
    found = crossing(way((0.1, 0.69, 0.70), (1, 2, 4), (0, 0, 0)), way((0.7,), (1,), (30,)), seed=0)
    assert (found.external_samples, found.volume) == (4, pytest.approx(10.0))
    assert found.ci95 == pytest.approx((10.0, 30.0))


def test_the_same_samples_by_votes_pay_no_verifier():
    made = curves(right=(0.4, 0.5, 0.6), flops=(1, 2, 4), verifier_flops=700.0)
    rated = replace(made, weighted_KM=~made.majority_KM, rating_KM=np.full((3, 100), 3.0))
    verifier, votes = external(rated), external(rated.by_votes)
    assert (verifier.flops_KM[:, 0].tolist(), verifier.once_K.tolist()) == ([1, 5, 7], [0, 700, 700])
    assert (votes.flops_KM[:, 0].tolist(), votes.once_K.tolist()) == ([1, 2, 4], [0, 0, 0])
    assert (votes.right_KM == made.majority_KM).all() and (verifier.right_KM == ~made.majority_KM).all()
    trained = way((0.6,), (2,), (600,))
    assert crossing(external(replace(made, rating_KM=rated.rating_KM)), trained, seed=0).volume == 0.0
    assert crossing(votes, trained, seed=0).volume == pytest.approx(600 / (4 - 2))


def test_curves_come_back_from_json_as_they_went():
    made = curves(right=(0.4, 0.5, 0.6), flops=(1, 2, 4), verifier_flops=7.0)
    again = Curves.of_json(made.to_json())
    assert again.to_json() == made.to_json()
    assert again.sizes == made.sizes and (again.weighted_KM == made.weighted_KM).all()


def test_a_scale_that_it_has_none_of_is_named(tmp_path):
    with pytest.raises(BadInput, match=f"claim '{NAME}' has no scale 'tpu'; it has smoke, cpu, gpu"):
        internal_external("tpu", 0, Pieces(tmp_path, "x"))


def test_without_torch_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trueup.train", None)
    with pytest.raises(Unavailable, match=r"is missing; pip install 'trueup\[hf\]'"):
        internal_external("smoke", 0, Pieces(tmp_path, "x"))


def test_a_tiny_run_gives_the_same_figures_again_and_from_its_parts(tmp_path):
    pytest.importorskip("torch")
    from tiny_chain import MINI

    first = run("smoke", MINI, (0, 1, 2), Pieces(tmp_path / "a", "x"))
    again = run("smoke", MINI, (0, 1, 2), Pieces(tmp_path / "b", "x"))
    seen = []
    kept = run("smoke", MINI, (0, 1, 2), Pieces(tmp_path / "a", "x", lambda name, seconds: seen.append(seconds)))
    assert first.text() == again.text() == kept.text()
    assert seen == [0.0] * 6
    assert first.seeds == (0, 1, 2) and first.n == MINI.items
    names = [row["name"] for row in first.arms]
    assert {"base@1, greedy", "base@4 with a verifier", "trained@4 with a verifier", "break-even, seed 2"} <= set(names)
    assert {"base@2 by votes", "trained@4 by votes", "break-even against votes, seed 2"} <= set(names)
    rated, voted = (next(row for row in first.arms if row["name"] == f"base@4 {way}") for way in WAYS)
    assert voted["one_off_flops"] == 0 < rated["one_off_flops"]
    assert voted["inference_flops_per_request"] < rated["inference_flops_per_request"]
    said = [note for note in first.notes if "plain votes in the verifier's place" in note]
    assert [note.partition(",")[0] for note in said[:3]] == ["seed 0", "seed 1", "seed 2"] and len(said) == 4
    assert all("verifier minus votes: base" in note for note in said[:3]) and said[3].endswith(first.verdict)
    trained = next(row for row in first.arms if row["name"] == "trained@1")
    assert trained["n"] == 3 * MINI.items and trained["one_off_flops"] > 0
    assert SIZES["smoke"].items < SIZES["cpu"].items
