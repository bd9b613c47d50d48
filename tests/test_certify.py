"""The certificate: exact, wrong with probability delta at most, on items that had no say."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from studies import measured, study

from trueup.cli.summary import print_summary
from trueup.plan import Wish, certify, choose, halves, measure
from trueup.plan.certify import largest_cluster, needed
from trueup.plan.estimate import lower_bound, tail


def all_right(items, wrong=0):
    return measured(["r"] * items, {"once": "r" * (items - wrong) + "w" * wrong})


def proof(held_out, *, target=0.9, delta=0.05):
    return certify(held_out, "once", target=target, delta=delta, seed=0)


def test_29_right_of_29_certify_nine_in_ten_and_28_do_not():
    assert proof(all_right(29)).status == "certified"
    short = proof(all_right(28))
    assert (short.status, short.needs) == ("uncertified", 29)
    assert short.bound == pytest.approx(0.05 ** (1 / 28))


def test_the_bound_clears_the_target_exactly_where_it_is_certified():
    for items in range(1, 60):
        for wrong in range(min(items, 4)):
            found = proof(all_right(items, wrong), target=0.85)
            assert (found.status == "certified") == (found.bound >= 0.85)


def test_needs_is_the_first_number_whose_exact_tail_is_small_enough():
    def exact_tail(right, n, target):
        return sum(comb(n, x) * target**x * (1 - target) ** (n - x) for x in range(right, n + 1))

    target, delta = Fraction(8, 10), Fraction(5, 100)
    wanted = next(n for n in range(1, 500) if exact_tail(n * 9 // 10, n, target) <= delta)
    assert needed(9, 10, 0.8, 0.05) == wanted
    assert needed(10, 10, 0.99, 0.05) == 299


def test_no_number_of_items_proves_what_was_not_seen():
    assert needed(8, 10, 0.8, 0.05) is None
    assert needed(0, 0, 0.8, 0.05) is None
    assert needed(10, 10, 1.0, 0.05) is None
    assert "no number of items would" in proof(all_right(10, 2), target=0.8).note


def test_a_certificate_at_the_target_itself_is_rarer_than_delta():
    for n, target, delta in ((12, 0.5, 0.05), (24, 0.9, 0.05), (100, 0.85, 0.05 / 3), (400, 0.95, 0.01)):
        right = np.arange(n + 1, dtype=float)
        chance = np.array([comb(n, x) * target**x * (1 - target) ** (n - x) for x in range(n + 1)])
        proved = tail(right, np.full(n + 1, float(n)), target) <= delta
        assert chance[proved].sum() <= delta
        assert all(lower_bound(x, n, delta) >= target for x in right[proved])


def test_choosing_on_one_half_keeps_the_promise_that_choosing_on_all_breaks():
    """Eight arms a little under the target; the luckiest is chosen and put to the test."""
    rng = np.random.default_rng(3)
    repeats, items, target, delta = 4000, 120, 0.8, 0.1
    right = rng.random((repeats, 8, items)) < 0.79
    half = items // 2
    luckiest = right[:, :, :half].sum(axis=2).argmax(axis=1)
    held_out = right[np.arange(repeats), luckiest, half:].sum(axis=1).astype(float)
    honest = (tail(held_out, np.full(repeats, float(half)), target) <= delta).mean()
    naive = (tail(right.sum(axis=2).max(axis=1).astype(float), np.full(repeats, float(items)), target) <= delta).mean()
    assert honest <= delta + 3 * (delta * (1 - delta) / repeats) ** 0.5
    assert naive > 2 * delta


def test_whole_plans_break_their_promise_no_more_often_than_delta():
    rng = np.random.default_rng(11)
    labels, repeats, delta = ("once", "vote n=2", "vote n=4", "vote n=8"), 300, 0.2
    broken = 0
    for repeat in range(repeats):
        arms = {label: "".join(np.where(rng.random(40) < 0.7, "r", "w")) for label in labels}
        choosing, held_out = halves(measured(["r"] * 40, arms))
        label = choose(measure(choosing), Wish(target=0.7)).label
        broken += certify(held_out, label, target=0.7, delta=delta, seed=repeat).status == "certified"
    assert broken / repeats <= delta + 3 * (delta * (1 - delta) / repeats) ** 0.5


def test_halves_share_no_cluster_and_lose_no_item():
    clusters = [f"c{i // 3}" for i in range(30)]
    whole = measured(["r"] * 30, {"once": "r" * 30}, clusters=clusters)
    choosing, held_out = halves(whole)
    groups = [{item.cluster for item in half.stratum.items} for half in (choosing, held_out)]
    assert not groups[0] & groups[1]
    assert [len(group) for group in groups] == [5, 5]
    assert len(choosing.outcomes) + len(held_out.outcomes) == 30
    assert halves(whole) == (choosing, held_out)
    named = (measured(["r"] * 30, {"once": "r" * 30}, clusters=clusters, name=name) for name in "abcdefghi")
    assert len({tuple(item.problem.id for item in halves(each)[0].stratum.items) for each in named}) > 1


def test_what_the_held_out_half_says_cannot_change_the_choice():
    labels = ("once", "vote n=4", "vote n=8")
    rng = np.random.default_rng(0)
    for seed in range(20):
        arms = {label: "".join(rng.choice(["r", "w"], size=30)) for label in labels}
        _, held_out = halves(measured(["r"] * 30, arms))
        hidden = {int(item.problem.id[1:]) for item in held_out.stratum.items}
        turned = {
            label: "".join({"r": "w", "w": "r"}[s] if place in hidden else s for place, s in enumerate(signs))
            for label, signs in arms.items()
        }
        plans = [study(measured(["r"] * 30, a), wish=Wish(seed=seed))["plan"] for a in (arms, turned)]
        assert plans[0]["choices"]["s"]["label"] == plans[1]["choices"]["s"]["label"]
        right = [plan["certificate"]["s"]["right"] for plan in plans]
        assert sum(right) == len(hidden)


def test_items_that_repeat_each_other_are_one_item_to_a_certificate():
    whole = measured(["r"] * 60, {"once": "r" * 60}, clusters=[f"c{i // 3}" for i in range(60)])
    found = proof(whole, target=0.9)
    assert (found.n, found.right, found.status) == (20, 20, "uncertified")


def test_a_failure_is_wrong_to_a_certificate():
    assert proof(measured(["r"] * 30, {"once": "r" * 28 + "!!"})).right == 28


def test_delta_is_shared_by_the_strata():
    strata = [measured(["r"] * 80, {"once": "r" * 80}, name=name) for name in "eipq"]
    plan = study(*strata, wish=Wish(target=0.9, delta=0.04))["plan"]
    assert plan["delta"] == 0.04
    for row in plan["certificate"].values():
        assert row["delta"] == pytest.approx(0.01)
        assert row["bound"] == pytest.approx(0.01 ** (1 / 40))
        assert (row["status"], row["n"], row["needs"]) == ("uncertified", 40, 44)


def test_one_item_leaves_nothing_to_certify_on():
    row = study(measured(["r"], {"once": "r"}))["plan"]["certificate"]["s"]
    assert (row["status"], row["n"], row["bound"], row["needs"]) == ("uncertified", 0, 0.0, None)
    assert "at least two independent items" in row["note"]


def test_the_largest_cluster_counts_whichever_half_it_is_in():
    """Sixty requests of one cluster are wrong, and sixty lone ones right: half of all."""
    clusters, is_held = [*map(str, range(60)), *["hot"] * 60], set()
    for seed in range(40):
        items = measured(["r"] * 120, {"once": "r" * 60 + "w" * 60}, clusters=clusters, name=f"s{seed}")
        _, held_out = halves(items)
        is_held.add(largest_cluster(held_out) == 60)
        found = certify(held_out, "once", target=0.8, delta=0.05, seed=seed, largest=largest_cluster(items))
        assert found.status == "uncertified" and found.n < 10
    assert is_held == {True, False}


def test_what_is_needed_are_held_out_items_where_a_repeated_question_thins_them():
    """One pair among singles: of the held-out items about half are drawn, and 29 drawn ones would do."""
    items = measured(["r"] * 41, {"once": "r" * 41}, clusters=["pair", "pair", *map(str, range(39))])
    found = proof(items)
    assert found.status == "uncertified" and found.right == found.n < 29
    assert found.needs == -(-29 * 41 // found.n)
    assert f"; {found.needs} held-out items at this accuracy would certify 90 %" in found.note
    drawn = (
        f"{found.n} of 41 held-out items were drawn, since some questions repeat or share a cluster (up to 2 of them)"
    )
    assert found.note.endswith(f"; {drawn}")


def test_where_clusters_are_of_one_size_as_many_times_the_items_are_needed():
    found = proof(measured(["r"] * 60, {"once": "r" * 60}, clusters=[f"c{i // 3}" for i in range(60)]))
    assert (found.n, found.needs) == (20, 87) and "20 of 60 held-out items were drawn" in found.note
    assert "drawn" not in proof(all_right(28)).note


def test_the_summary_says_of_how_many_held_out_items_some_were_drawn(capsys, tmp_path):
    items = measured(["r"] * 81, {"once": "r" * 81}, clusters=["pair", "pair", *map(str, range(79))])
    whole = study(items)
    row, held_out = whole["plan"]["certificate"]["s"], whole["plan"]["choices"]["s"]["n"]
    print_summary(whole | {"left_out": {}, "models": {}}, tmp_path, 0, 1.0)
    assert row["n"] < held_out
    assert f"n = {row['n']} of {held_out}); needs n = {row['needs']}, looked at once" in capsys.readouterr().out
