"""The halves of a study: what was learned from in one is never what another certifies on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from studies import measured
from studies import study as assessed
from terminal import trueup

from trueup.cli.half import open_half
from trueup.core.types import Item, Message, Problem
from trueup.plan import halves
from trueup.plan.certify import certify
from trueup.plan.past import marks


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


# after a training


def trained_on(clusters, learned):
    """What a study has left of these clusters, of one item each, where a model was trained on the `learned`."""
    left = of([cluster for cluster in clusters if cluster not in learned])
    return replace(left, stratum=replace(left.stratum, left_out=len(set(clusters) & set(learned))))


def test_what_a_training_was_held_out_from_is_split_by_a_coin_of_its_own():
    clusters = [f"c{i}" for i in range(4000)]
    learned, held_out = map(named, halves(of(clusters)))
    choosing, certifying = map(named, halves(trained_on(clusters, learned)))
    assert choosing | certifying == held_out and not choosing & certifying
    assert abs(len(choosing) - len(held_out) / 2) < 3 * len(held_out) ** 0.5 / 2


def test_nothing_that_a_choosing_half_ever_taught_is_certified_on_after_a_training():
    """Trained on a part of the first half, studied with more items, fewer, or in another order."""
    rng = np.random.default_rng(2)
    clusters = [f"c{i}" for i in range(200)]
    first = named(halves(of(clusters))[0])
    part = set(sorted(first)[::2])
    choosing, certifying = map(named, halves(trained_on(clusters, part)))
    assert first - part <= choosing and not first & certifying
    for _ in range(50):
        some = rng.permutation(clusters)[: int(rng.integers(20, 200))].tolist()
        learned, certified = map(named, halves(trained_on(some, part)))
        assert learned <= choosing and certified <= certifying


def test_few_clusters_after_a_training_leave_no_half_empty_and_none_moves_that_may_have_taught_something():
    for i in range(200):
        clusters = [f"{i} {place}" for place in range(7)]
        first = named(halves(of(clusters))[0])
        learned = set(sorted(first)[: max(1, len(first) - i % 2)])
        choosing, certifying = map(named, halves(trained_on(clusters, learned)))
        held_out = set(clusters) - first
        assert choosing and not first & certifying
        assert certifying or len(held_out) < 2
        assert choosing & held_out or len(held_out) < 2 or first - learned


def test_the_certificate_says_that_a_training_has_split_the_halves_again():
    clusters = [f"c{i}" for i in range(60)]
    learned = named(halves(of(clusters))[0])
    found = assessed(trained_on(clusters, learned))["plan"]
    left = 60 - len(learned)
    assert f"{len(learned)} items are left out, since a model was trained on them" in found["certificate"]["s"]["note"]
    chosen_on = int(found["choices"]["s"]["reason"].partition("on the ")[2].partition(" items")[0])
    assert chosen_on + found["certificate"]["s"]["n"] == left and chosen_on > 1
    assert "left out" not in assessed(of(clusters))["plan"]["certificate"]["s"]["note"]


def write_card(folder, prompts, stratum="w", usd="3"):
    """The card of a training on these prompts."""
    folder.mkdir()
    marks_of = [mark for prompt in prompts for mark in marks(toy_item(prompt), {})]
    card = {"stratum": stratum, "training_usd": usd, "data": {"prompts": marks_of}}
    (folder / "card.json").write_text(json.dumps(card))


def toy_item(prompt):
    return Item(Problem(prompt, "w", (Message("user", prompt),)), "right", prompt)


@pytest.fixture
def tuned(tmp_path, monkeypatch):
    """A study of forty items and a model, `toy:0.9`, that was trained on its choosing half; what studies with it."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"w{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(40)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    usual = ("--model", "toy:0.5", "--samples", "4", "--target", "0.5", "-q")
    trueup(monkeypatch, "study", "w.jsonl", *usual, "--methods", "once", "--out", "base")
    taught = [item.problem.prompt[0].content for item in open_half(tmp_path / "base", None).measured.stratum.items]
    write_card(tmp_path / "0.9", taught)

    def go(methods, *more):
        words = ("--with", "tuned=toy:0.9", "--methods", methods, "--out", "s", *usual, *more)
        trueup(monkeypatch, "study", "w.jsonl", *words)
        return json.loads((tmp_path / "s" / "study.json").read_text())

    return go


def test_a_study_with_a_trained_model_chooses_and_certifies_on_halves_of_what_is_left(tuned, tmp_path, monkeypatch):
    whole = tuned("once")
    first = named(open_half(tmp_path / "base", None).measured)
    half = open_half(tmp_path / "s", None)
    certifying = named(halves(half.findings.measured[0])[1])
    left = 40 - whole["left_out"]["w"]
    assert len(named(half.measured)) + len(certifying) == left
    assert min(len(named(half.measured)), len(certifying)) >= left // 4
    assert not first & (named(half.measured) | certifying)
    assert whole["plan"]["certificate"]["w"]["n"] == len(certifying)
    again = tuned("once")
    assert again["plan"] == whole["plan"]
    trueup(monkeypatch, "plan", "s")
    assert json.loads((tmp_path / "s" / "study.json").read_text())["plan"] == whole["plan"]


def test_what_is_learned_after_a_training_is_said_to_be_for_such_studies(tuned, tmp_path, monkeypatch, capsys):
    tuned("once")
    for place, count in (("base", 0), ("s", 1)):
        capsys.readouterr()
        trueup(monkeypatch, "calibrate", place)
        assert " ".join(capsys.readouterr().err.split()).count("others certify on items of this half") == count


def test_an_arm_of_a_trained_model_that_is_named_is_run_once(tuned):
    whole = tuned("once,once model=tuned")
    left = 40 - whole["left_out"]["w"]
    points = whole["strata"]["w"]["points"]
    assert [(point["label"], point["n"]) for point in points] == [("once", left), ("once model=tuned", left)]


def test_a_training_is_paid_for_by_every_way_of_asking_the_model(tuned, tmp_path, monkeypatch):
    """The card says $3, over 1,000 requests $0.003 each; the solver of a cascade and the study's own are free."""
    router = {"cheap": "once", "costly": "once model=tuned", "threshold": 2.0, "bias": 0.0, "weights": {}}
    (tmp_path / "r.json").write_text(json.dumps(router | {"logits": [], "shares": []}))
    for method in ("once model=tuned", "cascade to=tuned", "judge_best judge_model=tuned", "route router=r.json"):
        plan = tuned(method, "--volume", "1000")["plan"]
        assert plan["choices"]["w"]["training_usd"] == 3, method
        assert plan["cost_per_request"] == pytest.approx(0.003 + plan["choices"]["w"]["usd"])
    assert tuned("vote n=3", "--volume", "1000", "--target", "0.1")["plan"]["choices"]["w"]["training_usd"] == 0
