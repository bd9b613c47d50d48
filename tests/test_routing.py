"""Cascades and routers: cheap first, dear where it pays, and what that is worth against trivial rules."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from studies import CARD, measured
from terminal import at_problems
from toys import PRICES, attempts, finish, problem

from trueup.arms import make_arm
from trueup.core.asks import Check, Sample, Solve
from trueup.core.errors import BadInput, UnknownName
from trueup.core.types import Grade, Message, Solution
from trueup.methods.cascade import cascade
from trueup.methods.prompt_features import features
from trueup.methods.route import Router, read_router, route
from trueup.methods.start import start
from trueup.plan.logged import Logged, logged, pilot_cost
from trueup.plan.measure import measure
from trueup.plan.router import fit_chance, held_out_chances
from trueup.plan.router_trial import operate, try_router

RIGHT, WRONG = Grade(1.0), Grade(0.0)


def said(text):
    """A prompt of one message."""
    return (Message("user", text),)


# cascade


def test_a_cascade_answers_where_the_cheap_attempts_agree():
    asks, answer = finish(cascade(problem(), n=2), [attempts("4", "4")])
    assert asks == [Sample(problem().prompt, 2)]
    assert (answer.value, answer.note) == ("4", "2 of 2 votes")


def test_a_cascade_asks_the_strong_model_where_they_do_not():
    asks, answer = finish(cascade(problem(), model="small", then=3), [attempts("4", "5"), attempts("7", "7", "4")])
    assert asks == [Sample(problem().prompt, 2, model="small"), Sample(problem().prompt, 3, model="strong")]
    assert (answer.value, answer.note) == ("7", "2 of 3 votes")


@pytest.mark.parametrize(("agreement", "asked"), [(0.5, 1), (0.75, 1), (0.8, 2), (1.0, 2)])
def test_the_agreement_is_a_share_of_the_attempts_asked_for(agreement, asked):
    flow = cascade(problem(), n=4, agreement=agreement)
    replies = [attempts("4", "4", "4", None), attempts("4")][:asked]
    assert len(finish(flow, replies)[0]) == asked


def test_an_attempt_that_failed_agrees_with_none():
    asks, _ = finish(cascade(problem(), n=2), [attempts("4"), attempts("4")])
    assert len(asks) == 2


def test_what_could_not_be_read_never_counts_as_agreement():
    asks, answer = finish(cascade(problem(), n=2, agreement=0.0), [attempts(None, None), attempts("4")])
    assert len(asks) == 2
    assert answer.value == "4"


def test_on_the_same_model_the_further_attempts_vote_with_the_first():
    asks, answer = finish(cascade(problem(), to="", then=3), [attempts("4", "5"), attempts("5", "5", "4")])
    assert asks[1] == Sample(problem().prompt, 3, 2)
    assert (answer.value, answer.note) == ("5", "3 of 5 votes")


def test_a_strong_model_that_cannot_be_read_leaves_the_cheap_vote():
    _, answer = finish(cascade(problem(), n=3), [attempts("4", "4", "5"), attempts(None)])
    assert answer.value == "4"


def test_a_cascade_ends_at_the_solver():
    asks, answer = finish(cascade(problem(), to="solver"), [attempts("4", "5"), Solution("solved", "it is 6", "6")])
    assert asks[1] == Solve(problem())
    assert (answer.text, answer.value) == ("it is 6", "6")


def test_a_solver_that_does_not_decide_leaves_the_cheap_vote():
    _, answer = finish(cascade(problem(), n=3, to="solver"), [attempts("4", "4", "5"), Solution("timeout")])
    assert (answer.value, answer.note) == ("4", "2 of 3 votes; solver: timeout")


def test_with_a_check_the_first_that_passes_ends_the_cascade():
    checked = problem(checkable=True)
    asks, answer = finish(cascade(checked, n=3), [attempts("4"), (WRONG,), attempts("5"), (RIGHT,)])
    assert [(type(ask), getattr(ask, "start", None)) for ask in asks] == [
        (Sample, 0), (Check, None), (Sample, 1), (Check, None),
    ]  # fmt: skip
    assert (answer.value, answer.note) == ("5", "attempt 2 passed the check")


def test_with_a_check_agreement_on_what_does_not_pass_is_no_answer():
    replies = [attempts("4"), (WRONG,), attempts("4"), (WRONG,), attempts("6"), (RIGHT,)]
    asks, answer = finish(cascade(problem(checkable=True), n=2), replies)
    assert [a.answer for ask in asks if isinstance(ask, Check) for a in ask.attempts] == ["4", "4", "6"]
    assert answer.value == "6"


def test_with_side_effects_what_may_have_run_is_never_asked_again():
    asks, answer = finish(cascade(problem(), n=8, agreement=1.0, side_effects=True), [attempts("f(1)")])
    assert asks == [Sample(problem().prompt, 1)]
    assert answer.value == "f(1)"
    asks, answer = finish(cascade(problem(checkable=True), side_effects=True), [attempts("f(1)"), (WRONG,)])
    assert [type(ask) for ask in asks] == [Sample, Check]
    assert answer.value == "f(1)"


def test_with_side_effects_one_more_attempt_is_safe_where_nothing_was_run():
    asks, answer = finish(cascade(problem(), n=8, then=5, side_effects=True), [attempts(None), attempts("f(1)")])
    assert [ask.n for ask in asks] == [1, 1]
    assert answer.value == "f(1)"


@pytest.mark.parametrize("settings", [{"n": 0}, {"then": 0}, {"agreement": 1.5}])
def test_a_cascade_refuses_what_makes_no_sense(settings):
    with pytest.raises(BadInput, match=f"cascade {next(iter(settings))} is"):
        next(cascade(problem(), **settings))


# Words and features


def test_a_method_starts_by_its_words():
    asks, answer = finish(start("vote n=3", problem()), [attempts("4", "4", "5")])
    assert asks == [Sample(problem().prompt, 3)]
    assert answer.value == "4"


@pytest.mark.parametrize(
    "words", ["votes n=3", "route router=x", "compute_optimal table=x", "greedy_allocate budget=2"]
)
def test_only_methods_for_one_problem_can_be_chosen(words):
    with pytest.raises(UnknownName, match="unknown method"):
        start(words, problem())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("adaptive_vote n=0", "adaptive_vote n is 0; give at least 1"),
        ("adaptive_vote confidence=1", "confidence is 1.0; give a probability"),
        ("vote n=1000000000000", "vote n is 1000000000000; give at most 100000"),
        ("parallel_revise rounds=-1", "rounds is -1; give at least 0"),
        ("parallel_revise chains=0", "chains is 0; give at least 1"),
    ],
)
def test_a_setting_out_of_its_range_is_named_however_a_method_starts(words, why):
    for begin in (make_arm, lambda words: start(words, problem())):
        with pytest.raises(BadInput, match=why):
            begin(words)


def test_any_method_for_one_problem_starts_on_another_model():
    asks, answer = finish(start("vote n=3 model=strong", problem()), [attempts("4", "4", "5")])
    assert asks == [Sample(problem().prompt, 3, model="strong")]
    assert (answer.value, answer.note) == ("4", "2 of 3 votes")


def test_a_method_that_has_a_model_of_its_own_keeps_it():
    asks, _ = finish(start("cascade n=1 agreement=1 model=small", problem()), [attempts("4")])
    assert asks == [Sample(problem().prompt, 1, model="small")]


def test_what_no_file_can_choose_is_said():
    with pytest.raises(UnknownName, match="what works on a batch, or chooses by a file itself, cannot be chosen"):
        start("greedy_allocate budget=2", problem())


def test_chains_need_no_revisions():
    asks, answer = finish(make_arm("parallel_revise chains=8 rounds=0").start(problem()), [attempts(*"aaaaabbb")])
    assert (asks, answer.note) == ([Sample(problem().prompt, 8)], "5 of 8 votes")


def test_features_are_those_of_the_question_alone():
    shots = (Message("system", "s"), Message("user", "1?"), Message("assistant", "1"))
    bare, shown = features(said("What is 12 + 345?")), features((*shots, *said("What is 12 + 345?")))
    assert {k: v for k, v in bare.items() if k != "messages"} == {k: v for k, v in shown.items() if k != "messages"}
    assert bare["longest number"] == pytest.approx(np.log1p(3))
    assert sum(v * v for k, v in bare.items() if k.startswith("#")) == pytest.approx(1.0)


def test_numbers_of_the_same_length_are_the_same_word():
    assert features(said("12 + 34")) == features(said("98 + 76"))
    assert features(said("12 + 34")) != features(said("12 + 345"))


def test_an_empty_prompt_has_counts_only():
    assert not any(name.startswith("#") for name in features(said("")))


# route


def write_router(tmp_path, **changes):
    whole = {
        "cheap": "once", "costly": "vote n=3", "threshold": 0.5, "bias": 4.0, "weights": {"length": -2.0},
        "logits": [-4.0, 0.0, 4.0], "shares": [0.0, 0.5, 1.0], "trial": {"n": 9},
    }  # fmt: skip
    path = tmp_path / "router.json"
    path.write_text(json.dumps(whole | changes))
    return str(path)


def test_a_router_sends_easy_prompts_to_the_cheap_method_and_hard_ones_to_the_dear(tmp_path):
    """log-odds 4 - 2 log(1 + length): 1.2 for three letters, -1.1 for twelve; the line gives .65 and .36."""
    path = write_router(tmp_path)
    asks, answer = finish(route(problem("abc"), router=path), [attempts("4")])
    assert asks == [Sample(problem("abc").prompt, 1)]
    assert answer.note == "once (once right with chance 0.65): "
    asks, answer = finish(route(problem("abcdefghijkl"), router=path), [attempts("4", "4", "5")])
    assert asks[0].n == 3
    assert answer.note == "vote n=3 (once right with chance 0.36): 2 of 3 votes"


def test_a_threshold_of_the_users_overrules_the_fitted_one(tmp_path):
    asks, _ = finish(route(problem("abc"), router=write_router(tmp_path), threshold=0.9), [attempts("4", "4", "5")])
    assert asks[0].n == 3


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "changes",
    [
        {"shares": [0.5]}, {"weights": {"length": "long"}}, {"weights": [1]}, {"logits": 1},
        {"costly": None}, {"cheap": 5}, {"bias": NAN}, {"threshold": INF}, {"weights": {"length": NAN}},
        {"shares": [0.0, NAN, 1.0]}, {"logits": [0.0, 4.0, -4.0]}, {"bias": 10**400},
    ],
)  # fmt: skip
def test_a_malformed_router_is_refused(tmp_path, changes):
    with pytest.raises(BadInput, match="trueup route fit DIR"):
        next(route(problem(), router=write_router(tmp_path, **changes)))


def test_a_method_in_a_router_that_is_no_text_is_named(tmp_path):
    path = write_router(tmp_path, costly=None)
    with pytest.raises(BadInput) as refused:
        read_router(path)
    assert "has None for its costly method, which is no text; write one with" in str(refused.value)


@pytest.mark.parametrize("path", ["", "nowhere.json"])
def test_no_router_says_how_to_get_one(path):
    with pytest.raises(BadInput, match="trueup route fit DIR"):
        next(route(problem(), router=path))


# Learning


def prompts(n, seed):
    """Sums of two numbers; the chance that the cheap method is right falls with the digits of the longer one."""
    rng = np.random.default_rng(seed)
    digits = rng.integers(1, 7, n)
    texts = [f"What is {rng.integers(10 ** (d - 1), 10**d)} + {rng.integers(10)}?" for d in digits]
    filler = [" Please." * int(rng.integers(0, 6)) for _ in range(n)]
    chance = 1.0 - (digits - 1) / 6.0
    return [features(said(text + more)) for text, more in zip(texts, filler, strict=True)], chance, rng


def pair_of(cheap, costly, price=4.0):
    n = len(cheap)
    right = np.array([cheap, costly], dtype=float)
    return Logged(("once", "vote n=4"), right, np.array([np.ones(n), np.full(n, price)]), tuple(map(str, range(n))))


def test_a_learned_chance_is_calibrated_and_serves_as_it_was_learned(tmp_path):
    rows, chance, rng = prompts(400, 1)
    right = (rng.random(400) < chance).astype(float)
    names = [str(i) for i in range(400)]
    held_out = held_out_chances(rows, right, names, seed=0)
    assert abs(held_out.mean() - right.mean()) < 0.03
    assert ((held_out - chance) ** 2).mean() < 0.02, "near the true chances, which vary by .08"
    found = fit_chance(rows, right, names, seed=0)
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"cheap": "once", "costly": "vote n=4", "threshold": 0.5, **asdict(found)}))
    served = [read_router(str(path)).chance(row) for row in rows]
    assert served == pytest.approx(found.of(rows).tolist(), abs=1e-9)


def test_nothing_to_learn_gives_the_plain_share():
    rows = [{"length": 1.0}] * 40
    right = np.array([1.0, 0.0, 1.0, 1.0] * 10)
    assert fit_chance(rows, right, [str(i) for i in range(40)], seed=0).of(rows) == pytest.approx([0.75] * 40)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outcomes_that_are_all_alike_are_learned_as_such(value):
    rows, _, _ = prompts(30, 2)
    found = held_out_chances(rows, np.full(30, value), [str(i) for i in range(30)], seed=0)
    assert found == pytest.approx([value] * 30)


def test_no_item_is_predicted_from_its_own_cluster():
    """Two prompts apiece and an outcome by coin: a router that saw a prompt's twin would know it."""
    rng = np.random.default_rng(3)
    right = np.repeat((rng.random(60) < 0.5).astype(float), 2)
    rows = [{f"#{i // 2}": 1.0} for i in range(120)]
    found = held_out_chances(rows, right, [str(i // 2) for i in range(120)], seed=0)
    assert np.corrcoef(found, right)[0, 1] < 0.1


def test_a_router_that_knows_what_matters_beats_the_trivial_ones():
    rows, chance, rng = prompts(500, 4)
    trial = try_router(rows, pair_of(rng.random(500) < chance, rng.random(500) < 0.9), length="length", seed=0)
    rules = {rule.name: rule for rule in trial.rules}
    assert trial.beats_random and trial.beats_length
    assert trial.verdict.startswith("It beats the trivial routers: ")
    assert 0.05 < rules["learned"].gain < rules["oracle"].gain
    assert trial.brier < trial.brier_of_share


def test_a_router_without_a_signal_is_said_not_to_beat_them():
    rows, _, rng = prompts(300, 5)
    trial = try_router(rows, pair_of(rng.random(300) < 0.5, rng.random(300) < 0.8), length="length", seed=0)
    assert not trial.beats_random
    assert trial.verdict.startswith("It does not beat a trivial router: ")


def test_a_router_that_only_measures_length_is_said_to():
    rng = np.random.default_rng(6)
    lengths = rng.integers(1, 60, 400)
    rows = [features(said("x" * int(n))) for n in lengths]
    trial = try_router(
        rows, pair_of(rng.random(400) < 1 - lengths / 60, rng.random(400) < 0.9), length="length", seed=0
    )
    assert trial.beats_random and not trial.beats_length
    assert "not prompt length alone" in trial.verdict


def test_the_ends_of_every_rule_are_always_cheap_and_always_dear():
    rows, chance, rng = prompts(100, 7)
    pair = pair_of(rng.random(100) < chance, rng.random(100) < 0.9)
    for rule in try_router(rows, pair, length="length", seed=0).rules:
        for stop, row in ((rule.stops[0], 0), (rule.stops[-1], 1)):
            assert stop.accuracy == pytest.approx(pair.right[row].mean())
            assert stop.cost == pytest.approx(pair.cost[row].mean())


def test_a_dear_method_that_is_worse_is_held_against_always_cheap():
    rows, _, rng = prompts(200, 8)
    trial = try_router(rows, pair_of(np.ones(200), rng.random(200) < 0.5), length="length", seed=0)
    assert not trial.beats_random
    assert all(rule.gain <= 0 for rule in trial.rules)


def test_a_pair_without_a_dear_one_is_refused():
    rows, chance, rng = prompts(20, 9)
    with pytest.raises(BadInput, match="nothing to route"):
        try_router(rows, pair_of(rng.random(20) < chance, np.ones(20), price=1.0), length="length", seed=0)


def test_the_operating_point_is_the_cheapest_that_reaches_the_target():
    pair = pair_of([1, 1, 0, 0], [1, 1, 1, 0])
    chances = np.array([0.9, 0.8, 0.4, 0.2])
    point = operate(chances, pair, 0.7)
    assert (point.threshold, point.share, point.accuracy, point.reaches) == (0.8, 0.5, 0.75, True)
    assert operate(chances, pair, 0.5).share == 0.0
    assert operate(chances, pair, 0.9).accuracy == 0.75 and not operate(chances, pair, 0.9).reaches


# Results of a study


def test_logged_takes_dollars_and_leaves_oracles_out():
    study = measured(["rr", "rw"], {"once": "rw", "vote n=2": "r!", "best_of_n n=2": "rr"}, usd={"vote n=2": "3"},
                     oracles=["best_of_n n=2"])  # fmt: skip
    found = logged(study)
    assert (found.names, found.unit) == (("once", "vote n=2"), "usd")
    assert found.right.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert found.cost.tolist() == [[1.0, 1.0], [6.0, 6.0]]
    assert found.cost.mean(axis=1).tolist() == [float(point.cost.usd) for point in measure(study)[:2]]
    with pytest.raises(BadInput, match="saw the reference"):
        logged(study, ["best_of_n n=2"])
    with pytest.raises(UnknownName, match="add it to the study"):
        logged(study, ["vote n=3"])


def test_unknown_dollars_are_compared_by_tokens():
    found = logged(measured(["r"], {"once": "r", "vote n=2": "r"}, usd={"once": None}))
    assert found.unit == "tokens"
    assert found.cost.tolist() == [[10.0], [21.0]]


def test_a_pilot_costs_one_prompt_and_its_attempts():
    study = measured(["rrr", "rwr"], {"once": "rr"})
    assert pilot_cost(study, 2, CARD, PRICES, "tokens").tolist() == [7.0, 7.0]
    assert pilot_cost(study, 2, CARD, PRICES, "seconds").tolist() == [36.0, 36.0]
    with pytest.raises(BadInput, match="needs as many attempts, 'i0' has 3"):
        pilot_cost(study, 4, CARD, PRICES, "tokens")


def test_router_is_what_its_file_says(tmp_path):
    found = read_router(write_router(tmp_path, logits=[], shares=[]))
    assert isinstance(found, Router)
    assert found.chance({"length": 2.0}) == 0.5


def test_what_costs_no_dollars_is_compared_by_tokens():
    found = logged(measured(["r"], {"once": "r", "vote n=2": "r"}, usd={"once": "0", "vote n=2": "0"}))
    assert found.unit == "tokens"


def test_a_pilot_of_nothing_is_refused():
    with pytest.raises(BadInput, match="the pilot has 0 attempts"):
        pilot_cost(measured(["r"], {"once": "r"}), 0, CARD, PRICES, "tokens")


def test_a_router_that_knows_nothing_is_neither_harmful_nor_good():
    """Ten times coins: ranked across folds, whose base rates oppose their items', it would cost points."""
    gains = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows, pair = [{"length": 1.0}] * 100, pair_of(rng.random(100) < 0.6, np.ones(100))
        gains.append(try_router(rows, pair, length="length", seed=seed).rules[0].gain)
    assert abs(np.mean(gains)) < 0.015


# The commands


def test_what_works_on_a_batch_is_no_method_for_a_request():
    study = measured(["r"], {"once": "r", "greedy_allocate budget=2": "r"})
    arms = tuple(replace(arm, is_batch=arm.method == "greedy_allocate") for arm in study.arms)
    assert logged(replace(study, arms=arms)).names == ("once",)
    with pytest.raises(
        BadInput, match=r"'greedy_allocate budget=2' spends one budget on a whole batch.*another method"
    ):
        logged(replace(study, arms=arms), ["once", "greedy_allocate budget=2"])


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in a folder of its own, with a task of forty problems."""
    return at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(40)])


def study_of(run, *methods):
    """A study in the folder o of a weak toy, beside a strong one."""
    both = ("--model", "toy:0.4", "--with", "strong=toy:0.9", "--samples", "4")
    run("study", "w.jsonl", *both, "--out", "o", "--methods", ",".join(methods), "-q")
    return run


def test_what_is_learned_of_another_model_is_served_by_it(run):
    arms = ["once", "vote n=4", "vote n=4 model=strong"]
    study_of(run, *arms)
    run("route", "bins", "o", "--pilot", "2")
    run("route", "fit", "o", "--costly", arms[-1], "--target", "0.9")
    study_of(run, *arms, "compute_optimal table=o/bins-w.json", "route router=o/router-w.json")
    points = json.loads(run("measure", "o", "--json").out)["w"]["points"]
    reached = {point["method"]: point["accuracy"] for point in points}
    assert min(reached["compute_optimal"], reached["route"]) > 0.8 > 0.6 > reached["once"]


def test_a_router_is_not_written_for_what_cannot_be_started(run, tmp_path):
    study_of(run, "once", "vote n=4", "greedy_allocate budget=3")
    told = run("route", "fit", "o", "--costly", "greedy_allocate budget=3", code=2).err
    assert "spends one budget on a whole batch" in told and told.count("\n") == 1
    assert not (tmp_path / "o" / "router-w.json").exists()


def test_what_chooses_by_a_file_is_chosen_by_none(run, tmp_path):
    study_of(run, "once", "vote n=4")
    run("route", "fit", "o")
    (tmp_path / "o" / "router-w.json").rename(tmp_path / "r.json")
    study_of(run, "once", "route router=r.json")
    table = json.loads(run("route", "bins", "o", "--pilot", "1", "--bins", "2", "--json").out)["w"]["table"]
    assert set(table["methods"]) == {"once"}
    told = run("route", "fit", "o", "--costly", "route router=r.json", code=2).err
    assert "chooses by a file itself, cannot be chosen" in told and told.count("\n") == 1
    assert not (tmp_path / "o" / "router-w.json").exists()
