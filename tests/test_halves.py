"""The halves of a study: what was learned from in one is never what another certifies on."""

from __future__ import annotations

import json

import numpy as np
from studies import measured
from terminal import trueup

from trueup.cli.half import open_half
from trueup.plan import halves
from trueup.plan.certify import certify


def named(half):
    """The clusters of a half."""
    return {item.cluster for item in half.stratum.items}


def of(clusters, name="s"):
    """A stratum of an item per cluster, each right."""
    return measured(["r"] * len(clusters), {"once": "r" * len(clusters)}, clusters=clusters, name=name)


def test_a_cluster_keeps_its_half_whatever_else_is_in_the_study():
    """More items, fewer, or in another order: of those in both no one changes sides."""
    rng = np.random.default_rng(0)
    everything = [f"c{i}" for i in range(200)]
    choosing, held_out = map(named, halves(of(everything)))
    for _ in range(50):
        some = rng.permutation(everything)[: int(rng.integers(20, 200))].tolist()
        learned, certified = map(named, halves(of(some)))
        assert learned <= choosing and certified <= held_out


def test_coins_are_fair_and_those_of_two_strata_have_nothing_to_do_with_each_other():
    clusters = [f"c{i}" for i in range(4000)]
    one, other = (named(halves(of(clusters, name))[0]) for name in "st")
    sigma = 4000**0.5
    assert abs(len(one) - 2000) < 2 * sigma and abs(len(other) - 2000) < 2 * sigma
    assert abs(len(one & other) - 1000) < 2 * sigma


def test_neither_half_is_empty_where_there_are_two_clusters():
    for i in range(100):
        for size in (2, 3):
            sizes = [len(named(half)) for half in halves(of([f"{i} {place}" for place in range(size)]))]
            assert min(sizes) >= 1 and sum(sizes) == size
    assert [len(named(half)) for half in halves(of(["alone"]))] == [1, 0]
    assert [len(named(half)) for half in halves(of([]))] == [0, 0]


def test_what_was_learned_of_a_study_is_certified_wrongly_no_more_often_in_one_that_has_grown():
    """The luckiest of eight coins on each item's ease, learned from 60 items and certified of the same and 60 more."""
    rng, times, wrongly = np.random.default_rng(1), 300, 0
    for study in range(times):
        right, bin_of = rng.random((8, 120)) < 0.5, rng.integers(5, size=120)
        clusters = [f"{study} {i}" for i in range(120)]
        learned = np.isin(clusters, list(named(halves(of(clusters[:60]))[0])))
        best = [int(right[:, learned & (bin_of == one)].sum(axis=1).argmax()) for one in range(5)]
        signs = "".join(np.where(right[np.array(best)[bin_of], np.arange(120)], "r", "w"))
        grown = measured(["r"] * 120, {"once": signs}, clusters=clusters)
        wrongly += certify(halves(grown)[1], "once", target=0.5, delta=0.05, seed=0).status == "certified"
    assert wrongly / times <= 0.05 + 3 * (0.05 * 0.95 / times) ** 0.5


def test_commands_learn_from_no_item_that_a_grown_study_certifies_on(tmp_path, monkeypatch, capsys):
    """Twice the limit, another seed, and rows that are new: all read the same halves."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"w{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(60)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:50]))

    def study(out, *more):
        words = ("--model", "toy:0.6", "--samples", "2", "--methods", "once", "--out", out, "-q")
        trueup(monkeypatch, "sample", "w.jsonl", *words, *more)
        half = open_half(tmp_path / out, None)
        return named(half.measured), named(halves(half.findings.measured[0])[1])

    learned, _ = study("small", "--limit", "20")
    for out, more in (("more", ("--limit", "40")), ("seed", ("--limit", "40", "--seed", "7")), ("all", ())):
        choosing, held_out = study(out, *more)
        assert learned & choosing and not learned & held_out
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    assert not learned & study("new")[1]


def test_a_half_has_the_pools_and_outcomes_of_its_items_and_no_others():
    clusters = [f"c{i // 2}" for i in range(20)]
    for half in halves(of(clusters)):
        wanted = {item.problem.id for item in half.stratum.items}
        assert {pool.item.problem.id for pool in half.pools} == wanted
        assert {outcome.item.problem.id for outcome in half.outcomes} == wanted
