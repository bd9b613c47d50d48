"""The best method per bin and budget, and one budget for many problems."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from terminal import trueup
from toys import PRICES, attempts, finish, item, problem

from trueup.arms import goes_by_logprobs, make_arm, telling
from trueup.bench.toy import Whole
from trueup.core.asks import Check, Sample
from trueup.core.errors import AskFailed, BadInput, UnknownName
from trueup.core.ledger import Ledger, read_charges
from trueup.core.roles import ModelCard, Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Message, Sampling, Usage
from trueup.methods.adaptive_vote import beta_lead
from trueup.methods.compute_optimal import agreement, compute_optimal, read_bins
from trueup.methods.greedy_allocate import greedy_allocate, vote_gain
from trueup.plan.allocate import allocate, coverage_curve, vote_curve
from trueup.plan.bins import bin_edges, bin_of, halves_of
from trueup.plan.compute_optimal import Pilot, best_per_bin, compare_bins
from trueup.plan.logged import Logged
from trueup.run import Clerk, Job, run_job
from trueup.serve import Desk

RIGHT, WRONG = Grade(1.0), Grade(0.0)


def population(items, seed, *, crossed):
    """Two methods at three prices; crossed, each is good on its half of the items, else both are alike on all."""
    rng = np.random.default_rng(seed)
    ease = rng.random(items)
    names, right, cost = [], [], []
    for level, price in enumerate((1.0, 2.0, 4.0)):
        for name, is_at_home in (("search", ease < 0.5), ("vote", ease >= 0.5)):
            chance = 0.3 + 0.1 * level + (0.3 * (2 * is_at_home - 1) if crossed else 0.0)
            names.append(f"{name} n={int(price)}")
            right.append((rng.random(items) < chance).astype(float))
            cost.append(np.full(items, price))
    logs = Logged(tuple(names), np.array(right), np.array(cost), tuple(map(str, range(items))))
    seen = np.clip(ease + rng.normal(0, 0.1, items), 0, 1)
    return logs, Pilot(seen, np.full(items, 0.5)), ease


def test_the_cross_validated_choice_finds_a_known_interaction():
    """Fixed is right .3 at a price of 1 whichever it takes; each at home .6: bins must find most of the 30 points."""
    logs, pilot, truth = population(800, 1, crossed=True)
    found = compare_bins(logs, pilot, truth=truth, bins=5, budgets=(1.0, 2.0, 4.0, 4.5))
    at = {(row.policy, row.budget): row for row in found.contrasts if row.reference == "fixed"}
    assert at["predicted bins", 4.0].difference_ci95[0] > 0.15
    assert at["predicted bins", 4.0].difference <= at["oracle bins", 4.0].difference + 0.03
    assert at["predicted bins", 4.0].factor == pytest.approx(4.0), "a quarter of the budget is as accurate"
    assert at["predicted bins, pilot charged", 1.0].difference is None, "pilot and cheapest cost more than 1"
    low, high = at["predicted bins, pilot charged", 4.0].factor_ci95
    assert 1.5 < low <= at["predicted bins, pilot charged", 4.0].factor <= high < 4.0


def test_a_budget_of_what_a_method_costs_on_average_buys_it():
    """In one half of the items it always costs more than on average."""
    rng = np.random.default_rng(0)
    logs = Logged(
        ("cheap", "good"), np.repeat([[0.0], [1.0]], 100, 1), np.stack([np.ones(100), rng.uniform(8, 12, 100)]),
        tuple(map(str, range(100))),
    )  # fmt: skip
    found = compare_bins(logs, Pilot(rng.random(100), np.zeros(100)), truth=rng.random(100), bins=2, baseline=["good"])
    dear = logs.cost[1].mean()
    for policy in ("fixed", "baseline"):
        point = found.curves[policy][-1]
        assert (point.accuracy, point.ci95) == (1.0, (pytest.approx(0.025 ** (1 / 100)), 1.0))
        assert (point.budget, point.cost) == pytest.approx((dear, dear))
    assert found.curves["baseline"][0].accuracy is None


def test_a_bin_of_long_texts_may_take_what_the_budget_affords_on_all_items():
    ease = np.repeat([0.2, 0.8], [40, 60])
    cost = np.stack([np.ones(100), np.where(ease < 0.5, 12.0, 8.0)])
    logs = Logged(("cheap", "good"), np.repeat([[0.0], [1.0]], 100, 1), cost, tuple(map(str, range(100))))
    pilot = Pilot(ease, np.zeros(100))
    found = compare_bins(logs, pilot, truth=ease, bins=2, budgets=(9.7,))
    assert {curve[0].accuracy for curve in found.curves.values()} == {1.0}
    table = best_per_bin(logs, pilot, budget=9.7, bins=2)
    assert (table.methods, table.cost) == (("good", "good"), pytest.approx(9.6))


def test_with_random_bins_the_gain_vanishes():
    logs, pilot, truth = population(800, 2, crossed=True)
    found = compare_bins(logs, pilot, truth=truth, bins=5, budgets=(1.0, 4.0))
    for row in found.contrasts:
        if row.policy == "random bins":
            assert abs(row.difference) < 0.05
            assert row.difference_ci95[0] < 0.01


def test_without_an_interaction_only_the_choice_in_sample_looks_better():
    """Over eight populations the mean gain has a standard error of about one point."""
    gains = []
    for seed in range(8):
        logs, pilot, truth = population(300, seed, crossed=False)
        found = compare_bins(logs, pilot, truth=truth, bins=5, budgets=(4.0,))
        gains.append({row.policy: row.difference for row in found.contrasts})
    honest, optimistic = (np.mean([gain[name] for gain in gains]) for name in ("predicted bins", "in sample"))
    assert abs(honest) < 0.03
    assert optimistic > max(0.02, honest)


def test_the_pilot_is_charged_in_full():
    logs, pilot, truth = population(200, 4, crossed=True)
    found = compare_bins(logs, pilot, truth=truth, bins=3, budgets=(1.5,))
    (free,), (charged,) = found.curves["predicted bins"], found.curves["predicted bins, pilot charged"]
    assert (free.cost, charged.cost) == (pytest.approx(1.0), pytest.approx(1.5))
    assert (charged.accuracy, charged.ci95) == (free.accuracy, free.ci95)


def test_a_baseline_is_the_best_of_its_family():
    logs, pilot, truth = population(400, 5, crossed=True)
    family = [name for name in logs.names if name.startswith("vote")]
    found = compare_bins(logs, pilot, truth=truth, budgets=(4.0,), baseline=family)
    (point,) = found.curves["baseline"]
    assert point.accuracy == pytest.approx(logs.right[logs.of("vote n=4")].mean())
    assert {row.reference for row in found.contrasts} == {"fixed", "baseline"}


def test_cells_count_every_item_once_a_method():
    logs, pilot, truth = population(100, 6, crossed=True)
    found = compare_bins(logs, pilot, truth=truth, bins=4)
    assert sum(cell.n for cell in found.cells if cell.method == "vote n=1") == 100
    (easy,) = [cell for cell in found.cells if (cell.bin, cell.method) == (4, "vote n=1")]
    top = bin_of(pilot.ease, found.edges) == 3
    assert easy.accuracy == pytest.approx(logs.right[logs.of("vote n=1")][top].mean())


def test_bins_are_quantiles_and_equals_stay_together():
    assert bin_edges(np.array([0.0, 1.0, 2.0, 3.0]), 2) == (1.0,)
    assert bin_edges(np.array([0.25, 0.25, 0.25, 0.5, 1.0, 1.0]), 5) == (0.5, 1.0)
    assert bin_of(np.array([0.25, 0.5, 0.9, 1.0]), (0.5, 1.0)).tolist() == [0, 1, 1, 2]
    assert bin_edges(np.ones(9), 5) == ()
    with pytest.raises(BadInput, match="bins is 1"):
        bin_edges(np.ones(9), 1)


def test_halves_keep_clusters_whole_and_bins_even():
    bins = np.repeat([0, 1], 40).astype(np.intp)
    clusters = (np.arange(80) // 2).astype(np.intp)
    half = halves_of(bins, clusters, 0)
    assert (half[::2] == half[1::2]).all()
    assert [int(half[bins == b].sum()) for b in (0, 1)] == [20, 20]


def test_too_few_items_are_refused():
    logs, pilot, truth = population(3, 0, crossed=True)
    with pytest.raises(BadInput, match="at least 4 independent items, here are 3"):
        compare_bins(logs, pilot, truth=truth)


def test_the_table_names_the_best_affordable_method_of_each_bin():
    logs, pilot, _ = population(600, 7, crossed=True)
    found = best_per_bin(logs, pilot, budget=2.6, bins=2)
    assert (found.methods, found.cost) == (("search n=2", "vote n=2"), pytest.approx(2.5))
    assert found.edges == pytest.approx((0.5,), abs=0.1)
    with pytest.raises(BadInput, match=r"pilot and cheapest take 1\.5"):
        best_per_bin(logs, pilot, budget=1.2, bins=2)
    for budget in (float("nan"), float("inf")):
        with pytest.raises(BadInput, match=r"the budget is (nan|inf); give a finite number"):
            best_per_bin(logs, pilot, budget=budget, bins=2)


def test_a_pilot_whose_attempts_are_a_methods_own_is_charged_for_what_it_adds():
    """Alone one attempt costs 1, four 4, six by twos 9; behind a pilot of four they cost 4, 4 and 3, which is least."""
    names, items = ("once", "vote n=4", "steps"), 40
    right, cost = np.array([[0.0], [1.0], [1.0]]), np.array([[1.0], [4.0], [9.0]])
    logs = Logged(names, np.repeat(right, items, 1), np.repeat(cost, items, 1), tuple(map(str, range(items))))
    pilot = Pilot(np.linspace(0, 1, items), np.repeat([[3.0], [0.0], [-6.0]], items, 1))
    best = best_per_bin(logs, pilot, budget=4.0, bins=2)
    assert (best.methods, best.cost) == (("steps", "steps"), 3.0)
    with pytest.raises(BadInput, match=r"pilot and cheapest take 3$"):
        best_per_bin(logs, pilot, budget=2.0, bins=2)
    found = compare_bins(logs, pilot, truth=pilot.ease, bins=2, budgets=(2.0, 3.0, 4.0))
    charged = found.curves["predicted bins, pilot charged"]
    assert [(point.accuracy, point.cost) for point in charged] == [(None, None), (1.0, 3.0), (1.0, 3.0)]
    assert [(point.accuracy, point.cost) for point in found.curves["predicted bins"]] == [
        (0.0, 1.0),
        (0.0, 1.0),
        (1.0, 4.0),
    ]


# The method that acts on it


def table(tmp_path, **changes):
    path = tmp_path / "bins.json"
    whole = {"pilot": 4, "signal": "agreement", "edges": [0.6], "methods": ["vote n=6", "once"], "budget": 1.0}
    path.write_text(json.dumps(whole | changes))
    return str(path)


def test_a_pilot_that_agrees_takes_the_method_of_the_easy_bin(tmp_path):
    flow = compute_optimal(problem(), table=table(tmp_path))
    asks, answer = finish(flow, [attempts("4", "4", "4", "5"), attempts("4")])
    assert asks == [Sample(problem().prompt, 4), Sample(problem().prompt, 1)]
    assert (answer.value, answer.note) == ("4", "once (bin 2 of 2): ")


def test_a_pilot_at_an_edge_takes_the_method_of_the_bin_above_it_as_its_items_did(tmp_path):
    pilot = attempts("4", "4", "5", "6")
    _, answer = finish(compute_optimal(problem(), table=table(tmp_path, edges=[0.5])), [pilot, attempts("4")])
    assert (agreement(pilot), answer.note) == (0.5, "once (bin 2 of 2): ")
    assert bin_of(np.array([agreement(pilot)]), (0.5,)).tolist() == [1]


def test_a_pilot_that_disagrees_takes_the_method_of_the_hard_bin(tmp_path):
    flow = compute_optimal(problem(), table=table(tmp_path))
    asks, answer = finish(flow, [attempts("4", "4", None, "5"), attempts("3", "4", "4", "4", "1", "2")])
    assert asks[1] == Sample(problem().prompt, 6)
    assert answer.note == "vote n=6 (bin 1 of 2): 3 of 6 votes"


def test_a_pilot_answers_where_the_method_behind_it_fails(tmp_path):
    flow = compute_optimal(problem(), table=table(tmp_path))
    next(flow)
    flow.send(attempts("4", "4", None, "5"))
    with pytest.raises(StopIteration) as end:
        flow.throw(AskFailed("the endpoint answered 500"))
    note = "vote n=6 (bin 1 of 2): an ask failed; the pilot's vote, 2 of 4 votes"
    assert (end.value.value.value, end.value.value.note) == ("4", note)


def test_a_method_out_of_its_range_in_a_table_is_named(tmp_path):
    flow = compute_optimal(problem(), table=table(tmp_path, methods=["vote n=6", "adaptive_vote n=0"]))
    next(flow)
    with pytest.raises(BadInput, match="adaptive_vote n is 0; give at least 1"):
        flow.send(attempts("4", "4", "4", "4"))


def test_a_pilot_can_be_rated(tmp_path):
    rated = replace(problem(), ratable=True)
    flow = compute_optimal(rated, table=table(tmp_path, signal="rating"))
    asks, answer = finish(flow, [attempts("1", "2", "3", "4"), (0.9, 0.8, 0.7, 0.6), attempts("1")])
    assert asks[1].texts == ("<1>", "<2>", "<3>", "<4>")
    assert answer.note.startswith("once (bin 2")


def test_agreement_counts_what_could_not_be_read_against_it():
    assert agreement(attempts("4", None, "4", "5")) == 0.5
    assert agreement(attempts(None, None)) == 0.0


def test_a_table_can_name_another_model(tmp_path):
    flow = compute_optimal(problem(), table=table(tmp_path, methods=["vote n=6", "vote n=2 model=strong"]))
    asks, _ = finish(flow, [attempts("4", "4", "4", "5"), attempts("4", "4")])
    assert asks[1] == Sample(problem().prompt, 2, model="strong")


@pytest.mark.parametrize(
    "changes",
    [{"edges": [0.6, 0.7]}, {"edges": [float("nan")]}, {"pilot": 0}, {"pilot": 10**12}, {"signal": "mood"}],
)
def test_a_table_that_does_not_fit_together_is_refused(tmp_path, changes):
    with pytest.raises(BadInput, match="does not fit together"):
        next(compute_optimal(problem(), table=table(tmp_path, **changes)))


def test_a_table_names_only_methods_that_there_are(tmp_path):
    flow = compute_optimal(problem(), table=table(tmp_path, methods=["vote n=6", "onec"]))
    next(flow)
    with pytest.raises(UnknownName, match="did you mean 'once'"):
        flow.send(attempts("4", "4", "4", "4"))


def test_no_table_says_how_to_get_one():
    with pytest.raises(BadInput, match="trueup route bins DIR"):
        next(compute_optimal(problem()))


class Telling:
    """A model of three answers in turn that tells log-probabilities where it is asked to."""

    card = ModelCard("m", "m:1", "m")

    async def sample(self, prompt, n, start, sampling):
        told = -2.0 if sampling.logprobs else None
        return Sampled(
            tuple(
                Attempt(i, "789"[i % 3], "eos", Usage(100, 20, 0, leads=i == start), None, told)
                for i in range(start, start + n)
            )
        )

    async def close(self):
        pass


@pytest.mark.parametrize("words", ["probability_vote n=16", "confidence_vote n=6"])
def test_a_pilot_tells_what_the_method_behind_it_goes_by_and_is_paid_once_studied_or_served(tmp_path, words):
    """So the price in a plan is what a request costs, whatever else was studied beside it."""
    beside, arm = make_arm(words), make_arm(f"compute_optimal table={table(tmp_path, methods=[words, words])}")
    stratum = Stratum("s", (item(),), Whole())
    desk = Desk(replace(stratum, items=()), arm, lambda question: (Message("user", question),))
    asked = desk.item(item().problem.prompt, Sampling())
    cases = {
        "beside": telling(stratum, [beside, arm]).items[0], "alone": telling(stratum, [arm]).items[0], "served": asked,
    }  # fmt: skip
    spent = {}
    for name, one in cases.items():
        with Ledger(tmp_path / f"{name}.sqlite") as book:
            found = asyncio.run(run_job(Job(stratum, one, arm), Clerk(Telling(), book, PRICES)))
        assert found.failure is None
        spent[name] = found.cost.calls, found.cost.prompt_tokens, found.cost.completion_tokens
    assert spent["beside"] == spent["alone"] == spent["served"]
    assert desk.item(item().problem.prompt, Sampling(logprobs=True)).problem.sampling.logprobs


def test_a_router_tells_them_too_and_a_table_that_needs_none_asks_for_none(tmp_path):
    router = tmp_path / "router.json"
    knots = {"threshold": 0.5, "bias": 0.0, "weights": {}, "logits": [], "shares": []}
    router.write_text(json.dumps({"cheap": "once", "costly": "probability_vote"} | knots))
    assert goes_by_logprobs(make_arm(f"route router={router}"))
    assert not goes_by_logprobs(make_arm(f"compute_optimal table={table(tmp_path)}"))
    plain = Stratum("s", (item(),), Whole())
    assert telling(plain, [make_arm(f"compute_optimal table={table(tmp_path)}")]) is plain


# A table by ratings


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in a folder of its own, with a task of forty problems that has a rater and one that has none."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"w{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(40)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stratum = '[task]\nname = "t"\n[[stratum]]\nname = "w"\nsource = "jsonl:w.jsonl"\nverifier = "exact"\n'
    (tmp_path / "bare.toml").write_text(stratum)
    (tmp_path / "rated.toml").write_text(stratum + 'rater = "head"\n')

    def go(*words, code=0):
        trueup(monkeypatch, *words, code=code)
        return capsys.readouterr()

    return go


def study_of(run, task, *methods):
    """A study of a weak toy in the folder o."""
    run("study", task, "--model", "toy:0.4", "--samples", "6", "--out", "o", "--methods", ",".join(methods), "-q")
    return run


def test_a_table_by_ratings_tells_what_the_method_hears(run, tmp_path):
    """Its edge is the mean rating of a pilot, and a study that acts on it pays for no further rating."""
    arms = ["weighted_best_of_n n=4", "weighted_best_of_n n=6"]
    study_of(run, "rated.toml", *arms)
    found = json.loads(run("route", "bins", "o", "--pilot", "4", "--signal", "rating", "--bins", "2", "--json").out)[
        "w"
    ]
    assert found["table"]["signal"] == "rating"
    assert read_bins(found["file"]).signal == "rating"
    means = [sum(json.loads(charge.reply)) / 4 for charge in rated(tmp_path) if len(json.loads(charge.reply)) == 4]
    (edge,) = found["table"]["edges"]
    assert len(means) == 40 and edge in means
    before = len(rated(tmp_path))
    study_of(run, "rated.toml", *arms, f"compute_optimal table={found['file']}")
    assert len(rated(tmp_path)) == before


def test_the_ratings_of_more_attempts_tell_those_of_the_pilot_at_their_part_of_the_price(run, tmp_path):
    study_of(run, "rated.toml", "weighted_best_of_n n=6")
    tables = [
        json.loads(run("route", "bins", "o", "--pilot", str(size), "--signal", "rating", "--json").out)["w"]["table"]
        for size in (3, 6)
    ]
    assert len(rated(tmp_path)) == 40, "nothing is rated for a table"
    assert 0 < tables[1]["budget"] == pytest.approx(tables[0]["budget"] / 1.5, rel=1e-9, abs=0), (
        "a pilot of six adds nothing to the rating that the method pays for, one of three adds half of it"
    )


def test_ratings_that_the_study_has_not_paid_for_are_not_made_up(run):
    study_of(run, "rated.toml", "once", "weighted_best_of_n n=3")
    told = run("route", "bins", "o", "--pilot", "4", "--signal", "rating", code=2).err
    assert "no ratings of the first 4 attempts at 'w" in told and told.count("\n") == 1
    assert "`weighted_best_of_n n=4` among its --methods" in told


def test_a_stratum_without_a_rater_has_no_ratings_and_there_is_no_third_signal(run):
    study_of(run, "bare.toml", "once", "vote n=4")
    told = run("route", "bins", "o", "--signal", "rating", code=2).err
    assert "stratum 'w' has no rater for --signal rating; take --signal agreement" in told and told.count("\n") == 1
    assert (
        "unknown signal 'ratings'; did you mean 'rating'?"
        in run("route", "bins", "o", "--signal", "ratings", code=2).err
    )


def rated(folder):
    """The ledger's charges for ratings."""
    return [charge for charge in read_charges(folder / "o" / "ledger.sqlite") if charge.kind == "rated"]


# Allocation


def best_total(curves, total):
    """The best that any allocation reaches, by trying all."""
    sizes = range(total + 1)
    return max(
        sum(curve[k] for curve, k in zip(curves, counts, strict=True))
        for counts in product(sizes, repeat=len(curves))
        if sum(counts) <= total
    )


@pytest.mark.parametrize("total", [3, 5, 8])
def test_greedy_is_exact_where_curves_are_concave(total):
    curves = np.array([coverage_curve(p, 8) for p in (0.05, 0.3, 0.6, 0.95)])
    taken = allocate(curves, total)
    assert taken.sum() == total
    assert curves[range(4), taken].sum() == pytest.approx(best_total(curves, total))


@pytest.mark.parametrize("total", [4, 6, 8, 12])
def test_greedy_looks_over_the_even_steps_of_a_vote(total):
    curves = np.array([vote_curve(p, 12) for p in (0.55, 0.7, 0.9)])
    reached = curves[range(3), allocate(curves, total)].sum()
    assert reached == pytest.approx(best_total(curves, total), abs=0.02)


def test_a_vote_of_two_is_no_better_than_one():
    curve = vote_curve(0.7, 3)
    assert curve.tolist() == pytest.approx([0.0, 0.7, 0.7, 0.7**3 + 3 * 0.7**2 * 0.3])


def test_what_gains_nothing_is_given_nothing():
    curves = np.array([coverage_curve(0.0, 4), coverage_curve(1.0, 4)])
    assert allocate(curves, 4).tolist() == [0, 1]


# The batch method


def drive(flow, reply):
    """The asks of a batch flow whose every ask is answered by reply(place, ask), and what it returned."""
    asked = []
    try:
        asks = next(flow)
        while True:
            asked.append(asks)
            asks = flow.send(tuple(reply(place, ask) for place, ask in asks))
    except StopIteration as end:
        return asked, end.value


def drawn(chances, seed=0):
    """Attempt i at problem `place` is right by its chance, else one wrong answer; the same number is the same one."""
    rows = [np.random.default_rng([seed, place]).random(4000) < p for place, p in enumerate(chances)]

    def reply(place, ask):
        if isinstance(ask, Check):
            return tuple(RIGHT if a.answer == "right" else WRONG for a in ask.attempts)
        return attempts("right" if rows[place][ask.start] else "wrong")

    return reply


def test_a_lead_is_that_of_the_beta_rule():
    assert beta_lead(0, 0) == 0.5
    assert beta_lead(3, 0) == pytest.approx(1 - 0.5**4)
    assert beta_lead(2, 4) == 1 - beta_lead(4, 2)


def test_votes_of_any_number_have_a_lead_and_a_gain():
    assert beta_lead(1500, 1500) == 0.5
    assert beta_lead(30_000, 29_000) > 0.99
    assert 0 < vote_gain(600, 600) < vote_gain(6, 6)


def test_the_gain_of_a_vote_by_hand():
    """Nothing seen: one attempt lifts 1/2 to 3/4. At 1 to 0 one attempt turns nothing; two make it .875 or .5."""
    assert vote_gain(0, 0) == pytest.approx(0.25)
    two = (3 / 6 * beta_lead(3, 0) + 2 / 6 * beta_lead(2, 1) + 1 / 6 * beta_lead(1, 2)) - 0.75
    assert vote_gain(1, 0) >= max(0.0, two / 2) - 1e-12
    assert vote_gain(1, 1) > vote_gain(4, 0) > vote_gain(9, 0) > 0


@pytest.mark.parametrize(("budget", "step"), [(1, 16), (3, 1), (5, 7)])
def test_the_budget_is_spent_to_the_last_sample_and_no_further(budget, step):
    asked, answers = drive(greedy_allocate([problem(str(i)) for i in range(9)], budget=budget, step=step),
                           drawn(np.linspace(0.2, 1, 9)))  # fmt: skip
    samples = [(place, ask) for asks in asked for place, ask in asks]
    assert len(samples) == 9 * budget
    assert all(len(asks) <= step for asks in asked[1:])
    for place in range(9):
        numbers = [ask.start for p, ask in samples if p == place]
        assert numbers == list(range(len(numbers)))
    assert len(answers) == 9


@pytest.mark.parametrize(("n", "spent"), [(7, 45), (3, 27)])
def test_no_problem_has_more_than_n_samples_and_the_others_get_the_rest(n, spent):
    problems = [problem(str(i)) for i in range(9)]
    asked, answers = drive(greedy_allocate(problems, budget=5, n=n), drawn([1.0] * 7 + [0.5] * 2))
    counts = np.bincount([place for asks in asked for place, _ in asks])
    assert (counts.sum(), counts.max()) == (spent, n)
    assert len(answers) == 9


def test_what_is_settled_gets_less_than_what_is_in_doubt():
    chances = [1.0] * 20 + [0.6] * 20
    asked, _ = drive(greedy_allocate([problem(str(i)) for i in range(40)], budget=8), drawn(chances))
    spent = np.bincount([place for asks in asked for place, _ in asks], minlength=40)
    assert spent[:20].mean() < spent[20:].mean() / 2
    assert spent.sum() == 320


def test_with_a_check_a_passed_problem_is_left_alone_and_the_rest_share_evenly():
    """All unsolved problems have the same posterior, so that greedy is fair to them: exact for Beta(1, 1)."""
    problems = [problem(str(i), checkable=True) for i in range(4)]
    asked, answers = drive(greedy_allocate(problems, budget=4, step=2), drawn([1.0, 0.0, 0.0, 0.0]))
    samples = [place for asks in asked for place, ask in asks if isinstance(ask, Sample)]
    assert np.bincount(samples).tolist() == [1, 5, 5, 5]
    assert [answer.value for answer in answers] == ["right", "wrong", "wrong", "wrong"]


def test_it_ends_early_where_all_have_passed():
    problems = [problem(str(i), checkable=True) for i in range(3)]
    asked, _ = drive(greedy_allocate(problems, budget=8), drawn([1.0] * 3))
    assert sum(len(asks) for asks in asked if isinstance(asks[0][1], Sample)) == 3


def test_a_failed_ask_closes_its_problem_and_no_other():
    honest = drawn([0.7, 0.7, 0.7])

    def reply(place, ask):
        return () if place == 1 and ask.start == 1 else honest(place, ask)

    asked, answers = drive(greedy_allocate([problem(str(i)) for i in range(3)], budget=6, step=3), reply)
    spent = np.bincount([place for asks in asked for place, _ in asks])
    assert spent[1] == 2 and spent.sum() == 18
    assert len(answers) == 3


@pytest.mark.parametrize(("failing", "value"), [(3, "right"), (0, None)])
def test_where_a_check_fails_the_best_that_was_graded_is_the_answer(failing, value):
    graded, grades = ["wrong", "right", "wrong", "right"], {"wrong": 0.2, "right": 0.9}

    def reply(place, ask):
        if isinstance(ask, Sample):
            return (replace(attempts(graded[ask.start])[0], index=ask.start),)
        (attempt,) = ask.attempts
        return () if attempt.index == failing else (Grade(grades[attempt.answer]),)

    asked, (answer,) = drive(greedy_allocate([problem(checkable=True)], budget=8), reply)
    assert (len(asked), answer.value) == (2 * failing + 2, value)


def test_where_every_ask_fails_it_ends():
    asked, answers = drive(greedy_allocate([problem("a"), problem("b")]), lambda place, ask: ())
    assert len(asked) == 1
    assert [answer.value for answer in answers] == [None, None]


def test_greedy_beats_an_even_spread_of_the_same_budget():
    """Where the commonest answer is mostly right; the paired difference has a standard error of one point."""
    chances = np.random.default_rng(5).beta(8, 2, 600)
    reply, problems = drawn(chances, seed=9), [problem(str(i)) for i in range(600)]
    _, answers = drive(greedy_allocate(problems, budget=5, step=64), reply)
    even = [sum(reply(p, Sample((), start=k))[0].answer == "right" for k in range(5)) > 2 for p in range(600)]
    assert np.mean([answer.value == "right" for answer in answers]) > np.mean(even) + 0.01


@pytest.mark.parametrize("settings", [{"budget": 0}, {"step": 0}, {"n": 0}])
def test_a_budget_below_one_is_refused(settings):
    with pytest.raises(BadInput, match=f"greedy_allocate {next(iter(settings))} is 0"):
        next(greedy_allocate([problem()], **settings))
