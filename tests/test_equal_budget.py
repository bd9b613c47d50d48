import asyncio
import gzip
import json
import re
import runpy
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trueup.arms import make_arm
from trueup.bench import equal_budget as bench
from trueup.bench import record as recorder
from trueup.bench.bars import needed
from trueup.bench.bounds import oracles
from trueup.bench.equal_budget import curve_of, equal_budget, field, judge, together
from trueup.bench.field import METHOD, Field, pooled
from trueup.bench.frontier import MARGIN, Band, cheapest, difference, intervals, lead
from trueup.bench.optimum import Least
from trueup.bench.peers import Truth, ask_optillm, install
from trueup.bench.peers.install import ITS_HUB, OPTILLM, peers_folder
from trueup.bench.peers.optillm import optillm_serving
from trueup.bench.peers.recorded import BESTOFN, CRUCIBLE, RUNS, ZEN, Run, run_peer
from trueup.bench.peers.recorded_child import Tape, VirtualLoop
from trueup.bench.peers.words import Recorded as Text
from trueup.bench.population import BOXED, POPULATIONS, PROMPT_TOKENS, record_population
from trueup.bench.recorded import SAMPLES, Case, Recording, read_recordings
from trueup.bench.spent import Spent, spend
from trueup.catalog import names
from trueup.core.asks import check, sample
from trueup.core.errors import BadInput
from trueup.core.stratum import Arm
from trueup.core.types import Answer, Attempt, Message, Problem, Sampling, Usage
from trueup.models import Toy
from trueup.plan import Resampler

MIDDLING = POPULATIONS[1]
EXAMPLE = Path(__file__).parent.parent / "examples" / "votes"


def case(*answers: str, lengths: tuple[int, ...] = (), right: str = "a", name: str = "p", prompt: int = 100) -> Case:
    """Attempts that answer so, of these lengths (10 tokens if none are given)."""
    attempts = tuple(
        Attempt(i, f"t{i}: the answer is {a}", "stop", Usage(prompt, (lengths or (10,) * len(answers))[i]), a)
        for i, a in enumerate(answers)
    )
    rights = tuple(a == right for a in answers)
    return Case(Problem(name, "s", (Message("user", name),)), attempts, rights, prompt, name)


def spent(name: str, right: list[float], tokens: float, family: str = "fixed") -> Spent:
    """A system that was right so often and used as many tokens on every case."""
    return Spent.of(name, family, [(value, 1, 0, tokens) for value in right])


def draws(n: int) -> Resampler:
    return Resampler.of([str(place) for place in range(n)], seed=0)


def test_a_population_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = (record_population(MIDDLING, 5, seed) for seed in (0, 0, 1))
    assert first == again
    assert first.cases[0].attempts != other.cases[0].attempts


@pytest.mark.parametrize("population", POPULATIONS)
def test_a_population_is_right_as_often_as_its_beta_says(population):
    cases = record_population(population, 600, 0, attempts=8).cases
    share = np.mean([case.right for case in cases])
    assert share == pytest.approx(population.a / (population.a + population.b), abs=0.05)


def test_right_attempts_share_an_answer_and_no_two_texts_are_alike():
    for one in record_population(MIDDLING, 20, 0).cases:
        assert len({a.answer for a, right in zip(one.attempts, one.right, strict=True) if right}) <= 1
        assert len({a.text for a in one.attempts}) == SAMPLES


def test_reordering_keeps_the_attempts_and_the_cluster():
    recording = Recording("r", "m", "", (case("a", "b", "c", lengths=(1, 2, 3)),))
    cases = recording.reordered(6, seed=0).cases
    assert [len(one.attempts) for one in cases] == [3] * 6
    assert {one.cluster for one in cases} == {"p"}
    assert len({one.problem.id for one in cases}) == 6
    assert len({tuple(a.answer for a in one.attempts) for one in cases}) > 1
    for one in cases:
        assert sorted(a.usage.completion_tokens for a in one.attempts) == [1, 2, 3]
        assert [a.index for a in one.attempts] == [0, 1, 2]
        assert one.right == tuple(a.answer == "a" for a in one.attempts)


def test_a_call_of_n_has_one_prompt():
    told = spend(make_arm("vote n=3"), "ours", [case("a", "b", "a", "b", lengths=(5, 6, 7, 8))])
    assert (told.right[0], told.calls[0], told.prompt_tokens[0], told.completion_tokens[0]) == (1, 1, 100, 18)


def test_attempts_that_race_pay_every_prompt_and_what_was_generated_by_then():
    def race(problem):
        attempts = yield from sample(problem.prompt, 4, until=lambda known: len(known) >= 2)
        return Answer.of(attempts[-1])

    told = spend(Arm("race", {}, race), "ours", [case("b", "a", "b", "b", lengths=(5, 9, 4, 30))])
    assert (told.right[0], told.calls[0], told.prompt_tokens[0]) == (1, 4, 400)
    assert told.completion_tokens[0] == 5 + 9 + 4 + 9


def test_a_race_that_nothing_ends_takes_all():
    def race(problem):
        attempts = yield from sample(problem.prompt, 2, until=lambda known: False)
        return Answer.of(attempts[-1])

    told = spend(Arm("race", {}, race), "ours", [case("b", "a", lengths=(5, 9))])
    assert (told.right[0], told.completion_tokens[0]) == (1, 14)


def test_what_asks_for_grades_is_of_the_family_verified():
    def graded(problem):
        attempts = yield from sample(problem.prompt, 3)
        grades = yield from check(problem, attempts)
        return Answer.best(attempts, grades)

    told = spend(Arm("graded", {}, graded), "ours", [case("b", "b", "a")])
    assert (told.family, told.right[0]) == ("verified", 1)


def test_a_batch_is_billed_to_each_of_its_problems():
    def batch(problems):
        first = yield tuple((place, next(sample(problem.prompt, 1))) for place, problem in enumerate(problems))
        ((second,),) = yield ((1, next(sample(problems[1].prompt, 1, start=1))),)
        return [Answer.of(first[0][0]), Answer.of(second)]

    told = spend(Arm("batch", {}, batch, is_batch=True), "ours", [case("a", "b"), case("b", "a")])
    assert (list(told.right), list(told.calls), list(told.tokens)) == ([1, 1], [1, 2], [110, 220])


def test_log_probabilities_are_free_of_tokens():
    told = case("a", "b", "a", "b", lengths=(5, 6, 7, 8))
    told = replace(told, attempts=tuple(replace(attempt, logprob=-0.1) for attempt in told.attempts))
    sure, plain = (spend(make_arm(arm), "ours", [told]) for arm in ("confidence_vote n=3", "vote n=3"))
    assert (sure.tokens[0], sure.calls[0]) == (plain.tokens[0], plain.calls[0]) == (118, 1)


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda problem: sample((Message("user", "other words"),), 1), "can be replayed"),
        (lambda problem: sample(problem.prompt, 1, sampling=Sampling(temperature=0.5)), "can be replayed"),
        (lambda problem: sample(problem.prompt, 1, sampling=Sampling(temperature=0.0)), "at temperature 0"),
        (lambda problem: sample(problem.prompt, 1, model="other"), "can be replayed"),
        (lambda problem: sample(problem.prompt, 3), "asks for 3 attempts, the recording holds fewer"),
    ],
)
def test_an_ask_that_nothing_is_on_record_for_is_refused(ask, why):
    with pytest.raises(BadInput, match=why):
        spend(Arm("odd", {}, ask), "ours", [case("a", "b")])


def test_a_greedy_answer_is_replayed_and_the_default_method_is_held_against_it():
    sure = Attempt(0, "sure: the answer is a", "stop", Usage(100, 7), "a")
    plain = case(*"babbbbbb" * 5)
    told = replace(plain, greedy=sure, is_greedy_right=True)
    paid = spend(make_arm("greedy"), "ours", [told])
    assert (paid.right[0], paid.calls[0], paid.prompt_tokens[0], paid.completion_tokens[0]) == (1, 1, 100, 7)
    cases = tuple(replace(told, cluster=f"p{place}") for place in range(9))
    summary, rows = judge(field(Recording("r", "m", "", cases), []))
    assert summary["over_greedy"] == -1.0
    assert next(row["accuracy"] for row in rows if row["system"] == "trueup greedy") == 1.0
    _, rows = judge(field(Recording("r", "m", "", (plain,)), []))
    assert "temperature 0" in next(row["skipped"] for row in rows if row["system"] == "trueup greedy")


def test_the_lead_of_a_curve_is_read_between_its_points():
    curve = [spent("one", [1, 0, 0, 0], 10), spent("two", [1, 1, 1, 0], 30)]
    rivals = [spent("mid", [1, 0, 0, 0], 20), spent("far", [1, 1, 1, 1], 90), spent("less", [0, 0, 0, 0], 5)]
    values = [band.value for band in lead(curve, rivals, draws(4))]
    assert values == pytest.approx([0.5 - 0.25, 0.75 - 1.0, 0.125])


def test_a_rival_that_is_a_point_of_the_curve_has_no_lead_and_no_doubt():
    right = [1.0, 0.0] * 50
    curve = [spent("one", right, 10), spent("two", [1.0] * 100, 20)]
    (band,) = lead(curve, [spent("same", right, 10)], draws(100))
    assert (band.value, band.low, band.high) == pytest.approx((0, 0, 0))


def test_bands_over_many_rivals_are_wider_than_the_interval_of_one():
    rng = np.random.default_rng(0)
    columns = [list(rng.integers(0, 2, 400).astype(float)) for _ in range(12)]
    ours, rivals = spent("ours", columns[0], 10), [spent(f"r{i}", c, 10) for i, c in enumerate(columns[1:])]
    many = lead([ours], rivals, draws(400))[0]
    alone = difference(ours, rivals[0], draws(400))
    assert many.value == pytest.approx(alone.value)
    assert many.high - many.low > alone.high - alone.low


def test_the_cheapest_rival_is_sought_among_those_as_good_as_the_reference():
    right = [1.0, 0.0] * 500
    whole = spent("whole", right, 100)
    worse = spent("worse", [0.0] * 1000, 1)
    alike = spent("alike", right, 60)
    found = cheapest(spent("ours", right, 30), [whole, worse, alike], whole, draws(1000)).shown
    assert found is not None
    assert (found.system, found.ratio.value) == ("alike", 0.5)
    assert cheapest(whole, [worse], whole, draws(1000)).shown is None


def test_being_as_good_takes_more_than_no_difference_seen():
    few, many = ([1.0] * 19 + [0.0], [1.0] * 20), ([1.0] * 1999 + [0.0], [1.0] * 2000)
    for (lost, whole), wanted in ((few, False), (many, True)):
        ours = spent("ours", whole, 1)
        said = cheapest(ours, [spent("one", lost, 1)], spent("whole", whole, 1), draws(len(whole))).shown
        assert (said is not None) is wanted
    assert MARGIN == 0.005


def test_intervals_hold_the_figures():
    ((accuracy, tokens),) = intervals([spent("one", [1.0, 0.0, 1.0, 1.0] * 50, 7)], draws(200))
    assert accuracy.low < accuracy.value == 0.75 < accuracy.high
    assert (tokens.low, tokens.value, tokens.high) == pytest.approx((7, 7, 7))


@pytest.fixture
def quick(monkeypatch):
    """Bounds for fewer attempts, within a second each."""
    monkeypatch.setattr(bench, "OPTIMA", (SAMPLES, SAMPLES + 2))


def test_without_peers_nothing_is_decided_and_every_row_is_there(tmp_path, quick):
    rows = equal_budget(items=10, peers=(), recorded=tmp_path / "none", workers=1)
    summaries = [row for row in rows if row.get("family") == "summary"]
    assert [row["verdict"] for row in summaries] == ["open"] * 3
    assert any("trueup.bench.record" in str(row.get("skipped")) for row in rows)
    own = [row for row in rows if row["system"] == f"trueup {METHOD} n=128" and "accuracy" in row]
    assert len(own) == 3
    assert all(row["tokens"] == pytest.approx(row["prompt_tokens"] + row["completion_tokens"]) for row in own)
    json.dumps(rows, allow_nan=False)


def test_a_peer_that_cannot_be_had_is_a_skipped_row(tmp_path, monkeypatch):
    occupied = tmp_path / "file"
    occupied.write_text("")
    monkeypatch.setenv("TRUEUP_PEERS", str(occupied))
    summary, rows = judge(field(record_population(MIDDLING, 5, 0), [ITS_HUB]))
    assert summary["skipped"] == ["its_hub"]
    assert next(row for row in rows if row["system"] == "its_hub")["skipped"].startswith("its_hub 1.2.0 cannot be")


def test_a_peer_that_several_ask_for_at_once_is_installed_once(tmp_path, monkeypatch):
    begun = []

    def run(command, **_):
        begun.append(command)
        if "venv" in command:
            assert not Path(command[-1]).exists(), "another one is installing it"
            (Path(command[-1]) / "bin").mkdir(parents=True)
            time.sleep(0.2)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("TRUEUP_PEERS", str(tmp_path / "peers"))
    monkeypatch.setattr(subprocess, "run", run)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(install, [ITS_HUB] * 4))
    assert folders == {tmp_path / "peers" / "its_hub-1.2.0" / "bin"}
    assert len(begun) == 2


def test_methods_that_share_a_budget_are_measured_within_what_is_on_record_and_what_is_left_out_says_why():
    """One problem that stays in doubt and nine that do not: the one takes all that it has."""
    cases = tuple(case(*("ab" * 20 if not place else "a" * 40), name=f"p{place}") for place in range(10))
    _, rows = judge(field(Recording("r", "m", "", cases), []))
    for name in ("blend_asc", "greedy_allocate"):
        few, more = (row for row in rows if row["system"].startswith(f"trueup {name} ") and "accuracy" in row)
        assert (few["calls"], more["calls"]) == (8, 16)
    notes = {row["system"]: row["skipped"] for row in rows if "skipped" in row}
    assert "nothing but attempts" in notes["trueup reread n=8"]
    assert "no attempt" in notes["trueup run_stored"] and all(row.get("calls", 1) for row in rows)
    named = {row["system"].split()[1] for row in rows if row["system"].startswith("trueup ")}
    assert set(names("methods")) <= named
    assert any(row["system"] == "trueup cascade n=8 to=" and "accuracy" in row for row in rows)


def judged(ours: list[float], tokens: float, *peers: Spent):
    """The summary where ours has these results for so many tokens, whatever its settings."""
    curve = [spent(f"trueup {arm}", ours, tokens, "ours") for arm in curve_of(40)]
    return judge(Field("f", "simulated", [str(i) for i in range(len(ours))], [*curve, *peers], {}))[0]


def test_the_bar_is_met_by_half_the_tokens_at_equal_accuracy():
    right = [1.0, 1.0, 0.0, 1.0] * 500
    fixed, adaptive = spent("hub vote 40", right, 100), spent("hub adaptive 40", right, 50, "adaptive")
    summary = judged(right, 39, fixed, adaptive)
    assert (summary["reference"], summary["ratio_fixed"], summary["ratio_adaptive"]) == ("hub vote 40", 0.39, 0.78)
    assert {summary[f"bar_{name}"] for name in ("accuracy", "fixed", "adaptive", "curve")} == {"met"}
    assert summary["verdict"] == "met"


def test_the_bar_is_missed_where_a_peer_is_above_or_cheaper_and_the_row_names_it():
    right = [1.0, 1.0, 0.0, 1.0] * 500
    better = [1.0] * 2000
    fixed, adaptive = spent("hub vote 40", right, 100), spent("hub adaptive 40", right, 45, "adaptive")
    summary = judged(right, 40, fixed, adaptive, spent("router", better, 40, "adaptive"))
    assert (summary["bar_adaptive"], summary["bar_curve"], summary["verdict"]) == ("missed", "missed", "missed")
    assert [row["system"] for row in summary["above"]] == ["router"]


WHOLE = [1.0, 0.0] * 1000


def but_for(*, lost: int, won: int) -> list[float]:
    """WHOLE, but for so many items."""
    return [
        0.0 if right and i < 2 * lost else 1.0 if not right and i < 2 * won else right for i, right in enumerate(WHOLE)
    ]


def test_a_rival_not_shown_to_lose_more_than_the_margin_may_be_as_good():
    """Of 2000 items one loses 16 and wins 10, another loses 40: within the margin, as far as they tell, and beyond."""
    whole, draw = spent("whole", WHOLE, 100), draws(2000)
    maybe, worse = spent("maybe", but_for(lost=16, won=10), 60), spent("worse", but_for(lost=40, won=0), 20)
    found = cheapest(spent("ours", WHOLE, 30), [whole, maybe, worse], whole, draw)
    assert found.shown is not None and found.possible is not None
    assert (found.shown.system, found.shown.ratio.value) == ("whole", 0.3)
    assert (found.possible.system, found.possible.ratio.value) == ("maybe", 0.5)
    assert cheapest(whole, [worse], whole, draw).possible is None


@pytest.mark.parametrize(
    ("tokens", "call"), [(29, "met"), (31, "open"), (49, "open"), (51, "missed")], ids=["both", "one", "half", "none"]
)
def test_tokens_are_met_only_against_every_rival_that_may_be_as_good(tokens, call):
    fixed = spent("hub vote 40", WHOLE, 100), spent("hub vote 16", but_for(lost=16, won=10), 60)
    summary = judged(WHOLE, tokens, *fixed)
    assert summary["bar_fixed"] == call
    assert (summary["best_fixed"], summary["ratio_fixed"]) == ("hub vote 40", tokens / 100)
    assert (summary["possible_fixed"], summary["ratio_possible_fixed"]) == ("hub vote 16", tokens / 60)


def test_tokens_are_held_alike_against_adaptive_rivals():
    whole, sure = spent("hub vote 40", WHOLE, 100), spent("hub adaptive 40", WHOLE, 60, "adaptive")
    maybe = spent("hub adaptive 8", but_for(lost=16, won=10), 40, "adaptive")
    assert judged(WHOLE, 40, whole, sure)["bar_adaptive"] == "met"
    assert judged(WHOLE, 40, whole, sure, maybe)["bar_adaptive"] == "open"
    alone = judged(WHOLE, 30, whole, maybe)
    assert (alone["bar_adaptive"], alone["possible_adaptive"]) == ("open", "hub adaptive 8")
    assert "best_adaptive" not in alone


def test_a_rivals_row_tells_what_ours_gains_over_it_and_takes_of_its_tokens():
    ours = [spent(f"trueup {arm}", WHOLE, 30, "ours") for arm in curve_of(40)]
    rival = spent("best of 8", but_for(lost=40, won=0), 40)
    _, rows = judge(Field("f", "m", [str(i) for i in range(2000)], [*ours, rival], {}))
    row = next(row for row in rows if row["system"] == "best of 8")
    assert (row["gain"], row["ratio"]) == pytest.approx((0.02, 0.75))
    assert row["gain_low"] < row["gain"] < row["gain_high"]


def test_tasks_are_pooled_with_their_clusters_apart():
    one, two = (
        Field(name, "m", ["x", "y"], [spent(f"trueup {arm}", right, 1, "ours") for arm in curve_of(40)], {})
        for name, right in (("a", [1.0, 0.0]), ("b", [1.0, 1.0]))
    )
    both = pooled("all tasks", [one, two])
    assert len(set(both.clusters)) == 4
    assert list(both.curve[0].right) == [1, 0, 1, 1]


def test_items_that_no_rule_was_chosen_on_are_judged_apart():
    clusters = [str(item) for item in range(82) for _ in range(2)]
    right = [float(int(cluster) >= 80) for cluster in clusters]
    task = Field("a", "m", clusters, [spent(f"trueup {arm}", right, 1, "ours") for arm in curve_of(40)], {})
    every, unseen = together([task, task])
    assert len(every.clusters) == 2 * len(clusters)
    assert set(unseen.clusters) == {"a 80", "a 81"}
    assert list(unseen.curve[0].right) == [1.0] * 8
    assert len(together([task.since(2)])) == 1
    assert together([]) == []


def test_an_oracle_takes_what_the_final_leader_needs_and_answers_as_the_whole_vote():
    """Ties fall by lot: a leads from its first or second vote on; b leads at first, then c, then b again."""
    cases = [case(*"baaa", lengths=(1, 2, 3, 4)), case(*"bccbb", name="q")]
    (stop, first, seen), (other, sooner, at_once) = (oracles([one], len(one.attempts)) for one in cases)
    assert stop.completion_tokens[0] == first.completion_tokens[0] in {1 + 2, 1 + 2 + 3}
    assert other.completion_tokens[0] in {40, 50}
    assert sooner.completion_tokens[0] == 10
    assert (seen.completion_tokens[0], at_once.completion_tokens[0]) == (1 + 2, 10)
    for bound in oracles([case(*"baaab"), cases[1]], 5):
        assert list(bound.right) == list(spend(make_arm("vote n=5"), "ours", [case(*"baaab"), cases[1]]).right)
        assert (list(bound.calls), list(bound.prompt_tokens), bound.family) == ([1, 1], [100, 100], "bound")


def test_simulated_problems_tell_what_no_rule_goes_below(tmp_path, quick):
    rows = equal_budget(items=10, peers=(), recorded=tmp_path / "none", workers=1)
    known = [row["system"] for row in rows if row.get("family") == "bound"]
    optima = [f"optimal stop of {n}" for n in bench.OPTIMA]
    assert known == [*(f"oracle {name}" for name in ("stop", "first", "seen")), *optima] * 3
    hard = {row["system"]: row for row in rows if row.get("population") == "hard"}
    assert hard[optima[0]]["tokens"] > hard[optima[1]]["tokens"] > hard["oracle first"]["tokens"]


def test_bounds_are_held_against_the_same_rivals_as_ours():
    ours = [spent(f"trueup {arm}", WHOLE, 30, "ours") for arm in curve_of(40)]
    whole, maybe = spent("hub 40", WHOLE, 100), spent("may be 8", but_for(lost=30, won=20), 50)
    bounds = [spent("oracle first", WHOLE, 10, "bound")]
    known = Field("f", "m", [str(i) for i in range(2000)], [*ours, whole, maybe, *bounds], {})
    summary, rows = judge(replace(known, least={"optimal stop of 40": Least(0.9, 25.0)}))
    assert (summary["best_fixed"], summary["possible_fixed"]) == ("hub 40", "may be 8")
    assert summary["ratio_fixed_optimal_stop_of_40"] == pytest.approx(0.25)
    assert summary["ratio_possible_fixed_optimal_stop_of_40"] == pytest.approx(0.5)
    assert summary["ratio_possible_fixed_oracle_first"] == pytest.approx(0.2)
    assert rows[-1] | {"family": "bound", "accuracy": 0.9, "tokens": 25.0} == rows[-1]


def test_items_needed_are_those_at_which_the_interval_would_just_be_above_the_margin():
    """A loss of a fifth of a point, known to within half a point on 100 items: (0.5 / 0.3)^2 times as many."""
    draw = draws(100)
    assert needed(Band(-0.002, -0.007, 0.003), draw) == 278
    assert needed(Band(-0.006, -0.007, -0.005), draw) is None


def test_small_budgets_are_votes_of_one_call_where_prompts_are_long():
    assert curve_of(40, 7.0)[1] == f"{METHOD} n=2 step=2"
    assert curve_of(40)[1] == f"{METHOD} n=40 price=0.006 step=2"
    long = case(*"aaaaaaaa", lengths=(10,) * 8, prompt=100)
    told = spend(make_arm(f"{METHOD} n=8 step=8"), "ours", [long])
    assert (told.calls[0], told.completion_tokens[0]) == (1, 80)


def test_what_is_beside_the_bar_has_rows_over_its_own_cases():
    ours = [spent(f"trueup {arm}", [1.0, 0.0, 1.0], 1, "ours") for arm in curve_of(40)]
    _, rows = judge(Field("f", "m", ["x", "y", "z"], ours, {}, [spent("trueup vote", [1.0, 0.0], 1, "ours")]))
    assert [(row["n"], row["accuracy"]) for row in rows if row["system"] == "trueup vote"] == [(2, 0.5)]


def test_the_virtual_clock_waits_for_nothing():
    async def both():
        order = []

        async def nap(ticks):
            await asyncio.sleep(ticks)
            order.append(ticks)

        await asyncio.gather(nap(5_000_000), nap(1_000_000))
        return order, asyncio.get_running_loop().time()

    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(both()) == ([1_000_000, 5_000_000], 5_000_000.0)
    finally:
        loop.close()


def test_a_tape_hands_out_each_attempt_once():
    tape = Tape({"texts": ["x", "y", "x"], "tokens": [3, 4, 5], "prompt_tokens": 10})
    assert (tape.begin(2), tape.begin()) == ([0, 1], [2])
    assert tape.finish(1) == "y"
    assert tape.number_of("x") == 0
    assert tape.bill(0) == [0, 2, 20, 4]


def test_a_recording_is_read_back(tmp_path):
    rows = [{"id": name, "prompt": f"say {name}", "reference": "right"} for name in ("x", "y")]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = tmp_path / "kept" / "recorded.json.gz"
    asyncio.run(recorder.record(Toy(0.5), str(tmp_path / "t.jsonl"), kept, ledger=tmp_path / "l.sqlite", samples=6))
    (recording,) = read_recordings(kept)
    assert (recording.name, recording.model, len(recording.cases)) == ("t", "toy", 2)
    for one in recording.cases:
        assert len(one.attempts) == 6
        assert one.right == tuple(attempt.text == "right" for attempt in one.attempts)
        assert one.greedy is not None and one.is_greedy_right == (one.greedy.text == "right")
        assert {attempt.usage.completion_tokens for attempt in one.attempts} == {one.prompt_tokens} == {8}
    first = kept.read_bytes()
    asyncio.run(recorder.record(Toy(0.5), str(tmp_path / "t.jsonl"), kept, ledger=tmp_path / "l.sqlite", samples=6))
    assert kept.read_bytes() == first


ROW = {"id": "x", "cluster": "x", "prompt": [["user", "x"]], "prompt_tokens": 5, "attempts": [["t", "a", 3, 1, "eos"]]}


class Telling:
    """Toy, which also says how likely its texts are where it is asked."""

    def __init__(self) -> None:
        self.toy = Toy(0.5)
        self.card = self.toy.card

    async def sample(self, prompt, n, start, sampling):
        found = await self.toy.sample(prompt, n, start, sampling)
        assert sampling.logprobs
        told = (replace(a, logprob=-0.1234567891, drawn_logprob=-0.0987654321) for a in found.attempts)
        return replace(found, attempts=tuple(told))

    async def close(self) -> None:
        await self.toy.close()


def test_a_recording_keeps_how_likely_the_texts_are(tmp_path):
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": "x", "prompt": "say x", "reference": "right"}) + "\n")
    kept = tmp_path / "recorded.json.gz"
    asyncio.run(recorder.record(Telling(), str(tmp_path / "t.jsonl"), kept, ledger=tmp_path / "l.sqlite", samples=3))
    (recording,) = read_recordings(kept)
    assert recording.tells
    assert recording.cases[0].problem.sampling.temperature == Sampling().temperature
    told = {(attempt.logprob, attempt.drawn_logprob) for attempt in recording.cases[0].attempts}
    assert told == {(-0.123457, -0.098765)}


def test_a_recording_keeps_the_temperature(tmp_path):
    stratum = {
        "name": "s",
        "pattern": "",
        "temperature": 0.3,
        "items": [{**ROW, "attempts": [["t", "a", 3, 1, "eos", -1.0]]}],
    }
    kept = {"version": 3, "model": "m", "strata": [stratum]}
    (tmp_path / "r.json.gz").write_bytes(gzip.compress(json.dumps(kept).encode()))
    (recording,) = read_recordings(tmp_path / "r.json.gz")
    assert recording.cases[0].problem.sampling.temperature == 0.3
    assert [(a.logprob, a.drawn_logprob) for a in recording.cases[0].attempts] == [(-1.0, None)]


def test_a_recording_of_version_2_tells_no_probabilities(tmp_path):
    row = {
        "id": "x",
        "cluster": "x",
        "prompt": [["user", "x"]],
        "prompt_tokens": 5,
        "attempts": [["t", "a", 3, 1, "eos"]],
    }
    kept = {"version": 2, "model": "m", "strata": [{"name": "s", "pattern": "", "items": [row]}]}
    (tmp_path / "r.json.gz").write_bytes(gzip.compress(json.dumps(kept).encode()))
    (recording,) = read_recordings(tmp_path / "r.json.gz")
    assert not recording.tells
    assert recording.cases[0].attempts == (Attempt(0, "t", "eos", Usage(5, 3), "a"),)


def test_a_recording_of_another_version_is_refused(tmp_path):
    kept = tmp_path / "recorded.json.gz"
    kept.write_bytes(gzip.compress(b'{"version": 0}'))
    with pytest.raises(BadInput, match="record it anew"):
        read_recordings(kept)


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        (recorder.NUMBER, "38 + 25 = 63. The answer is 63.", "63"),
        (recorder.NUMBER, "It is -7", "-7"),
        (recorder.WORD, "The capital of Peru is Lima. The answer is Lima.", "Lima"),
        (BOXED, "words.\nThe answer is \\boxed{12}.", "12"),
    ],
)
def test_the_pattern_that_peers_are_given_finds_the_answer(pattern, text, answer):
    found = re.search(pattern, text)
    assert found is not None
    assert found[1] == answer


@pytest.mark.parametrize(("kind", "items"), [("sums", 320), ("largest", 320), ("capitals", 152)])
def test_the_questions_are_what_make_writes_and_none_is_shown_in_the_prompt(kind, items):
    text = (EXAMPLE / f"{kind}.jsonl").read_text()
    assert text == runpy.run_path(str(EXAMPLE / "make.py"))["rows"](kind)
    rows = [json.loads(line) for line in text.splitlines()]
    assert len({row["prompt"] for row in rows}) == items
    prompt = (EXAMPLE / "task.toml").read_text()
    assert not [row for row in rows if row["prompt"] in prompt]


def test_runs_name_each_system_once():
    labels = [f"{peer.name} {run.label}" for peer, runs in RUNS.items() for run in runs]
    assert len(set(labels)) == len(labels)
    assert {run.n for runs in RUNS.values() for run in runs} <= set(range(SAMPLES + 1))


def ready(peer):
    """Skip the test unless the peer is installed already."""
    if not (peers_folder() / f"{peer.name}-{peer.version}" / "finished").exists():
        pytest.skip(f"{peer.name} is not installed")


@pytest.mark.network
@pytest.mark.parametrize(
    ("peer", "run", "calls"),
    [
        (ITS_HUB, Run("fixed", "SelfConsistency", 8), 8),
        (OPTILLM, Run("fixed", "majority_voting", 8), 1),
        (BESTOFN, Run("fixed", "majority", 8), 1),
        (CRUCIBLE, Run("fixed", "majority", 8), 8),
    ],
)
def test_a_peers_vote_is_ours_but_for_ties_and_is_billed_by_its_calls(peer, run, calls):
    ready(peer)
    recording = record_population(MIDDLING, 60, 0)
    (theirs,) = run_peer(peer, recording, [run])
    ours = spend(make_arm("vote n=8"), "ours", recording.cases)
    clear = [_leads(one.attempts[:8]) for one in recording.cases]
    assert list(theirs.right[clear]) == list(ours.right[clear])
    assert sum(clear) > 30
    assert set(theirs.calls) == {calls}
    assert list(theirs.completion_tokens) == list(ours.completion_tokens)
    assert set(theirs.prompt_tokens) == {calls * PROMPT_TOKENS}


@pytest.mark.network
def test_its_hubs_race_is_billed_until_it_is_called_off():
    ready(ITS_HUB)
    recording = Recording("r", "m", "answer is (.)", (case(*"aaaaaaaa", lengths=(1, 2, 3, 4, 5, 60, 70, 80)),))
    (raced,) = run_peer(ITS_HUB, recording, [Run("adaptive", "BetaSelfConsistency", 8)])
    assert (raced.right[0], raced.calls[0], raced.prompt_tokens[0]) == (1, 8, 800)
    assert raced.completion_tokens[0] == 1 + 2 + 3 + 4 + 4 * 4


@pytest.mark.network
def test_what_goes_by_probabilities_is_given_them_and_left_out_where_there_are_none():
    ready(BESTOFN)
    plain = case("a", "b", "b", name="p")
    sure = replace(plain, attempts=tuple(replace(a, logprob=-3.0 * (a.answer == "b")) for a in plain.attempts))
    (chosen,) = run_peer(BESTOFN, Recording("r", "m", "is (.)", (sure,)), [Run("fixed", "self_certainty", 3)])
    assert (chosen.right[0], chosen.completion_tokens[0]) == (1, 30)
    whole = case(*"ab" * 20)
    assert not [one for one in run_peer(BESTOFN, Recording("r", "m", "is (.)", (whole,))) if "certainty" in one.system]


@pytest.mark.network
def test_zen_routers_gate_takes_a_first_text_that_is_likely_enough():
    ready(ZEN)
    one = case("7", "8", "8", "8", right="7")
    one = replace(one, attempts=tuple(replace(attempt, logprob=-0.05) for attempt in one.attempts))
    runs = [Run("adaptive", "vote", settings={"gate_tail_logprob": gate}) for gate in (-0.08, -0.02)]
    opened, shut = run_peer(ZEN, Recording("r", "m", r"(\d)", (one,)), runs)
    assert (opened.calls[0], opened.right[0], shut.calls[0]) == (1, 1, 4)


@pytest.mark.network
def test_zen_router_stops_at_two_that_agree_and_goes_on_where_they_do_not():
    ready(ZEN)
    cases = (case("7", "7", "8", "8", name="p", right="7"), case("7", "8", "7", "8", name="q", right="8"))
    (routed,) = run_peer(ZEN, Recording("r", "m", r"(\d)", cases), [Run("adaptive", "vote")])
    assert list(routed.calls) == [2, 4]
    assert list(routed.tokens) == [220, 440]
    assert routed.right[0] == 1


@pytest.mark.network
def test_optillms_judge_is_on_the_bill():
    ready(OPTILLM)
    (judged,) = run_peer(OPTILLM, Recording("r", "m", "", (case("b", "b", "a"),)), [Run("verified", "bon", 3)])
    assert (judged.right[0], judged.calls[0]) == (1, 4)
    assert judged.completion_tokens[0] == 30 + 3
    assert judged.prompt_tokens[0] > 100 + 3 * 110


@pytest.mark.network
def test_optillms_code_answers_and_spends_as_its_proxy_does():
    ready(OPTILLM)
    recording = record_population(MIDDLING, 6, 0)
    texts = {
        one.problem.id + "?": [Text(a.text, a.usage.completion_tokens) for a in one.attempts] for one in recording.cases
    }
    (driven,) = run_peer(OPTILLM, recording, [Run("fixed", "majority_voting", 8)])
    truth = Truth(recorded=texts)
    with truth.serving() as root, optillm_serving(install(OPTILLM), root) as proxy:
        for number, one in enumerate(recording.cases):
            told = ask_optillm(proxy, "majority_voting", f"m@run{number}.", f"{one.problem.id}?")
            (call,) = truth.of(f"run{number}.")
            chosen = next(i for i, a in enumerate(one.attempts) if a.text.strip() == told.text.strip())
            assert (one.right[chosen], call.completion_tokens) == (
                driven.right[number], driven.completion_tokens[number],
            )  # fmt: skip


def _leads(attempts):
    """Whether one answer has more votes than any other."""
    votes = Counter(attempt.answer for attempt in attempts).most_common(2)
    return len(votes) == 1 or votes[0][1] > votes[1][1]
