"""Estimates against enumeration, tables and simulation."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from studies import measured

from trueup.plan import cluster_bootstrap, coverage, exact_interval, lay_out, measure, paired_bootstrap, pass_at_k
from trueup.plan.estimate import accuracy_interval, lower_bound, tail
from trueup.plan.resample import Resampler


def column(*values):
    return np.array(values, dtype=float)


def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_attempt():
    for n in range(1, 7):
        for right, k in product(range(n + 1), range(1, n + 1)):
            draws = list(combinations([True] * right + [False] * (n - right), k))
            wanted = sum(any(draw) for draw in draws) / len(draws)
            assert pass_at_k(column(n), column(right), k)[0] == pytest.approx(wanted)


def test_pass_at_k_is_unbiased_where_the_plug_in_is_not():
    rng = np.random.default_rng(0)
    right = rng.binomial(16, 0.1, size=20_000).astype(float)
    truth = 1 - 0.9**8
    assert pass_at_k(np.full(20_000, 16.0), right, 8).mean() == pytest.approx(truth, abs=0.008)
    assert (1 - (1 - right / 16) ** 8).mean() < truth - 0.03


def test_pass_at_k_is_unknown_for_an_item_with_fewer_attempts():
    assert np.isnan(pass_at_k(column(3), column(3), 4)[0])


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 20, 0.0013, 0.2487),
        (5, 10, 0.1871, 0.8129),
        (18, 20, 0.6830, 0.9877),
        (10, 10, 0.6915, 1.0),
        (81, 263, 0.2527, 0.3676),
    ],
)
def test_exact_interval_is_that_of_the_tables(right, n, low, high):
    assert exact_interval(right, n) == pytest.approx((low, high), abs=5e-5)


def test_lower_bound_of_all_right_is_the_nth_root_of_delta():
    assert lower_bound(29, 29, 0.05) == pytest.approx(0.05 ** (1 / 29))
    assert lower_bound(0, 29, 0.05) == 0.0


def test_an_accuracy_equal_to_its_lower_bound_has_delta_as_its_p_value():
    for right, n, delta in ((1, 7, 0.1), (23, 40, 0.05), (399, 400, 0.01)):
        p_value = tail(column(right), column(n), lower_bound(right, n, delta))[0]
        assert p_value == pytest.approx(delta)


def test_accuracy_of_independent_items_has_the_exact_interval():
    values = column(*[1] * 18, *[0] * 2)
    assert accuracy_interval(values, np.arange(20)) == pytest.approx(exact_interval(18, 20))


def test_items_that_repeat_each_other_count_once():
    # 10 clusters of 5 equal items: variance of the mean 10/9 x 10 x 2.5^2 / 50^2 = 1/36, n* = 0.25 x 36 = 9, which is
    # told by 9 degrees of freedom, not by 49: Student's .975 quantiles are 2.26216 and 2.00958.
    values = np.repeat(column(*[1] * 5, *[0] * 5), 5)
    n = 9 * (2.00958 / 2.26216) ** 2
    assert accuracy_interval(values, np.repeat(np.arange(10), 5)) == pytest.approx(exact_interval(n / 2, n), abs=1e-5)
    assert accuracy_interval(np.ones(50), np.repeat(np.arange(10), 5)) == pytest.approx(exact_interval(10, 10))


def test_an_item_that_comes_often_is_one_item_and_much_of_the_mean():
    # A cluster of 4 and four of 1 say as much as 8^2 / 20 = 3.2 of one size. No cluster is mixed, so rho = 1 and the
    # variance of the mean is p (1 - p) (1 / 3.2) / (1 - 1 / 3.2): n* = 2.2, told by 2.2 degrees of freedom, not by 7:
    # Student's .975 quantiles are 3.95040 and 2.36462.
    codes = np.repeat(np.arange(5), [4, 1, 1, 1, 1])
    n = 2.2 * (2.36462 / 3.95040) ** 2
    assert accuracy_interval(column(*[1] * 5, 0, 0, 0), codes) == pytest.approx(exact_interval(n * 5 / 8, n), abs=1e-5)
    assert accuracy_interval(np.ones(8), codes) == pytest.approx(exact_interval(3.2, 3.2))


def test_bootstrap_of_independent_items_is_as_wide_as_the_normal_law_says():
    values = column(*[1, 0] * 200)
    low, high = cluster_bootstrap(values, [str(i) for i in range(400)], seed=1)
    assert (low + high) / 2 == pytest.approx(0.5, abs=0.004)
    assert high - low == pytest.approx(2 * 1.96 * 0.025, rel=0.08)


def test_bootstrap_draws_clusters_and_not_items():
    values = np.repeat(column(*[1, 0] * 20), 10)
    low, high = cluster_bootstrap(values, [str(i // 10) for i in range(400)], seed=1)
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, rel=0.08)


def test_bootstrap_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(7)
    clusters = [str(i // 3) for i in range(180)]
    draws = Resampler.of(clusters, seed=0, draws=600)
    held = 0
    for _ in range(300):
        difficulty = np.repeat(rng.beta(1, 2, size=60), 3)
        low, high = draws.mean((rng.random(180) < difficulty).astype(float))
        held += low <= 1 / 3 <= high
    assert 0.91 <= held / 300 <= 0.98


def test_pairing_takes_out_what_items_share():
    rng = np.random.default_rng(0)
    first = (rng.random(300) < np.repeat([0.95, 0.05], 150)).astype(float)
    second = first.copy()
    second[:12] = 1 - second[:12]
    clusters = [str(i) for i in range(300)]
    low, high = paired_bootstrap(first, second, clusters, seed=0)
    alone = cluster_bootstrap(first, clusters, seed=0)
    assert low <= (first - second).mean() <= high
    assert high - low < (alone[1] - alone[0]) / 2


def test_a_sample_without_any_difference_still_leaves_doubt():
    clusters = [str(i) for i in range(36)]
    doubt = 1 - 0.025 ** (1 / 36)
    assert cluster_bootstrap(np.zeros(36), clusters, seed=0) == pytest.approx((0, doubt))
    assert cluster_bootstrap(np.ones(36), clusters, seed=0) == pytest.approx((1 - doubt, 1))
    assert paired_bootstrap(np.ones(36), np.ones(36), clusters, seed=0) == pytest.approx((-doubt, doubt))


def test_bootstrap_is_the_same_for_the_same_seed_only():
    values, clusters = column(*[1, 0, 0] * 20), [str(i) for i in range(60)]
    assert cluster_bootstrap(values, clusters, seed=3) == cluster_bootstrap(values, clusters, seed=3)
    drawn = [Resampler.of(clusters, seed=seed).weights for seed in (3, 4)]
    assert not np.array_equal(*drawn)


def test_many_clusters_are_drawn_in_blocks_to_the_same_mean():
    clusters = [str(i) for i in range(9000)]
    low, high = Resampler.of(clusters, seed=0, draws=900).mean(np.arange(9000) / 9000)
    assert low < 0.49995 < high
    assert high - low == pytest.approx(2 * 1.96 * 12**-0.5 / 9000**0.5, rel=0.1)


def test_coverage_leaves_out_items_with_fewer_attempts_and_says_how_many_are_in():
    sheet = lay_out(measured(["rw" * 2, "wwww", "r", ""], {"once": "rwrw"}), seed=0)
    rows = {row.k: (row.pass_at_k, row.n) for row in coverage(sheet, 4)}
    assert rows[1] == (pytest.approx((0.5 + 0 + 1) / 3), 3)
    assert rows[2] == (pytest.approx((5 / 6 + 0) / 2), 2)
    assert rows[4] == (pytest.approx(0.5), 2)


def test_coverage_stops_where_no_item_has_the_attempts():
    sheet = lay_out(measured(["rw", "ww"], {"once": "rw"}), seed=0)
    assert [row.k for row in coverage(sheet, 12)] == [1, 2]
    assert [row.k for row in coverage(lay_out(measured(["r" * 12], {"once": "r"}), seed=0), 12)] == [1, 2, 4, 8, 12]


def test_a_failed_item_is_wrong_and_counted_apart_from_an_unreadable_one():
    (point,) = measure(measured(["r"] * 4, {"once": "r?!w"}))
    assert (point.accuracy, point.n, point.right, point.failures, point.unparsable) == (0.25, 4, 1, 1, 1)


def test_what_was_decided_is_told_apart_from_what_is_right_and_from_silence():
    (point,) = measure(measured(["r"] * 10, {"formalise_and_solve": "rrrraa__?!"}))
    assert (point.right, point.abstained, point.unparsable, point.failures) == (4, 2, 1, 1)
    assert (point.decided.count, point.decided.n, point.decided.value) == (6, 10, 0.6)
    assert (point.wrong_decided.count, point.wrong_decided.n, point.wrong_decided.value) == (2, 10, 0.2)
    for share in (point.decided, point.wrong_decided):
        assert share.ci95 == pytest.approx(exact_interval(share.count, share.n))
    # An abstention in clusters is as uncertain as their number allows.
    (few,) = measure(measured(["r"] * 10, {"solve": "rrrrraaaaa"}, clusters=["a"] * 5 + ["b"] * 5))
    assert few.wrong_decided.value == 0.5 and few.wrong_decided.ci95[1] - few.wrong_decided.ci95[0] > 0.9


def test_every_item_is_decided_silent_unread_or_failed():
    for point in measure(measured(["r"] * 5, {"once": "ra?!a", "solve": "_____", "vote n=2": "rrrrr"})):
        assert point.decided.count + point.abstained + point.unparsable + point.failures == point.n
        assert point.decided.count == point.right + point.wrong_decided.count
        assert point.parts is None


def test_costs_are_means_a_request_and_unknown_stays_unknown():
    known, unknown = measure(
        measured(["r"] * 3, {"once": "rrr", "vote n=2": "rrr"}, usd={"once": "0.000001", "vote n=2": None})
    )
    assert (known.cost.usd, known.cost.calls, known.cost.prompt_tokens, known.cost.seconds) == (1e-6, 1, 10, 0.5)
    assert unknown.cost.usd is None
