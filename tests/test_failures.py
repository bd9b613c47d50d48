"""What breaks, hangs or says what is no number is a failure on record, and no failure ends as a plan."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import signal
import sys
import time
from contextlib import suppress
from typing import get_type_hints

import pytest
from studies import measured, study
from toys import PRICES, problem

from trueup import methods
from trueup.bench.toy import Whole, toy_item
from trueup.catalog import names
from trueup.cli import main
from trueup.cli.summary import print_points, print_summary
from trueup.core.asks import check, rate, sample
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger, read_charges, verify
from trueup.core.settings import fit_settings, settings_of
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Grade, Solution
from trueup.models.toy import Toy
from trueup.plan import Wish, choose, measure
from trueup.plan.logged import logged
from trueup.report import render
from trueup.run import Clerk, Job, run_job
from trueup.run.limit import time_limit, within

# Settings are numbers


def float_settings(kind):
    """Every setting of a kind that takes a float, with its owner and what makes it."""
    for name, maker in names(kind).items():
        hints = get_type_hints(maker.__init__ if inspect.isclass(maker) else maker)
        for setting in settings_of(maker):
            if float in getattr(hints.get(setting), "__args__", (hints.get(setting),)):
                yield name, maker, setting


@pytest.mark.parametrize(
    ("kind", "least"),
    [("methods", 18), ("verifiers", 3), ("solvers", 6), ("raters", 1), ("models", 2), ("trainers", 10)],
)
def test_no_setting_of_the_catalog_is_infinite_or_no_number(kind, least):
    if kind == "trainers":
        pytest.importorskip("torch")
    found = list(float_settings(kind))
    assert len(found) >= least
    for name, maker, setting in found:
        for value in ("nan", "inf", "-inf", "1e999", math.nan, math.inf):
            with pytest.raises(BadInput, match=f"^{name} {setting} is -?(nan|inf); give a finite number$"):
                fit_settings(name, maker, {setting: value})
        assert fit_settings(name, maker, {setting: "0.5"}) == {setting: 0.5}


@pytest.mark.parametrize("source", ["quadratic:4 condition=nan", "power_flow:14 load=inf", "power_flow:14 spread=nan"])
def test_no_setting_of_a_source_is_infinite_or_no_number(source):
    kind, _, argument = source.partition(":")
    with pytest.raises(BadInput, match=r"is (nan|inf); give a finite number"):
        names("sources")[kind](argument, stratum="s", limit=1, seed=0)


def test_a_number_too_large_for_a_float_is_named():
    with pytest.raises(BadInput, match="price is 1000"):
        fit_settings("vote", methods.lookahead_vote, {"price": 10**400})


@pytest.mark.parametrize("method", [methods.lookahead_vote, methods.probability_vote])
def test_no_sample_has_a_price_below_nothing(method):
    with pytest.raises(BadInput, match=f"{method.__name__} price is -1; give 0 or more"):
        next(method(problem(), price=-1))
    next(method(problem(), price=0))


# What answers an ask may break


def run(tmp_path, stratum, flow, *, times=1):
    """What became of one item of a stratum under a flow; asked again where the first time is not the last."""

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Toy(1.0), ledger, PRICES)
            return [await run_job(Job(stratum, toy_item(1), Arm("m", {}, flow)), clerk) for _ in range(times)]

    outcomes = asyncio.run(go())
    assert verify(tmp_path / "l").discrepancies == ()
    return outcomes


class Rater:
    """A reward model that gives what it is told to."""

    fingerprint = "told:1"

    def __init__(self, give):
        self.give = give

    async def rate(self, problem, texts):
        return await self.give(texts)

    async def close(self):
        pass


def _rated(problem):
    attempts = yield from sample(problem.prompt, 2)
    yield from rate(problem, [attempt.text for attempt in attempts])
    return Answer.of(attempts[0])


async def raises(texts):
    raise KeyError("no such token\nat line 7")


async def too_few(texts):
    return [0.5]


async def no_number(texts):
    return [0.5, math.nan]


async def beyond(texts):
    return [0.5, 1.5]


async def words(texts):
    return ["good", "bad"]


async def none(texts):
    return None


async def waits(texts):
    await asyncio.sleep(60)


async def computes(texts):
    while True:
        pass


async def catches(texts):
    while True:
        with suppress(Exception):
            time.sleep(0.01)


async def in_a_thread(texts):
    await asyncio.to_thread(time.sleep, 0.4)


@pytest.mark.parametrize(
    ("give", "why"),
    [
        (raises, "KeyError: 'no such token\\nat line 7'"),
        (too_few, "ValueError: it gave 1 ratings for 2 texts"),
        (no_number, "ValueError: it gave nan, which is not between 0 and 1"),
        (beyond, "ValueError: it gave 1.5, which is not between 0 and 1"),
        (words, "TypeError: "),
        (none, "TypeError: "),
        (waits, "TimeoutError: took longer than 0.1 s"),
        (computes, "TimeoutError: took longer than 0.1 s"),
        (catches, "TimeoutError: took longer than 0.1 s"),
        (in_a_thread, "TimeoutError: took longer than 0.1 s"),
    ],
)
def test_a_rater_that_breaks_hangs_or_rates_wrongly_is_a_failure_on_record(tmp_path, monkeypatch, give, why):
    monkeypatch.setattr("trueup.run.clerk.RATER_SECONDS", 0.1)
    (outcome,) = run(tmp_path, Stratum("toy", (), Whole(), rater=Rater(give)), _rated)
    assert outcome.failure.startswith(f"rater 'told:1' could not rate 'right': {why}")
    assert "\n" not in outcome.failure
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["sampled", "sampled", "failed"]


def test_what_the_user_can_mend_in_a_rater_stops_the_study(tmp_path):
    async def misses(texts):
        raise BadInput("rater told: no folder 'x'; name one")

    with pytest.raises(BadInput, match="name one"):
        run(tmp_path, Stratum("toy", (), Whole(), rater=Rater(misses)), _rated)


def test_a_failed_rating_costs_what_it_took_each_time(tmp_path):
    async def slowly(texts):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        return []

    first, second = run(tmp_path, Stratum("toy", (), Whole(), rater=Rater(slowly)), _rated, times=2)
    failed = [c for c in read_charges(tmp_path / "l") if c.kind == "failed"]
    assert len(failed) == 2 and all(c.decode_seconds >= 0.05 for c in failed)
    for outcome, charge in zip((first, second), failed, strict=True):
        assert outcome.failure
        assert outcome.cost.seconds == pytest.approx(charge.decode_seconds, abs=1e-6)
        assert outcome.cost.usd == PRICES.compute(outcome.cost.seconds) > 0


def test_while_a_rater_waits_the_others_go_on_and_its_alarm_is_off():
    async def go():
        async def busy():
            await asyncio.sleep(0.01)
            until = time.perf_counter() + 0.15
            while time.perf_counter() < until:
                pass
            return "others"

        async def slow():
            await asyncio.sleep(0.3)
            return "own"

        return await asyncio.gather(within(5.0, slow()), busy())

    assert asyncio.run(go()) == ["own", "others"]


def test_an_alarm_is_set_only_while_the_limited_code_runs():
    async def go():
        async def hog():
            await asyncio.sleep(0.01)
            until = time.perf_counter() + 0.3
            while time.perf_counter() < until:
                pass

        async def slow():
            await asyncio.sleep(60)

        hogging = asyncio.create_task(hog())
        with pytest.raises(TimeoutError, match=r"took longer than 0\.1 s"):
            await within(0.1, slow())
        await hogging

    asyncio.run(go())


def test_a_cancelled_rating_is_cancelled():
    async def go():
        seen = []

        async def slow():
            try:
                await asyncio.sleep(60)
            finally:
                seen.append("closed")

        task = asyncio.create_task(within(30.0, slow()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen

    assert asyncio.run(go()) == ["closed"]


def spin(seconds, caught):
    """Code that is busy so long, and catches what it can of what would stop it."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        with suppress(caught):
            time.sleep(0.01)
    return "made up"


@pytest.mark.parametrize(("busy", "caught"), [(0.3, Exception), (0.3, BaseException), (9, ())])
def test_code_that_catches_what_would_stop_it_is_late_all_the_same(busy, caught):
    with pytest.raises(TimeoutError, match=r"took longer than 0\.05 s"), time_limit(0.05):
        spin(busy, caught)


def test_code_that_goes_on_all_the_same_is_stopped_again(monkeypatch):
    monkeypatch.setattr("trueup.run.limit.REPEAT_SECONDS", 0.05)
    stops = []

    def goes_on():
        try:
            spin(9, ())
        finally:
            stops.append(1)
            if len(stops) < 3:
                goes_on()

    with pytest.raises(TimeoutError), time_limit(0.05):
        goes_on()
    assert len(stops) == 3


def test_a_limit_within_a_limit_ends_with_it_and_leaves_it_as_it_was():
    def inner(seconds, busy):
        with time_limit(seconds):
            spin(busy, ())

    def outer():
        inner(60, 0)
        with pytest.raises(TimeoutError):
            inner(0.02, 9)
        inner(60, 9)

    began = time.perf_counter()
    with pytest.raises(TimeoutError), time_limit(0.1):
        outer()
    assert time.perf_counter() - began < 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


class Told(Whole):
    """Reads or grades as it is told to."""

    name = "told"

    def __init__(self, *, read=lambda text: text, check=lambda answer: Grade(1.0)):
        self.read, self.grade = read, check

    def check(self, answer, problem, reference):
        return self.grade(answer)


def slowly(give):
    def work(text):
        time.sleep(0.03)
        return give

    return work


@pytest.mark.parametrize("verifier", [Told(read=slowly("a")), Told(check=slowly(Grade(1.0)))])
def test_a_limit_of_time_is_for_one_answer_however_many_there_are(tmp_path, monkeypatch, verifier):
    monkeypatch.setattr("trueup.run.clerk.VERIFIER_SECONDS", 0.1)
    (outcome,) = run(tmp_path, Stratum("toy", (), verifier), lambda problem: methods.best_of_n(problem, n=12))
    assert outcome.failure is None and outcome.grade.is_right


def test_an_answer_that_is_no_text_is_a_failure_on_record(tmp_path):
    (outcome,) = run(tmp_path, Stratum("toy", (), Told(read=lambda text: 5)), methods.once)
    assert outcome.failure == "verifier 'told' could not read 'right': TypeError: it gave 5, which is no text"


class Giving(Whole):
    """A check that gives what it is told to."""

    name = "giving"

    def __init__(self, grade):
        self.grade = grade

    def check(self, answer, problem, reference):
        return self.grade


def _checked(problem):
    attempts = yield from sample(problem.prompt, 1)
    yield from check(problem, attempts)
    return Answer.of(attempts[0])


@pytest.mark.parametrize(
    ("grade", "why"),
    [
        (None, "TypeError: it gave None, which is no grade"),
        (1.0, "TypeError: it gave 1.0, which is no grade"),
        (Grade(math.nan), "ValueError: it gave nan, which is not between 0 and 1"),
        (Grade(math.inf), "ValueError: it gave inf, which is not between 0 and 1"),
        (Grade(None), "TypeError: "),
    ],
)
def test_a_check_that_gives_no_grade_is_a_failure_on_record(tmp_path, grade, why):
    (outcome,) = run(tmp_path, Stratum("toy", (), Whole(), Giving(grade)), _checked)
    assert outcome.failure.startswith(f"verifier 'giving' could not check 'right': {why}")
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["sampled", "failed"]
    (graded,) = run(tmp_path, Stratum("toy", (), Giving(grade)), methods.once)
    assert graded.failure == outcome.failure
    assert [c.kind for c in read_charges(tmp_path / "l")] == ["sampled", "failed", "failed"]


class Falling:
    """A solver with a bug."""

    fingerprint = "falling:1"

    async def solve(self, problem) -> Solution:
        raise RuntimeError("no memory")

    async def close(self):
        pass


class Forgetful(Falling):
    """A solver that does not say what it found."""

    async def solve(self, problem) -> Solution:
        return None


class Hanging(Falling):
    """A solver that waits for what never comes."""

    async def solve(self, problem) -> Solution:
        await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("solver", "told"),
    [
        (Falling(), "RuntimeError: no memory"),
        (Forgetful(), "TypeError: it gave None, not a Solution"),
        (Hanging(), "TimeoutError: took longer than 0.1 s"),
    ],
)
def test_a_solver_that_breaks_or_hangs_is_a_failure_on_record(tmp_path, monkeypatch, solver, told):
    monkeypatch.setattr("trueup.run.clerk.SOLVER_SECONDS", 0.1)
    (outcome,) = run(tmp_path, Stratum("toy", (), Whole(), solver=solver), methods.solve)
    assert "solver 'falling:1' could not solve" in outcome.failure and told in outcome.failure
    assert [(c.kind, c.source) for c in read_charges(tmp_path / "l")] == [("failed", "falling:1")]


# No failure ends as a plan

POOLS = ["r" * 4] * 10
HALF = "rrrrrwwwww"


def test_where_every_method_failed_there_is_no_plan_and_the_first_reason_is_told():
    broken = measured(POOLS, {"constrained": "!" * 10, "vote n=4": "!" * 10})
    with pytest.raises(
        BadInput, match=r"^no plan: constrained failed on every item \(n = 5\): 500 from upstream; mend that"
    ):
        study(broken)
    with pytest.raises(BadInput, match="and no other method can be deployed"):
        study(measured(POOLS, {"constrained": "!" * 10, "best_of_n n=8": "r" * 10}, oracles=["best_of_n n=8"]))


def test_a_study_in_which_all_fails_says_why_and_writes_no_policy(tmp_path, monkeypatch, capsys):
    rows = [{"id": f"w{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = '[[stratum]]\nname = "s"\nsource = "jsonl:rows.jsonl"\nverifier = "gym"\n'
    (tmp_path / "task.toml").write_text(task)
    monkeypatch.setattr(
        sys, "argv", ["trueup", "study", str(tmp_path), "--model", "toy:0.5", "--out", str(tmp_path / "o")]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("error: no plan: once failed on every item (n = 1): verifier 'gym' could not check")
    assert not (tmp_path / "o" / "policy.toml").exists()


def test_what_failed_on_every_item_is_not_chosen_though_nothing_else_is_ever_right():
    points = measure(measured(POOLS, {"constrained": "!" * 10, "once": "w" * 10}, usd={"constrained": "0"}))
    assert [point.is_deployable for point in points] == [False, True]
    assert choose(points, Wish()).label == "once"
    one_answer = measure(measured(POOLS, {"constrained": "!" * 9 + "w", "once": "w" * 10}, usd={"constrained": "0"}))
    assert choose(one_answer, Wish()).label == "constrained"


def test_a_method_does_not_look_cheaper_for_its_failures():
    steady, flaky = measure(measured(POOLS, {"once": "r" * 10, "vote n=4": "!!" + "r" * 8}, usd={"vote n=4": "2"}))
    assert (steady.cost.usd, flaky.cost.usd) == (1.0, 2.5), "ten requests are paid, and eight answers had"


def test_what_failed_on_every_item_breaks_even_with_nothing():
    arms = {"once": "!" * 10, "constrained": "!" * 10, "vote n=4": HALF}
    whole = study(measured(POOLS, arms, usd={"once": "0", "constrained": "0", "vote n=4": "0.01"}))
    rows = whole["plan"]["breakeven"]
    assert rows and not any({"once", "constrained"} & {row["a"], row["b"]} for row in rows)
    assert not any("as `once` does now" in row["note"] for row in rows)
    assert whole["plan"]["choices"]["s"]["label"] == "vote n=4"


def test_a_solver_that_always_failed_is_no_evidence_that_a_solver_does_not_help():
    told = study(measured(["wwww"] * 10, {"once": "w" * 10, "solve": "!" * 10}))["strata"]["s"]["diagnosis"]
    (row,) = [row for row in told["evidence"] if row["test"] == "structural"]
    assert row["note"].startswith("no solver was tried")


def test_bins_and_routers_are_not_made_of_what_always_failed():
    arms = measured(POOLS, {"once": HALF, "constrained": "!" * 10})
    assert logged(arms).names == ("once",)
    with pytest.raises(BadInput, match="'constrained' failed on every item"):
        logged(arms, ["once", "constrained"])
    with pytest.raises(BadInput, match="has no method that can be deployed"):
        logged(measured(POOLS, {"constrained": "!" * 10}))


def partly_failed():
    whole = study(measured(POOLS, {"once": HALF, "constrained": "!" * 10, "vote n=4": "!rrrrrrrrr"}))
    whole["strata"]["s"]["unsampled"] = {"items": 2, "failure": "verifier 'x' could not check 'y'"}
    return whole | {"left_out": {}, "models": {}}


LINES = (
    "s, samples: 2 of 10 failed: verifier 'x' could not check 'y'",
    "s, constrained: 10 of 10 failed: 500 from upstream",
    "s, vote n=4: 1 of 10 failed: 500 from upstream",
)


def test_the_summary_has_a_line_for_every_method_that_failed(capsys, tmp_path):
    whole = partly_failed()
    print_summary(whole, tmp_path, 0, 1.0)
    said = capsys.readouterr().out
    print_points(whole["strata"])
    again = capsys.readouterr().out
    assert all(line in said and line in again for line in LINES)
    assert "s, once" not in said + again
    assert "failed on every item" in again


def test_a_study_says_how_many_items_could_not_be_sampled():
    whole = study(measured(POOLS, {"once": HALF}))
    assert whole["strata"]["s"]["unsampled"] == {"items": 0, "failure": ""}
    assert json.loads(json.dumps(whole)) == whole


def test_the_report_tells_of_failures_and_draws_no_frontier_through_them():
    drawn = render(partly_failed())
    assert "constrained: 10 of 10 failed: 500 from upstream" in drawn
    (dot,) = [part for part in drawn.split("<g ") if 'data-label="constrained"' in part and "data-accuracy" in part]
    assert 'class="point oracle"' in dot
