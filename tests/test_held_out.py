"""What a plan says of its choice is what the items said that had no part in choosing it."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
from studies import measured, study
from terminal import at_problems

from trueup.cli.summary import ONE_LOOK, print_summary
from trueup.plan import Wish, halves, measure
from trueup.report import render

LABELS = ("once", *(f"vote n={n}" for n in (2, 4, 8, 16, 32)), "revise rounds=2")


def split(items=20, clusters=None):
    """Arms that are right in the choosing half alone, and in the held-out half alone."""
    whole = measured(["r"] * items, {"once": "r" * items}, clusters=clusters)
    hidden = {int(item.problem.id[1:]) for item in halves(whole)[1].stratum.items}
    early, late = ("".join("rw"[(i in hidden) == here] for i in range(items)) for here in (True, False))
    return measured(["r"] * items, {"once": early, "vote n=4": late}, clusters=clusters), len(hidden)


def test_a_choice_is_told_by_the_items_that_had_no_say_in_it():
    whole, n = split()
    found = study(whole, wish=Wish(target=0.8))
    choice = found["plan"]["choices"]["s"]
    (point,) = (point for point in measure(halves(whole)[1]) if point.label == "once")
    assert (choice["label"], choice["accuracy"], choice["n"], choice["meets_target"]) == ("once", 0.0, n, False)
    assert choice["ci95"] == pytest.approx(point.ci95)
    assert choice["reason"].endswith(f" On the {n} held-out items, which had no say, it is 0 %.")
    once = found["strata"]["s"]["points"][0]
    assert (once["n"], once["accuracy"]) == (20, pytest.approx(1 - n / 20))


def test_seven_equal_arms_are_no_better_for_one_of_them_being_chosen():
    """Each is right 70 % of the time: the mean of what is said is that, and its interval holds it."""
    rng, times, said, missed = np.random.default_rng(4), 200, [], 0
    for _ in range(times):
        base = rng.random(20) < 0.7
        arms = {
            label: "".join(np.where(np.where(rng.random(20) < 0.5, base, rng.random(20) < 0.7), "r", "w"))
            for label in LABELS
        }
        choice = study(measured(["r"] * 20, arms), wish=Wish(target=0.8), samples=1)["plan"]["choices"]["s"]
        said.append(choice["accuracy"])
        missed += not choice["ci95"][0] <= 0.7 <= choice["ci95"][1]
    sigma = (0.7 * 0.3 / choice["n"] / times) ** 0.5
    assert abs(np.mean(said) - 0.7) < 3 * sigma
    assert missed / times <= 0.05


def test_where_nothing_is_held_out_the_accuracy_is_unknown_and_that_is_said(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    found = study(measured(["rr"] * 8, {"once": "r" * 8}, clusters=["one"] * 8), wish=Wish(target=0.5))
    choice = found["plan"]["choices"]["s"]
    assert (choice["accuracy"], choice["ci95"], choice["n"], choice["meets_target"]) == (None, None, 0, False)
    assert "No item was held out, so nothing is known of how accurate it is on others." in choice["reason"]
    print_summary(found, tmp_path, 0, 1.0)
    assert "once  none (0)" in " ".join(capsys.readouterr().out.split("   "))
    page = render(found)
    assert "No stratum reaches the 50\u202f% target (no item was held out), at" in page
    assert "unknown: no item was held out" in page


def test_every_place_that_prints_a_choice_says_on_how_many_items(tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(40)])
    said = go("study", "w.jsonl", "--model", "toy:0.9", "--methods", "once", "--samples", "2", "--target", "0.5", "-q")
    choice = json.loads((tmp_path / "out" / "w" / "study.json").read_text())["plan"]["choices"]["w"]
    n = choice["n"]
    assert 10 < n < 30 and f"{choice['accuracy']:.0%} ({n})" in said.out
    assert "accuracy (items): of the plan's method on items that had no say in choosing it" in said.out
    page = (tmp_path / "out" / "w" / "report.html").read_text()
    assert f"The one stratum reaches the 50\u202f% target on {n} held-out items, at" in page
    assert f" of {n} held-out items</small>" in page and f"On the {n} held-out items, which had no say" in page
    (row,) = tomllib.loads((tmp_path / "out" / "w" / "policy.toml").read_text())["stratum"]
    assert (row["accuracy"], row["held_out"]) == (choice["accuracy"], n)
    served = {"id": 1, "stratum": "w", "messages": [{"role": "user", "content": "a"}], "answer": "b", "right": True}
    (tmp_path / "t.jsonl").write_text(json.dumps(served))
    assert f"{choice['accuracy']:.0%} ({n})" in go("audit", "out/w/policy.toml", "t.jsonl").out


def test_a_number_that_would_certify_is_for_one_look(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    for items, looks in ((20, 1), (200, 0)):
        found = study(measured(["r"] * items, {"once": "r" * items}), wish=Wish(target=0.9))
        note = found["plan"]["certificate"]["s"]["note"]
        assert note.count("would certify 90 %, if that many are decided on beforehand and looked at once") == looks
        print_summary(found, tmp_path, 0, 1.0)
        told = capsys.readouterr().out
        assert told.count("needs n = 29, looked at once") == looks and told.count(ONE_LOOK) == looks
