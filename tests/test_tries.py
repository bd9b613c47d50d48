"""Calls that failed are found again by the ask they were made for; attempts that tell more answer an ask for less."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
import terminal
from mock_endpoint import MockEndpoint, loopback
from starlette.responses import JSONResponse
from toys import PRICES, Ending, item

from trueup.arms import make_arm, telling
from trueup.bench.toy import Whole
from trueup.core.asks import sample
from trueup.core.cost import CPU, TokenPrice
from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger, read_charges, verify
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Sampling, Usage
from trueup.models import Sealed
from trueup.run import Clerk, Job, Tab, answer, collect, run_job

PAID = replace(PRICES, models={"paid": TokenPrice(Decimal(2), Decimal(8), Decimal(1))})
ARMS = [make_arm(label) for label in ("once", "vote n=4", "early_stop_vote n=6 window=2", "adaptive_vote n=6")]


class Failing:
    """Lacks the attempts of some numbers at what begins with `b`, all at what begins with `a`; tells what that used."""

    def __init__(self, *lacks, why="500", billing="paid", kind="failed", tokens=1000, singly=False):
        self.lacks, self.why, self.kind, self.tokens, self.singly = lacks, why, kind, tokens, singly
        self.card = ModelCard("failing", "failing:1", billing)
        self.asked = []

    async def sample(self, prompt, n, start, sampling):
        self.asked.append((start, n, sampling.logprobs))
        said = prompt[-1].content
        kept = [i for i in range(start, start + n) if said[0] not in "ab" or (said[0] == "b" and i not in self.lacks)]
        attempts = tuple(self._attempt(said, i, kept[0], sampling) for i in kept)
        lost = n - len(kept)
        wastes = [Waste(self.kind, f"{self.why} {place}", self.tokens, 7, 0.5) for place in range(lost)]
        whole = Waste(self.kind, f"{self.why} of {lost}", self.tokens, 7 * lost, 0.5)
        return Sampled(attempts, tuple(wastes) if self.singly else (whole,) * bool(lost))

    def _attempt(self, said, index, first, sampling):
        word = Random(f"{said}{index}").choice(["right", "wrong"])
        logprob = -0.25 if sampling.logprobs else None
        return Attempt(index, word, "stop", Usage(10, 5, 4, decode_seconds=0.25, leads=index == first), logprob=logprob)

    async def close(self):
        pass


def clerked(tmp_path, model, work, *, name="l"):
    """What comes of work with a clerk at this ledger, and how many calls it took."""

    async def go():
        with Ledger(tmp_path / name) as ledger:
            clerk = Clerk(model, ledger, PAID)
            return await work(clerk), clerk.fresh_calls

    return asyncio.run(go())


def studied(tmp_path, model, arms=ARMS, *, name="l", told=False):
    """The costs and failures of all pools and arms on three items, and the calls that were made."""
    stratum = Stratum("s", (item("a"), item("b"), item("c")), Whole())
    stratum = telling(stratum, [make_arm("probability_vote")]) if told else stratum
    (measured,), calls = clerked(tmp_path, model, lambda c: collect([stratum], {"s": arms}, 4, c, lanes=1), name=name)
    outcomes = [(o.arm, o.item.problem.id, o.answer, o.failure, o.cost) for o in measured.outcomes]
    return outcomes, [(pool.attempts, pool.failure) for pool in measured.pools], calls


def sealed(model):
    return Sealed(model.card, all_was_asked=True)


# what failed


@pytest.mark.parametrize("billing", ["paid", CPU])
@pytest.mark.parametrize("singly", [False, True])
@pytest.mark.parametrize("lacks", [(), (1,), (0, 2), range(9)])
def test_where_no_model_is_asked_failed_calls_cost_what_they_did_and_say_why(tmp_path, lacks, singly, billing):
    model = Failing(*lacks, billing=billing, singly=singly)
    outcomes, pools, calls = studied(tmp_path, model)
    assert calls == len(model.asked) > 0
    before = list(read_charges(tmp_path / "l"))
    assert studied(tmp_path, sealed(model)) == (outcomes, pools, 0)
    assert list(read_charges(tmp_path / "l")) == before
    assert {o[3] for o in outcomes if o[1] == "a"} >= {"500 0" if singly else "500 of 1"}
    assert all(o[4].prompt_tokens >= 1000 for o in outcomes if o[1] == "a")


def test_an_ask_costs_its_last_try_and_is_found_so(tmp_path):
    """A run that goes on costs what it had cost in one go; the tries before it are on the ledger alone."""
    for place, model in enumerate((Failing(why="500", tokens=1000), Failing(why="502", tokens=30))):
        here = studied(tmp_path, model)
        assert here[:2] == studied(tmp_path, model, name=f"alone {place}")[:2]
        assert studied(tmp_path, sealed(model))[:2] == here[:2]
    failed = [row.prompt_tokens for row in read_charges(tmp_path / "l") if row.kind == "failed"]
    assert failed == sorted(failed, reverse=True)
    assert failed.count(1000) == failed.count(30) > 0
    assert verify(tmp_path / "l").discrepancies == ()


def test_a_run_that_was_killed_and_goes_on_ends_as_one_that_was_not(tmp_path):
    whole = studied(tmp_path, Failing(1), name="whole")

    async def some(clerk):
        for work in (4, ARMS[0], ARMS[1]):
            await run_job(Job(Stratum("s", (), Whole()), item("a"), work), clerk)

    clerked(tmp_path, Failing(1), some)
    assert studied(tmp_path, Failing(1)) == whole
    assert studied(tmp_path, sealed(Failing()))[:2] == whole[:2]


def test_what_came_in_a_later_try_costs_what_it_costs_alone(tmp_path):
    studied(tmp_path, Failing(0, 1))
    mended = studied(tmp_path, Failing())
    assert mended == (*studied(tmp_path, sealed(Failing()))[:2], mended[2])
    assert mended[0] == studied(tmp_path, Failing(), name="never broken")[0]


def test_of_failures_and_refusals_the_last_word_counts(tmp_path):
    for kind, why in [("failed", "500"), ("refused", "400"), ("failed", "502"), ("refused", "401"), ("failed", "504")]:
        model = Failing(kind=kind, why=why)
        outcomes, _, _ = studied(tmp_path, model, ARMS[:1])
        (told,) = {(o[3], o[4].prompt_tokens) for o in outcomes if o[1] == "a"}
        assert told == ((f"{why} of 1", 1000) if kind == "failed" else (f"{why} of 4", 0))
        assert studied(tmp_path, sealed(model), ARMS[:1])[0] == outcomes


def test_calls_that_failed_one_by_one_are_told_so_where_attempts_are_asked_for_until_they_suffice(tmp_path):
    def work(clerk):
        flow = lambda problem: _until_two(problem)  # noqa: E731
        return run_job(Job(Stratum("s", (), Whole()), item("b"), Arm("m", {}, flow)), clerk)

    model = Failing(0, 2, billing=CPU)
    first, calls = clerked(tmp_path, model, work)
    assert (calls, first.cost.completion_tokens) == (4, 2 * 5 + 2 * 7)
    assert clerked(tmp_path, sealed(model), work) == (first, 0)
    clerked(tmp_path, model, lambda clerk: run_job(Job(Stratum("s", (), Whole()), item("b"), 6), clerk))
    assert clerked(tmp_path, sealed(model), work) == (first, 0), "asked for in one call they cost otherwise"


def _until_two(problem):
    attempts = yield from sample(problem.prompt, 6, until=lambda found: len(found) >= 2)
    return Answer.of(attempts[0])


def test_a_plan_says_what_failed_calls_cost_and_why_as_its_study_did(tmp_path, monkeypatch, capsys):
    rows = [{"id": f"i{i}", "prompt": f"q {i}", "reference": "right"} for i in range(12)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    paid = "\n".join(f"{kind}_per_million = 1000" for kind in ("prompt", "completion"))
    (tmp_path / "prices.toml").write_text(f'date = "2026-01-01"\ncore_hour = 0\n[models.m]\n{paid}\n')
    monkeypatch.chdir(tmp_path)

    def empty(place, body):
        is_lost = body["messages"][-1]["content"] in {f"q {i}" for i in range(6)}
        return (
            JSONResponse({"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 500}})
            if is_lost
            else None
        )

    def told():
        (stratum,) = json.loads((tmp_path / "o" / "study.json").read_text())["strata"].values()
        return [{**point, "cost": {**point["cost"], "seconds": None}} for point in stratum["points"]]

    words = ("--out", "o", "--samples", 4, "--methods", "once,vote n=4", "--prices", "prices.toml")
    with loopback(MockEndpoint(reply=lambda body: "right", refuse=empty).app) as url:
        terminal.trueup(
            monkeypatch, "study", "q.jsonl", "--model", f"openai:{url}/v1#m", "--set", "model.retries=0", *words
        )
    said, study = capsys.readouterr().out, told()
    terminal.trueup(monkeypatch, "plan", "o")
    again = capsys.readouterr().out
    assert told() == study
    assert all("a reply without choices" in point["failure"] and point["cost"]["usd"] > 1.5 for point in study)
    assert "now 0 new model calls" in again
    planned = [line for line in said.splitlines() if "per 1,000 requests" in line]
    assert planned
    assert set(planned) <= set(again.splitlines())


# what was asked for with log-probabilities


def test_attempts_with_log_probabilities_answer_asks_without_as_if_bought_anew(tmp_path):
    studied(tmp_path, Failing(), told=True)
    model = Failing()
    fewer = studied(tmp_path, model, ARMS[:2])
    assert [ask for ask in model.asked if ask[2] or ask[0] == 0] == model.asked, "what failed alone is asked again"
    assert fewer[:2] == studied(tmp_path, Failing(), ARMS[:2], name="anew")[:2]
    assert all(attempt.logprob is None for attempts, _ in fewer[1] for attempt in attempts)
    rows = [row for row in read_charges(tmp_path / "l") if row.kind == "sampled"]
    assert all(row.logprob == -0.25 for row in rows)


def asked(clerk, *asks):
    """What asks for so many attempts, with log-probabilities or without, bring one flow, and what it pays for each."""

    async def go():
        tab, found = Tab(Stratum("s", (), Ending()), item("c")), []
        for n, logprobs in asks:
            attempts = await answer(
                sample(item("c").problem.prompt, n, sampling=Sampling(logprobs=logprobs)), tab, clerk
            )
            found.append(([attempt.logprob for attempt in attempts], tab.cost))
        return found

    return go()


def test_only_what_was_asked_for_neither_way_is_bought(tmp_path):
    clerked(tmp_path, Failing(), lambda clerk: asked(clerk, (4, True)))
    model = Failing()
    found, calls = clerked(tmp_path, model, lambda clerk: asked(clerk, (6, False)))
    assert (model.asked, calls) == ([(4, 2, False)], 1)
    assert found == clerked(tmp_path, Failing(), lambda clerk: asked(clerk, (6, False)), name="anew")[0]
    clerked(tmp_path, model, lambda clerk: asked(clerk, (6, True)))
    assert model.asked[1:] == [(4, 2, True)], "what tells less does not answer an ask for more"


@pytest.mark.parametrize("asks", [((4, True), (4, False)), ((4, False), (4, True)), ((2, True), (4, False), (4, True))])
def test_a_flow_pays_the_same_whatever_the_ledger_has_of_both(tmp_path, asks):
    model = Failing()
    first, _ = clerked(tmp_path, model, lambda clerk: asked(clerk, *asks))
    again, calls = clerked(tmp_path, model, lambda clerk: asked(clerk, *asks))
    assert (again, calls) == (first, 0)
    clerked(tmp_path, model, lambda clerk: asked(clerk, (4, True)), name="other")
    assert clerked(tmp_path, model, lambda clerk: asked(clerk, *asks), name="other")[0] == first
    paid = sum(row.usd for row in read_charges(tmp_path / "l") if row.kind == "sampled")
    assert first[-1][1].usd == paid


def test_a_race_takes_attempts_with_log_probabilities(tmp_path):
    def race(clerk):
        tab = Tab(Stratum("s", (), Whole()), item("c"))
        asks = sample(item("c").problem.prompt, 4, until=lambda found: len(found) >= 2)
        return answer(asks, tab, clerk)

    clerked(tmp_path, Failing(), lambda clerk: asked(clerk, (2, True)))
    attempts, calls = clerked(tmp_path, Failing(), race)
    assert ([attempt.index for attempt in attempts], calls) == ([0, 1], 0)


def test_a_prompt_that_was_answered_with_log_probabilities_is_not_silenced_by_a_refusal(tmp_path):
    clerked(tmp_path, Failing(), lambda clerk: asked(clerk, (2, True)))

    class Strict(Failing):
        async def sample(self, prompt, n, start, sampling):
            reply = await super().sample(prompt, n, start, sampling)
            return Sampled((), (Waste("refused", "400"),)) if start == 2 else reply

    async def work(clerk):
        tab, prompt = Tab(Stratum("s", (), Whole()), item("c")), item("c").problem.prompt
        with pytest.raises(AskFailed, match="400"):
            await answer(sample(prompt, start=2), tab, clerk)
        return await answer(sample(prompt, 2, start=3), tab, clerk)

    attempts, _ = clerked(tmp_path, Strict(), work)
    assert [attempt.index for attempt in attempts] == [3, 4]


def test_an_act_that_told_log_probabilities_is_not_done_again(tmp_path):
    one = item("c")
    one = replace(one, problem=replace(one.problem, side_effects=True))

    def act(stratum):
        model = Failing()
        _, calls = clerked(tmp_path, model, lambda c: collect([stratum], {"s": ARMS[:1]}, 4, c, lanes=1))
        return calls

    stratum = Stratum("s", (one,), Whole())
    assert (act(telling(stratum, [make_arm("probability_vote")])), act(stratum)) == (1, 0)


def test_some_methods_of_a_study_need_no_new_call(tmp_path, monkeypatch, capsys):
    rows = [{"id": f"i{i}", "prompt": f"q {i}", "reference": "right"} for i in range(6)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    words = ("study", "q.jsonl", "--samples", 8, "--out", "o", "--model")
    mock = MockEndpoint(reply=lambda body: "right")
    with loopback(mock.app) as url:
        terminal.trueup(monkeypatch, *words, f"openai:{url}/v1#m")
        assert any(call.body.get("logprobs") for call in mock.calls)
        terminal.trueup(monkeypatch, *words, f"openai:{url}/v1#m", "--methods", "once,vote n=8")
    assert "now 0 new model calls" in capsys.readouterr().out
