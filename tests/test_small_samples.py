"""Intervals, certificates and words that hold on few items, in few or uneven clusters."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from studies import measured, study

from trueup.cli.summary import print_summary
from trueup.plan import Wish, certify
from trueup.plan.estimate import accuracy_interval, exact_interval, pass_at_k
from trueup.plan.judge import JudgeRates, correct_judged
from trueup.plan.resample import Resampler
from trueup.report import render

TIMES = 200


def names(number):
    return [str(i) for i in range(number)]


@pytest.mark.parametrize("items", [5, 20])
@pytest.mark.parametrize(("a", "b", "k"), [(1.5, 0.3, 4), (1, 1, 4), (0.3, 1.5, 1)])
def test_the_band_of_coverage_holds_on_few_items(items, a, b, k):
    """Of items with a chance of Beta(a, b) and 16 attempts; nominal are 95 %."""
    rng = np.random.default_rng(7)
    truth = (1 - (1 - rng.beta(a, b, 400_000)) ** k).mean()
    held = 0
    for seed in range(TIMES):
        right = rng.binomial(16, rng.beta(a, b, items)).astype(float)
        low, high = Resampler.of(names(items), seed=seed).mean(pass_at_k(np.full(items, 16.0), right, k))
        held += low <= truth <= high
    assert held >= 0.93 * TIMES


def test_a_lead_that_is_none_is_seldom_shown_on_few_items():
    rng = np.random.default_rng(3)
    shown = 0
    for seed in range(TIMES):
        gap = rng.choice([1.0, -1.0, 0.0], 5, p=[0.3, 0.3, 0.4])
        shown += Resampler.of(names(5), seed=seed).mean(gap, (-1.0, 1.0))[0] > 0
    assert shown <= 0.03 * TIMES


def test_a_ratio_knows_of_items_that_are_in_its_top_alone():
    top, bottom = np.repeat([1.0, -1.0, 0.0], [500, 300, 200]), np.repeat([1.0, 0.0, 0.0], [500, 300, 200])
    low, high = Resampler.of(names(1000), seed=0).ratio(top, bottom, (-1.0, 2.0))
    assert 0.2 < low < 0.4 < high < 0.6


@pytest.mark.parametrize(
    "sizes",
    [
        [20, 2, 2, 2, 2],
        [40] + [1] * 20,
        [20, 20] + [1] * 20,
        [10] * 3 + [1] * 10,
        [10] * 5 + [1] * 50,
        [8, 6, 4, 3, 2, 1, 1, 1, 1, 1],
        [50, 30] + [1] * 100,
        [1 + i % 7 for i in range(40)],
        [4] * 10,
    ],
    ids=lambda sizes: f"{max(sizes)} of {sum(sizes)}",
)
def test_the_exact_interval_holds_whatever_the_sizes_of_clusters(sizes):
    """Clusters whose items have a chance of their own, or all share one fate; nominal are 95 %."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    for accuracy in (0.5, 0.7, 0.9):
        for draw in (shared_chance, shared_fate):
            rng, held = np.random.default_rng(1), 0
            for _ in range(TIMES):
                low, high = accuracy_interval(draw(rng, accuracy, codes), codes)
                held += low <= accuracy <= high
            assert held >= 0.93 * TIMES, (accuracy, draw.__name__)


def shared_chance(rng, accuracy, codes):
    """Zeros and ones that are correlated by .3 within a cluster."""
    chance = rng.beta(accuracy * 7 / 3, (1 - accuracy) * 7 / 3, codes.max() + 1)
    return (rng.random(len(codes)) < chance[codes]).astype(float)


def shared_fate(rng, accuracy, codes):
    return (rng.random(codes.max() + 1) < accuracy)[codes].astype(float)


def test_clusters_that_are_balanced_by_chance_are_no_proof_of_independence():
    values = np.tile([1.0, 0.0], 20)
    assert accuracy_interval(values, np.repeat([0, 1], 20)) == pytest.approx(exact_interval(1, 2))
    values = np.tile([1.0] * 3 + [0.0] * 17, 2)
    assert accuracy_interval(values, np.repeat([0, 1], 20)) == pytest.approx(exact_interval(0.3, 2))


def uneven(seed):
    """Lone items that are always right, and as many clusters of nine that are right 7 times in 10."""
    rng = np.random.default_rng(seed)
    sizes = [1] * 60 + [9] * 60
    clusters = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    signs = "".join("r" if size == 1 or rng.random() < 0.7 else "w" for size in sizes for _ in range(size))
    return measured(["r"] * len(signs), {"once": signs}, clusters=clusters)


def test_a_certificate_is_about_requests_where_clusters_differ_in_size():
    """A request is right 73 % of the time, an item of a random cluster 85 %."""
    wrongly = sum(
        certify(uneven(seed), "once", target=0.75, delta=0.05, seed=seed).status == "certified" for seed in range(TIMES)
    )
    assert wrongly <= 0.06 * TIMES
    found = certify(uneven(0), "once", target=0.5, delta=0.05, seed=0)
    assert found.status == "certified" and 60 <= found.n < 90


@pytest.mark.parametrize(
    ("judged", "n", "rates"), [(1.0, 50, (0.9, 0.8, 100)), (0.0, 50, (0.9, 0.8, 100)), (1.0, 5, (1.0, 1.0, 5))]
)
def test_a_corrected_share_has_an_interval_inside_what_can_be(judged, n, rates):
    q0, q1, m = rates
    low, high = correct_judged(judged, n, JudgeRates(q0, q1, m, m, (0.0, 1.0), (0.0, 1.0))).ci95
    assert 0 <= low < high <= 1


def test_the_interval_of_a_corrected_share_holds_where_rates_are_near_one():
    rng, held, theta = np.random.default_rng(5), 0, 0.95
    for _ in range(TIMES * 5):
        q0, q1 = rng.binomial(40, 0.98, 2) / 40
        judged = rng.binomial(20, theta * 0.98 + (1 - theta) * 0.02) / 20
        low, high = correct_judged(judged, 20, JudgeRates(q0, q1, 40, 40, (0.0, 1.0), (0.0, 1.0))).ci95
        held += low <= theta <= high
    assert held >= 0.93 * TIMES * 5


@pytest.mark.parametrize(
    ("judged", "n", "q0", "q1", "m"),
    [(0.9, 1000, 0.77, 0.82, 100), (0.9, 1000, 0.49, 0.74, 100), (0.0, 10, 0.57, 0.7, 100)],
)
def test_verdicts_that_hardly_any_accuracy_goes_with_prove_nothing_to_a_hair(judged, n, q0, q1, m):
    low, high = correct_judged(judged, n, JudgeRates(q0, q1, m, m, (0.0, 1.0), (0.0, 1.0))).ci95
    assert high - low > 0.03


def test_a_slope_has_the_interval_of_its_draws():
    """Few items have most of the spread: what would weigh as much as they, unseen, says nothing of a slope."""
    rng = np.random.default_rng(0)
    spread = rng.poisson(1.0, 2000) - 1.0
    right = (rng.random(2000) < 0.5 - 0.03 * spread) - 0.5
    draws = Resampler.of(names(2000), seed=0)
    low, high = draws.unbounded_ratio(right * spread, spread**2, (-1.0, 1.0))
    assert -0.06 < low < -0.03 < high < 0.0
    assert draws.unbounded_ratio(right, 0 * right, (-1.0, 1.0)) == (-1.0, 1.0)


def test_a_judge_whose_adjusted_rates_tell_nothing_leaves_everything_open():
    rates = JudgeRates(0.4, 0.61, 1_000_000, 1, (0.0, 1.0), (0.0, 1.0))
    assert correct_judged(0.6, 10, rates).ci95 == (0.0, 1.0)


def test_a_report_is_written_where_every_way_but_training_is_free():
    wish = Wish(training_usd=Decimal(400), error_usd=Decimal("0.1"), trained_usd=Decimal(0), trained_accuracy=0.9)
    found = study(measured(["rrww"] * 8, {"once": "rrrrwwww"}, usd={"once": "0"}), wish=wish)
    assert "<html" in render(found)


def said(capsys, monkeypatch, tmp_path, found):
    monkeypatch.setenv("COLUMNS", "200")
    print_summary(found, tmp_path, 0, 1.0)
    return capsys.readouterr().out


def test_once_is_once_wherever_it_stands(capsys, monkeypatch, tmp_path):
    pools, arms = ["rrww"] * 6, {"vote n=4": "rrrrrr", "once": "rwwwww"}
    assert " 17%" in said(capsys, monkeypatch, tmp_path, study(measured(pools, arms)))
    assert " 50%" in said(capsys, monkeypatch, tmp_path, study(measured(pools, {"vote n=4": "rrrrrr"})))


def test_nothing_held_out_is_not_called_a_low_estimate(capsys, monkeypatch, tmp_path):
    shown = said(capsys, monkeypatch, tmp_path, study(measured(["rrrr"], {"once": "r"})))
    assert "n = 0); no item was left to certify on" in shown and "does not clear" not in shown


def test_a_guarantee_is_never_rounded_up_and_a_target_never_rounded(capsys, monkeypatch, tmp_path):
    found = study(measured(["rrrr"] * 6, {"once": "rrrrrr"}, clusters=list("uvwxyz")), wish=Wish(target=0.995))
    proof = found["plan"]["certificate"]["s"]
    for bound, delta, told in (
        (0.8985, 0.025, "at 89.8% or better (97.5% confidence, n = 3)"),
        (0.9412, 0.05, "at 94% or better (95% confidence, n = 3)"),
    ):
        proof |= {"status": "certified", "bound": bound, "delta": delta}
        shown = said(capsys, monkeypatch, tmp_path, found)
        assert f"s: certified {told}" in shown and "plan at target 99.5%:" in shown
    proof |= {"status": "uncertified", "bound": 0.1697}
    assert "s: uncertified: at least 16.9% (95% confidence" in said(capsys, monkeypatch, tmp_path, found)


def test_unknown_costs_are_at_least_what_is_known(capsys, monkeypatch, tmp_path):
    found = study(measured(["rrww"] * 6, {"once": "rrrwww"}))
    row = {"kind": "sampled", "charges": 3, "prompt_tokens": 5, "completion_tokens": 2, "usd": 0.25}
    for unknown, words in ((0, "7 tokens, $0.25 in all"), (1, "at least 7 tokens, at least $0.25 in all")):
        found["ledger"]["totals"] = [row | {"unknown_tokens": unknown, "unpriced": unknown}]
        assert f" charges, {words}" in said(capsys, monkeypatch, tmp_path, found)
