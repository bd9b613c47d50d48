"""Routers and tables of bins on few items: intervals that hold there, and items that a pilot cannot be made of."""

from __future__ import annotations

import json
from math import comb

import numpy as np
import pytest
from mock_endpoint import MockEndpoint, error, loopback
from studies import CARD, measured
from terminal import at_problems
from test_routing import pair_of
from toys import PRICES

from trueup.cli.half import open_half
from trueup.core.errors import BadInput
from trueup.plan import Resampler
from trueup.plan.compute_optimal import Pilot, compare_bins
from trueup.plan.logged import pilot_cost, with_attempts
from trueup.plan.resample import DIFFERENCE, SHARE
from trueup.plan.router_trial import try_router


def judged(pair, rng):
    """The trial of a router of prompts that tell nothing; the last stop of its rules is always dear."""
    rows = [{"length": float(x)} for x in rng.normal(3, 1, len(pair.clusters))]
    return try_router(rows, pair, length="length", seed=0)


# intervals


def test_a_figure_that_is_a_mean_has_the_interval_of_a_mean():
    rng = np.random.default_rng(0)
    draws = Resampler.of([str(i // 2) for i in range(30)], seed=0)
    for values, span in (((rng.random(30) < 0.8).astype(float), SHARE), (rng.integers(-1, 2, 30) * 1.0, DIFFERENCE)):
        counts = draws.weights[:, draws.codes].astype(float)
        drawn = np.concatenate([[values.mean()], counts @ values / counts.sum(axis=1)])
        assert draws.doubt().interval(drawn, span) == pytest.approx(draws.mean(values, span))


def test_ten_right_of_ten_leave_the_doubt_of_ten():
    """What is right 69 % of the time is right ten times running once in forty."""
    rng, exact = np.random.default_rng(0), (0.025 ** (1 / 10), 1.0)
    pair = pair_of(rng.random(10) < 0.5, np.ones(10))
    assert judged(pair, rng).rules[0].stops[-1].ci95 == pytest.approx(exact)
    found = compare_bins(pair, Pilot(rng.random(10), np.ones(10)), truth=rng.random(10), bins=2, budgets=(9.0,))
    assert found.curves["in sample"][0].accuracy == 1.0
    assert found.curves["in sample"][0].ci95 == pytest.approx(exact)


def test_the_intervals_of_routers_and_bins_hold_on_ten_items():
    """Of a method that is right 95 % of the time: by the chance of each number of right ones, all below 7 held to miss.

    The percentiles of a bootstrap miss all tens, which are 6 in 10.
    """
    rng, held = np.random.default_rng(1), np.zeros(2)
    for right in range(7, 11):
        pair = pair_of(rng.random(10) < 0.5, np.arange(10) < right)
        bins = compare_bins(
            pair, Pilot(rng.random(10), np.ones(10)), truth=rng.random(10), bins=2, budgets=(9.0,),
            baseline=["vote n=4"],
        )  # fmt: skip
        ends = judged(pair, rng).rules[0].stops[-1].ci95, bins.curves["baseline"][0].ci95
        held += comb(10, right) * 0.95**right * 0.05 ** (10 - right) * np.array([lo <= 0.95 <= hi for lo, hi in ends])
    assert (held >= 0.95).all()


def test_differences_have_the_doubt_of_their_items_and_factors_are_left_as_drawn():
    """Twelve items on which two ways agree may be twelve of a population in which they differ."""
    rng, most = np.random.default_rng(2), 1 - 0.025 ** (1 / 12)
    pair = pair_of(np.ones(12), np.ones(12))
    found = compare_bins(
        pair, Pilot(rng.random(12), np.ones(12)), truth=rng.random(12), bins=2, budgets=(1.0,), baseline=["once"]
    )
    (row,) = (row for row in found.contrasts if (row.policy, row.reference) == ("in sample", "baseline"))
    assert (row.difference, row.factor, row.factor_ci95) == (0.0, 1.0, (1.0, 1.0))
    assert row.difference_ci95 == pytest.approx((-most, most))
    trial = judged(pair, rng)
    assert trial.rules[0].ci95 == pytest.approx((-most, most)) == trial.over_length_ci95


# items without attempts


def test_what_has_too_few_attempts_is_left_out_with_its_outcomes():
    kept = with_attempts(measured(["rrr", "", "rwr", "rr"], {"once": "r!rw"}), 3)
    assert [item.problem.id for item in kept.stratum.items] == ["i0", "i2"]
    assert [outcome.item.problem.id for outcome in kept.outcomes] == ["i0", "i2"]
    assert pilot_cost(kept, 3, CARD, PRICES, "tokens").tolist() == [8.0, 8.0]
    with pytest.raises(BadInput, match="no item of stratum 's' has more than 3; give a smaller --pilot"):
        with_attempts(measured(["rrr", ""], {"once": "r!"}), 4)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in a folder with forty problems."""
    return at_problems(tmp_path, monkeypatch, capsys, [f"problem {i:02}" for i in range(40)])


def study_without(run, *lost):
    """A study in which all asks about these problems failed; the choosing half's items."""

    def refuse(place, body):
        return error(400, "too long") if body["messages"][-1]["content"][-2:] in lost else None

    with loopback(MockEndpoint(refuse=refuse, reply=lambda body: "right").app) as url:
        run("study", "w.jsonl", "--model", f"openai:{url}/v1#m", "--samples", "4", "--methods", "once,vote n=4",
            "--out", "o", "-q")  # fmt: skip


def test_an_item_whose_ask_failed_is_left_out_of_the_bins_and_that_is_said(run, tmp_path):
    study_without(run)
    learned = [item.problem.prompt[0].content[-2:] for item in open_half(tmp_path / "o", None).measured.stratum.items]
    (tmp_path / "o").rename(tmp_path / "whole")
    study_without(run, *learned[:2])
    told = run("route", "bins", "o", "--pilot", "4", "--json")
    assert json.loads(told.out)["w"]["comparison"]["n"] == len(learned) - 2
    line = " ".join(told.err.split())
    assert f"w: 2 of {len(learned)} items left out, which have fewer than 4 attempts: " in line and "too long" in line
    assert (tmp_path / "o" / "bins-w.json").exists()
    assert "left out" not in run("route", "bins", "whole", "--pilot", "4").err


def test_too_few_items_with_a_pilot_are_one_line(run, tmp_path):
    study_without(run, *(f"{i:02}" for i in range(40) if i > 2))
    told = run("route", "bins", "o", "--pilot", "4", code=2).err
    assert "at least 4 independent items" in told or "no item of stratum 'w' has more than 0" in told
    assert told.splitlines()[-1].startswith("error: ")
    told = run("route", "bins", "o", "--pilot", "5", code=2).err
    assert "a pilot of 5 needs as many attempts, no item of stratum 'w' has more than" in told
