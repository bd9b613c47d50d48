"""What a pilot adds to a method of a study: what a request that takes both pays more."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from terminal import at_problems

from trueup.cli.half import open_half
from trueup.cli.pilots import ask_pilots, ledger_clerk
from trueup.core.errors import BadInput
from trueup.plan.logged import logged

PILOT = 4
PLAIN = (
    "once", "greedy", "vote n=4", "vote n=6", "adaptive_vote n=6 step=1", "early_stop_vote n=6 window=2", "revise",
    "cascade n=4 to=strong", "cascade n=2 to=", "vote n=2 model=strong", "probability_vote n=5",
)  # fmt: skip
JUDGED = ("once", "weighted_best_of_n n=4", "weighted_best_of_n n=6", "best_of_majority n=4")
RATED = '[task]\nname = "t"\n[[stratum]]\nname = "w"\nsource = "jsonl:w.jsonl"\nverifier = "exact"\nrater = "head"\n'


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in a folder with sixteen problems, and a task of them that has a rater."""
    (tmp_path / "rated.toml").write_text(RATED)
    return at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(16)])


def study_of(run, task, *methods):
    """A study in the folder o of a weak toy, beside a strong one."""
    both = ("--model", "toy:0.4", "--with", "strong=toy:0.9", "--samples", "6")
    run("study", task, *both, "--out", "o", "--methods", ",".join(methods), "-q")


def added(folder, signal):
    """The columns of a study's methods, and what a pilot adds to them."""
    half = open_half(folder, None)
    logs = logged(half.measured)
    with ledger_clerk(half.findings, folder) as clerk:
        return logs, ask_pilots(half.measured, logs, clerk, size=PILOT, signal=signal)


@pytest.mark.parametrize(
    ("task", "signal", "methods", "unit"),
    [
        ("w.jsonl", "agreement", PLAIN, "tokens"),
        ("rated.toml", "agreement", JUDGED, "usd"),
        ("rated.toml", "rating", JUDGED, "usd"),
    ],
)
def test_a_method_behind_a_pilot_costs_what_a_request_pays_for_both(run, tmp_path, task, signal, methods, unit):
    """On every item: held against a study of tables that name one method each."""
    study_of(run, task, *methods)
    alone, pilot = added(tmp_path / "o", signal)
    for place, name in enumerate(methods):
        table = {"pilot": PILOT, "signal": signal, "edges": [], "methods": [name]}
        (tmp_path / f"{place}.json").write_text(json.dumps(table))
    arms = [f"compute_optimal table={place}.json" for place in range(len(methods))]
    study_of(run, task, *methods, *arms)
    paid = logged(open_half(tmp_path / "o", None).measured, arms)
    assert (alone.names, alone.unit, paid.unit) == (methods, unit, unit)
    assert alone.cost + pilot.cost == pytest.approx(paid.cost, rel=1e-9, abs=0)


def test_a_pilot_adds_the_attempts_that_a_method_has_not_by_hand(run, tmp_path):
    """A prompt and an attempt have eight tokens each, and each call has a prompt; one by one, three were enough."""
    study_of(run, "w.jsonl", "once", "vote n=4", "vote n=6", "adaptive_vote n=4 step=1")
    alone, pilot = added(tmp_path / "o", "agreement")
    assert np.unique(alone.cost, axis=1).tolist() == [[16], [40], [56], [48]]
    assert np.unique(pilot.cost, axis=1).tolist() == [[24], [0], [8], [-8]]


def test_a_budget_buys_the_method_whose_attempts_are_the_pilots_own(run):
    study_of(run, "w.jsonl", "once", "vote n=4", "vote n=6")
    cheap = json.loads(run("route", "bins", "o", "--budget", "45", "--json").out)["w"]
    assert set(cheap["table"]["methods"]) == {"once", "vote n=4"}
    assert cheap["table"]["cost"] == 40
    charged = cheap["comparison"]["curves"]["predicted bins, pilot charged"]
    assert [(point["budget"], point["cost"]) for point in charged][:2] == [(16, None), (40, 40)]
    told = run("route", "bins", "o", "--budget", "39", code=2).err
    assert "affords nothing; pilot and cheapest take 40" in told


def test_a_pilot_is_charged_in_full_where_the_ledger_lacks_what_a_method_was_told(run, tmp_path):
    """The rating of four attempts is lost, and told by that of six: at most it is paid beside the method's own."""
    study_of(run, "rated.toml", "once", "weighted_best_of_n n=4", "weighted_best_of_n n=6")
    assert added(tmp_path / "o", "rating")[1].cost[1] == pytest.approx(0.0, abs=1e-20)
    with closing(sqlite3.connect(tmp_path / "o" / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("DELETE FROM charges WHERE kind = 'rated' AND json_array_length(reply) = 4")
    once, four, _ = added(tmp_path / "o", "rating")[1].cost
    assert four == pytest.approx(once, rel=1e-9, abs=0) and min(once) > 0
    told = " ".join(run("route", "bins", "o", "--signal", "rating").err.split())
    assert "w: the ledger lacks some ratings, solutions or token counts of `weighted_best_of_n n=4`; the pilot" in told


def test_a_pilot_is_charged_in_full_where_both_cost_what_nobody_counted(run, tmp_path):
    """Behind four attempts a vote of six asks in a second call, of whose prompt no length was told."""
    study_of(run, "w.jsonl", "once", "vote n=6")
    with closing(sqlite3.connect(tmp_path / "o" / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE charges SET prompt_tokens = NULL WHERE NOT leads")
    alone, pilot = added(tmp_path / "o", "agreement")
    assert alone.unit == "tokens"
    assert np.unique(pilot.cost, axis=1).tolist() == [[24], [40]]


def test_ratings_of_unknown_cost_are_not_free(run, tmp_path):
    """A GPU has rated, whose hour has no price; all that is left in the study is priced."""
    study_of(run, "rated.toml", "once", "weighted_best_of_n n=4")
    study_of(run, "rated.toml", "once")
    half = open_half(tmp_path / "o", None)
    stratum, prices = half.measured.stratum, replace(half.findings.prices, gpu_hour=None)
    on_gpu = SimpleNamespace(fingerprint=stratum.rater.fingerprint, billing="gpu")
    measured = replace(half.measured, stratum=replace(stratum, rater=on_gpu))
    logs = replace(logged(measured), unit="usd")
    with (
        ledger_clerk(replace(half.findings, prices=prices), tmp_path / "o") as clerk,
        pytest.raises(BadInput, match=r"the cost of the ratings at 'w\d+' is unknown in usd; run .* gpu_hour"),
    ):
        ask_pilots(measured, logs, clerk, size=PILOT, signal="rating")
