"""Where an attempt is an act: one at a time, and none behind one that could be read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import replace

import pytest
from mock_endpoint import MockEndpoint, loopback
from terminal import trueup
from toys import PRICES, Ending, attempts, item

from trueup import arms, catalog, methods
from trueup.cli import serve as cli_serve
from trueup.core.asks import Sample, judge, sample
from trueup.core.errors import AskFailed, BadInput, TrueupError
from trueup.core.ledger import Ledger, read_charges
from trueup.core.outcome import Outcome
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Sampling, Usage
from trueup.models import OpenAI
from trueup.plan.policy import Policy, PolicyStratum
from trueup.run import Clerk, Job, Tab, answer, collect, run_job
from trueup.run.act import Act
from trueup.run.batch import run_batch
from trueup.serve import Desk
from trueup.serve.desk import check_desks

SILENT, SAYS = "", "right"
ROWS = [{"id": f"w{i}", "prompt": f"pay bill {i}", "reference": "right"} for i in range(6)]


class Agent:
    """Says its words in turn, the last one on and on, and notes how many attempts each call is for."""

    def __init__(self, *words, billing="agent", fails=0):
        self.words, self.fails, self.calls = words, fails, []
        self.card = ModelCard("agent", f"agent:{words}", billing)

    async def sample(self, prompt, n, start, sampling):
        self.calls.append((start, n))
        await asyncio.sleep(0)
        if len(self.calls) <= self.fails:
            return Sampled((), (Waste("failed", "the line is dead"),))
        word = self.words[min(len(self.calls), len(self.words)) - 1]
        return Sampled(tuple(Attempt(start + i, word, "stop", Usage(5, 1), logprob=-0.1) for i in range(n)))

    async def close(self):
        pass


class Slow(Agent):
    """Takes its time, and notes the most calls that were on their way at once, for one prompt and for all."""

    def __init__(self, *words):
        super().__init__(*words)
        self.in_flight, self.most, self.most_of_one = Counter(), 0, 0

    async def sample(self, prompt, n, start, sampling):
        self.in_flight[prompt] += 1
        self.most = max(self.most, self.in_flight.total())
        self.most_of_one = max(self.most_of_one, self.in_flight[prompt])
        await asyncio.sleep(0.02)
        try:
            return await super().sample(prompt, n, start, sampling)
        finally:
            self.in_flight[prompt] -= 1


class Fair:
    """A rater that likes everything half."""

    fingerprint = "fair"

    async def rate(self, problem, texts):
        return [0.5] * len(texts)

    async def close(self):
        pass


def acting(name="p", **offers):
    one = item(name)
    return replace(one, problem=replace(one.problem, side_effects=True, schema='{"type":"string"}', **offers))


def stratum(*items, **parts):
    return Stratum("s", items or (acting(),), Ending(), **parts)


def run(tmp_path, work, model, **others):
    async def go():
        with Ledger(tmp_path / "l") as ledger:
            return await work(Clerk(model, ledger, PRICES, others))

    return asyncio.run(go())


def outcome(tmp_path, flow, model):
    """What comes of a method on a problem whose attempts are acts."""
    return run(tmp_path, lambda clerk: run_job(Job(stratum(), acting(), Arm("m", {}, flow)), clerk), model)


def try_method(name, has, words, tmp_path):
    """How many attempts each call was for, and how many acts there were, whatever became of the method."""
    offers = {"checkable": has == "check", "ratable": has == "rater"}
    one = acting(**offers)
    where = stratum(one, check=Ending() if has == "check" else None, rater=Fair() if has == "rater" else None)
    model, arm = Agent(*words), arms.make_arm(name)
    work = (lambda c: run_batch(arm, where, c)) if arm.is_batch else (lambda c: run_job(Job(where, one, arm), c))
    with contextlib.suppress(TrueupError):
        run(tmp_path, work, model, strong=model)
    rows = list(read_charges(tmp_path / "l"))
    judged = sum(row.kind == "judge" for row in rows)
    acts = [row for row in rows if row.kind == "sampled" and row.reply]
    return [n for _, n in model.calls], len(acts), judged


# The contract of every method


@pytest.mark.parametrize("has", ["nothing", "check", "rater"])
@pytest.mark.parametrize("name", sorted(catalog.METHODS))
def test_no_method_draws_two_attempts_at_once_nor_one_behind_an_act(tmp_path, name, has):
    for place, words in enumerate(([SAYS], [SILENT, SAYS], [SILENT])):
        sizes, acts, judged = try_method(name, has, words, tmp_path / str(place))
        assert (set(sizes) <= {1} or judged) and acts <= 1


def test_the_contract_has_something_to_hold_back(tmp_path, monkeypatch):
    """Without the guard most methods draw more; so the contract can fail."""
    monkeypatch.setattr(Act, "begin", lambda *_: None)
    acts = {name: try_method(name, "nothing", [SAYS], tmp_path / name)[1] for name in catalog.METHODS}
    drew = {name for name, n in acts.items() if n > 1}
    assert {"vote", "best_of_n", "revise", "adaptive_vote", "blend_asc", "greedy_allocate"} <= drew
    assert acts["once"] == acts["constrained"] == 1


@pytest.mark.parametrize("name", sorted(arms.ACTS_ONCE))
def test_what_is_said_to_act_once_is_never_held_back(tmp_path, name, monkeypatch):
    def refuse(act, ask, problem):
        assert not act.is_done and ask.n == 1
        act.is_done = True

    monkeypatch.setattr(Act, "begin", refuse)
    words = " ".join([name, *(f"{key}={value}" for key, value in arms.ACTS_ONCE[name].items())])
    for place, said in enumerate(([SAYS], [SILENT, SAYS], [SILENT])):
        try_method(words, "nothing", said, tmp_path / str(place))


# The guard


def test_many_at_once_are_refused_before_a_call(tmp_path):
    for many in (methods.vote, lambda problem: sample_until(problem)):
        model = Agent(SAYS)
        with pytest.raises(BadInput, match="stratum 's' has side effects, and its method asks for 8 attempts at once"):
            outcome(tmp_path, many, model)
        assert model.calls == []


def sample_until(problem):
    found = yield Sample(problem.prompt, 8, until=lambda kept: bool(kept))
    return Answer.of(found[0])


def again_and_again(problem):
    for number in range(3):
        (attempt,) = yield from sample(problem.prompt, start=number)
    return Answer.of(attempt)


def test_another_attempt_behind_an_act_is_a_failure_on_record(tmp_path):
    model = Agent(SAYS)
    found = outcome(tmp_path, again_and_again, model)
    assert isinstance(found, Outcome)
    assert (
        found.failure == "stratum 's' has side effects: an attempt at 'p' has acted, or may have, so no other is drawn"
    )
    assert model.calls == [(0, 1)] and found.cost.completion_tokens == 1


def test_where_nothing_could_be_read_nothing_was_run_and_another_may_follow(tmp_path):
    model = Agent(SILENT, SILENT, SAYS)
    found = outcome(tmp_path, again_and_again, model)
    assert found.failure is None and found.grade.is_right
    assert model.calls == [(0, 1), (1, 1), (2, 1)]


def test_a_judges_texts_are_no_acts(tmp_path):
    def judged(n):
        def flow(problem):
            (attempt,) = yield from sample(problem.prompt)
            yield from judge(problem.prompt, n)
            return Answer.of(attempt)

        return flow

    model = Agent(SAYS)
    assert outcome(tmp_path, judged(2), model).grade.is_right


def test_a_call_that_failed_may_have_acted(tmp_path):
    def stubborn(problem):
        for number in range(2):
            with contextlib.suppress(AskFailed):
                yield from sample(problem.prompt, start=number)
        return Answer("", None)

    async def work(clerk):
        tab, flow = Tab(stratum(), acting()), stubborn(acting().problem)
        ask = next(flow)
        for _ in range(2):
            with pytest.raises(AskFailed) as failed:
                await clerk.answer(ask, tab)
            reasons.append(str(failed.value))
            with contextlib.suppress(StopIteration):
                ask = flow.throw(failed.value)

    reasons, model = [], Agent(SAYS, fails=1)
    run(tmp_path, work, model)
    assert reasons[0] == "the line is dead" and "may have" in reasons[1]
    assert model.calls == [(0, 1)]


def test_two_asks_of_a_batch_for_one_problem_do_not_race(tmp_path):
    def twice(problems):
        replies = yield tuple((0, Sample(problems[0].prompt, start=number)) for number in range(2))
        return [Answer.of(replies[0][0])]

    model = Agent(SAYS)
    (found,) = run(tmp_path, lambda c: run_batch(Arm("twice", {}, twice, is_batch=True), stratum(), c), model)
    assert (found.failure, found.answer.text, model.calls) == (None, SAYS, [(0, 1)])


def test_problems_without_side_effects_are_drawn_as_before():
    act = Act()
    for _ in range(2):
        act.begin(Sample(item().problem.prompt, 8), item().problem)
        act.end(Sample(item().problem.prompt, 8), attempts("a"))
    assert not act.is_done


# Arms beside each other


def studied(tmp_path, model, chosen, *, acts=True):
    """What comes of arms on two items on many lanes, and that it comes to an end."""
    items = [acting("a"), acting("b")] if acts else [item("a"), item("b")]
    one = stratum(*items)
    own = [arms.make_arm(words) for words in chosen]

    async def work(clerk):
        return await asyncio.wait_for(collect([one], {"s": own}, 1, clerk, lanes=16), 10)

    (measured,) = run(tmp_path, work, model, strong=model)
    return measured


def test_arms_act_on_one_problem_in_turn_and_on_others_beside_it(tmp_path):
    model = Slow(SAYS)
    measured = studied(tmp_path, model, ["once", "greedy", "cascade to= side_effects=true", "once model=strong"])
    assert all(found.grade.is_right for found in measured.outcomes)
    assert len(model.calls) == 4 and (model.most_of_one, model.most) == (1, 2)


def test_an_arm_that_asks_again_for_its_problem_waits_for_no_turn_of_its_own(tmp_path):
    """Nothing can be read, so that every cascade goes on to another attempt of the same problem."""
    model = Slow(SILENT)
    studied(tmp_path, model, ["greedy", *(f"cascade to={to} side_effects=true" for to in ("", "strong"))])
    assert len(model.calls) > 4 and model.most_of_one == 1


def test_arms_that_do_not_act_are_asked_beside_each_other(tmp_path):
    model = Slow(SAYS)
    studied(tmp_path, model, ["once", "greedy"], acts=False)
    assert (model.most_of_one, model.most) == (2, 4)


def test_a_call_that_is_cancelled_gives_its_turn_away(tmp_path):
    async def work(clerk):
        first, second = (
            asyncio.create_task(run_job(Job(stratum(), acting(), arms.make_arm(name)), clerk))
            for name in ("once", "greedy")
        )
        await asyncio.sleep(0.01)
        first.cancel()
        return await asyncio.wait_for(second, 10)

    assert run(tmp_path, work, Slow(SAYS)).grade.is_right


# What a study tries


def test_a_pool_is_one_attempt_that_the_arms_share(tmp_path):
    model, places = Agent(SAYS, billing="cpu"), (acting("a"), acting("b"))
    one = stratum(*places)
    own = arms.arms_of(one, 8)
    (measured,) = run(tmp_path, lambda clerk: collect([one], {"s": own}, 8, clerk, lanes=1), model)
    assert [arm.label for arm in own] == ["once", "cascade to= side_effects=True"]
    assert [len(pool.attempts) for pool in measured.pools] == [1, 1]
    assert all(found.grade.is_right for found in measured.outcomes)
    assert model.calls == [(0, 1), (0, 1)]


def test_with_a_solver_it_is_asked_where_nothing_could_be_read():
    class Idle:
        fingerprint = "idle"

    labels = [arm.label for arm in arms.arms_of(stratum(solver=Idle()), 8)]
    assert labels == ["once", "cascade to= side_effects=True", "cascade to=solver side_effects=True", "solve"]


@pytest.mark.parametrize(
    "words",
    ["vote n=8", "vote_calls", "cascade", "cascade side_effects=false", "constrained n=2", "revise", "blend_asc"],
)
def test_an_arm_that_may_act_twice_is_refused_in_one_line(words):
    told = (
        "stratum 's' has side effects, and '.*' may act more than once; "
        "take one of: once, greedy, solve, .*side_effects=true"
    )
    for where, chosen in ((stratum(), ["once", words]), (stratum(recipe={"methods": [words]}), [])):
        with pytest.raises(BadInput, match=told) as refused:
            arms.arms_of(where, 8, chosen)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "words",
    ["once", "once model=strong", "constrained", "vote_calls side_effects=true", "cascade side_effects=yes n=4"],
)
def test_an_arm_that_acts_once_is_taken(words):
    assert [arm.method for arm in arms.arms_of(stratum(), 8, [words])] == [words.split()[0]]


# From the task file to the server


def task(tmp_path, line="side_effects = true"):
    (tmp_path / "bills.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    file = tmp_path / "task.toml"
    file.write_text(f'[[stratum]]\nname = "pay"\nsource = "jsonl:bills.jsonl"\n{line}\n')
    return file


def test_the_key_reaches_the_problem_and_takes_true_or_false_alone(tmp_path):
    def opened(line="", **sets):
        return catalog.open_task(str(task(tmp_path, line)), limit=None, seed=None, sets=sets).strata[0]

    assert [one.problem.side_effects for one in opened("side_effects = true").items] == [True] * 6
    assert not any(one.problem.side_effects for one in opened().items)
    assert all(one.problem.side_effects for one in opened(pay={"side_effects": "true"}).items)
    for line in ("side_effects = 1", 'side_effects = "yes"'):
        with pytest.raises(BadInput, match=r"side_effects is .*; it takes bool"):
            opened(line)


def test_a_study_acts_on_each_item_once_and_its_policy_says_so(tmp_path, monkeypatch, capsys):
    out = tmp_path / "o"
    trueup(monkeypatch, "study", task(tmp_path), "--model", "toy:0.5", "--out", out, "--samples", "8", "--json")
    study = json.loads(capsys.readouterr().out)
    assert [row.kind for row in read_charges(out / "ledger.sqlite")].count("sampled") == len(ROWS)
    assert [row["k"] for row in study["strata"]["pay"]["coverage"]] == [1]
    assert {point["label"] for point in study["strata"]["pay"]["points"]} == {"once", "cascade to= side_effects=True"}
    assert "side_effects = true" in (out / "policy.toml").read_text()


def test_a_study_of_arms_that_act_twice_samples_nothing(tmp_path, monkeypatch, capsys):
    out = tmp_path / "o"
    words = ("study", task(tmp_path), "--model", "toy:0.5", "--out", out, "--methods", "vote n=8")
    trueup(monkeypatch, *words, code=2)
    said = capsys.readouterr().err
    assert "stratum 'pay' has side effects, and 'vote n=8' may act more than once" in said and "Traceback" not in said
    assert not (out / "ledger.sqlite").exists()


@pytest.mark.parametrize("further", [(), ("--with", "strong={spec}")])
def test_a_study_at_an_endpoint_that_repeats_calls_is_refused_before_one(tmp_path, monkeypatch, capsys, further):
    """One that answers slower than its caller waits acts at every try."""
    slow = MockEndpoint(pause_seconds=30)
    with loopback(slow.app) as url:
        spec = f"openai:{url}/v1#m"
        own = ("--model", spec) if not further else ("--model", "toy:0.5")
        words = ["study", task(tmp_path), *own, *(word.format(spec=spec) for word in further)]
        trueup(monkeypatch, *words, "--out", tmp_path / "o", "--record", tmp_path / "tape", code=2)
    name = "strong" if further else "model"
    told = f"'pay' has side effects, and {name} repeats a call that failed and may have acted, retries=5 times at most"
    said = " ".join(capsys.readouterr().err.split())
    assert f"{told}; give --set {name}.retries=0" in said and "Traceback" not in said
    assert slow.most_in_flight == 0 and not (tmp_path / "tape").exists()


def test_without_retries_the_pool_and_an_arm_call_a_slow_endpoint_once_each(tmp_path, monkeypatch):
    slow = MockEndpoint(pause_seconds=0.6)
    with loopback(slow.app) as url:
        words = ["sample", task(tmp_path), "--model", f"openai:{url}/v1#m", "--limit", "1", "--methods", "once"]
        sets = ("--set", "model.retries=0", "--set", "model.timeout=0.2")
        trueup(monkeypatch, *words, *sets, "--out", tmp_path / "o")
        while slow.in_flight:
            time.sleep(0.01)
    kinds = [row.kind for row in read_charges(tmp_path / "o" / "ledger.sqlite")]
    assert len(slow.calls) == len(kinds) == 2 and set(kinds) == {"failed"}


@pytest.mark.parametrize("line", ["", "side_effects = true"])
def test_other_strata_and_models_that_repeat_nothing_are_studied_as_ever(line, tmp_path):
    strata = catalog.open_task(str(task(tmp_path, line)), limit=None, seed=None, sets={}).strata
    model = OpenAI("http://127.0.0.1:9/v1", "m", retries=0 if line else 5)
    assert arms.refuse_repeats(strata, {"model": model, "strong": Agent(SAYS)}) is None


def served(words, recipe):
    return Desk(catalog.open_stratum("pay", {"source": "jsonl:x", **recipe}), arms.make_arm(words), lambda text: ())


def test_what_is_served_acts_once(tmp_path):
    plan = Policy("p", "toy", "toy:1", 0.9, "2026-01-01", {}, (PolicyStratum("pay", "vote", {}, {}),))
    check_desks(plan, {"pay": served("vote n=8", {})})
    check_desks(plan, {"pay": served("once", {"side_effects": True})})
    with pytest.raises(BadInput, match="'pay' has side effects, and 'vote n=8' may act more than once"):
        check_desks(plan, {"pay": served("vote n=8", {"side_effects": True})})
    desk = served("once", {"side_effects": True})
    request = desk.item(acting().problem.prompt, Sampling())
    assert request.problem.side_effects
    tab, model = Tab(desk.stratum, request), Agent(SAYS)
    with pytest.raises(BadInput, match="8 attempts at once"):
        run(tmp_path, lambda clerk: answer(methods.vote(request.problem), tab, clerk), model)
    assert model.calls == []


def test_a_server_of_what_acts_repeats_no_call(tmp_path, monkeypatch):
    """The models that `trueup serve` opens for a policy, with and without side effects in one of its strata."""
    opened = {}
    monkeypatch.setattr(cli_serve, "run_server", lambda app, *rest, **more: None)
    monkeypatch.setattr(cli_serve, "create_app", lambda plan, desks, clerk, **more: opened.update(clerk=clerk))
    for says in (True, False):
        rows = tuple(
            PolicyStratum(name, "once", {}, {"source": "jsonl:x", "verifier": "exact", **more})
            for name, more in (("pay", {"side_effects": True} if says else {}), ("ask", {}))
        )
        spec = "openai:http://127.0.0.1:9/v1#m"
        policy = Policy("p", spec, "m:1", 0.9, "2026-01-01", {}, rows, models={"strong": spec})
        monkeypatch.setattr(cli_serve, "read_policy", lambda path, policy=policy: policy)
        cli_serve.serve(tmp_path / "policy.toml")
        models = (opened["clerk"].model, *opened["clerk"].models.values())
        assert [model.retries for model in models] == ([0, 0] if says else [5, 5])
    assert not hasattr(catalog.open_model("toy:0.5", repeats=False), "retries")


def test_what_needs_a_batch_is_not_served():
    plan = Policy("p", "toy", "toy:1", 0.9, "2026-01-01", {}, (PolicyStratum("pay", "blend_asc", {}, {}),))
    with pytest.raises(BadInput, match="spends one budget on many requests at once, so it cannot be served"):
        check_desks(plan, {"pay": served("blend_asc", {})})
