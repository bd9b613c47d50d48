"""Asks of one problem that do not wait for each other: they go out together, and nothing else about them changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest
from mock_endpoint import MockEndpoint, loopback
from toys import PRICES, Ending, attempts, finish, item, problem

from trueup import methods
from trueup.arms import make_arm
from trueup.bench.recorded import Case
from trueup.bench.spent import spend
from trueup.core.asks import All, Check, Sample, ask_all, check, judge, relayed, sample
from trueup.core.errors import AskFailed, BadInput
from trueup.core.ledger import Ledger, read_charges, verify
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Message, Solution, Usage
from trueup.methods.spare import each
from trueup.models import OpenAI
from trueup.plan.replay import replay
from trueup.run import Clerk, Job, Tab, answer, rehearse, run_job

GONE = AskFailed("the endpoint answered 500")
PROMPT = item().problem.prompt


class Timed:
    """Attempts that say their prompt and number, after so many seconds a call; knows how many calls ran at a time.

    A call for the attempt at `fails` brings none, one for the attempt at `breaks` is an error of ours.
    """

    def __init__(self, seconds=lambda call: 0.01, *, billing="timed", fails=None, breaks=None, refuses=False):
        self.seconds, self.fails, self.breaks, self.refuses = seconds, fails, breaks, refuses
        self.calls, self.now, self.most = [], 0, 0
        self.card = ModelCard("timed", "timed:1", billing)

    async def sample(self, prompt, n, start, sampling):
        self.calls.append((prompt[-1].content, start, n))
        if start == self.breaks:
            raise BadInput("no such grammar")
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds(self.calls[-1]))
        finally:
            self.now -= 1
        if self.refuses or start == self.fails:
            return Sampled((), (Waste("refused" if self.refuses else "failed", "down", 3, 0),))
        said = (f"{len(prompt)} {start + i} yes" for i in range(n))
        return Sampled(tuple(Attempt(start + i, text, "eos", Usage(5, 1)) for i, text in enumerate(said)))

    async def close(self):
        pass


def run(tmp_path, model, flow, one=None, name="l"):
    """What a flow comes to, and its tab."""
    one = one or item()
    tab = Tab(Stratum("s", (one,), Ending()), one)

    async def go():
        with Ledger(tmp_path / name) as ledger:
            clerk = Clerk(model, ledger, PRICES)
            try:
                return await answer(flow, tab, clerk)
            finally:
                await clerk.close()

    return asyncio.run(go()), tab


def several(*starts, prompt=PROMPT, kind="sampled"):
    """A flow of one round of asks for an attempt each."""
    return ask_all([Sample(prompt, start=start, kind=kind) for start in starts])


def asking(*names):
    """A flow of a round of asks, each at a prompt of its own."""
    return ask_all([Sample((Message("user", name),), start=place) for place, name in enumerate(names)])


# What methods ask for at once

JUDGED = attempts("a", "b", "c")


@pytest.mark.parametrize(
    ("flow", "first", "starts"),
    [
        (methods.judge_best(problem(), n=3), JUDGED, [0, 1, 2]),
        (methods.generative_verify(problem(), n=3, k=2), JUDGED, [0, 2, 4]),
        (methods.judge_pairwise(problem(), n=3, by="round_robin"), JUDGED, [0, 0, 0]),
        (methods.plan_then_solve(problem(), n=3), JUDGED, [0, 1, 2]),
        (methods.confidence_vote(problem(), n=3), JUDGED, [0, 1, 2]),
        (methods.parallel_revise(problem(), chains=3, rounds=1), JUDGED, [3, 4, 5]),
        (methods.reason_then_constrain(problem(schema='{"type":"string"}'), n=3), JUDGED, [0, 1, 2]),
        (methods.formalise_and_solve(problem(), n=3, constrain=True), JUDGED, [0, 1, 2]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_wait_for_each_other_is_asked_at_once(flow, first, starts):
    next(flow)
    asked = flow.send(first)
    assert isinstance(asked, All)
    assert [ask.start for ask in asked.asks] == starts


def test_programs_are_solved_at_once_and_those_that_have_to_be_are_mended_at_once():
    flow = methods.formalise_and_solve(problem(), n=3, say=False)
    next(flow)
    solves = flow.send(tuple(Attempt(i, "```\nint a in 1..2\n```", "eos", Usage(5, 1)) for i in range(3)))
    assert len(solves.asks) == 3
    mends = flow.send((Solution("unreadable"), Solution("solved", "#### 1", "1"), Solution("unreadable")))
    assert [ask.start for ask in mends.asks] == [3, 5]


def test_beams_and_particles_are_continued_at_once():
    for search in (methods.beam_search(replace(problem(), ratable=True), n=4, width=2),
                   methods.particle_filter(replace(problem(), ratable=True), n=4)):  # fmt: skip
        next(search)
        search.send(tuple(Attempt(i, "abcd"[i], "stop", Usage(5, 1)) for i in range(4)))
        assert isinstance(search.send((0.9, 0.8, 0.5, 0.5)), All)


def chain(*starts):
    """One ask behind the other, and the answers."""
    said = []
    for start in starts:
        (attempt,) = yield from sample(PROMPT, start=start)
        said.append(attempt.answer)
    return said


def test_flows_go_in_step_and_a_single_ask_goes_out_as_itself():
    flow = each([chain(0, 1), chain(2), chain(3, 4, 5)])
    assert [ask.start for ask in next(flow).asks] == [0, 2, 3]
    assert [ask.start for ask in flow.send((attempts("a"), attempts("b"), attempts("c"))).asks] == [1, 4]
    assert flow.send((attempts("d"), attempts("e"))) == Sample(PROMPT, start=5)
    with pytest.raises(StopIteration) as end:
        flow.send(attempts("f"))
    assert end.value.value == [["a", "d"], ["b"], ["c", "e", "f"]]


def test_one_that_fails_among_many_fails_its_own_flow():
    flow = each([chain(0, 1), chain(2), chain(3, 4)])
    next(flow)
    assert flow.send((attempts("a"), GONE, attempts("c"))).asks == (Sample(PROMPT, start=1), Sample(PROMPT, start=4))
    with pytest.raises(StopIteration) as end:
        flow.send((GONE, attempts("d")))
    assert end.value.value == [None, None, ["c", "d"]]
    flow = each([chain(0), chain(1)])
    next(flow)
    with pytest.raises(AskFailed, match="the last"):
        flow.send((GONE, AskFailed("the last")))


def test_flows_that_ask_nothing_are_no_ask():
    assert finish(each([]), []) == ([], [])
    assert finish(each([chain(), chain()]), []) == ([], [[], []])


# Who answers them


def test_a_judgement_of_eight_attempts_takes_the_time_of_two_calls(tmp_path):
    model = Timed()
    found, tab = run(tmp_path, model, methods.judge_best(problem(), n=8))
    assert (model.most, len(model.calls), tab.cost.calls, found.note) == (8, 9, 9, "weight 1 of 8, 1 of 8 votes")


@pytest.mark.parametrize("model", [Timed(billing="cpu"), Timed()], ids=["cpu", "side effects"])
def test_on_this_machines_cores_and_where_an_attempt_may_act_they_go_one_by_one(tmp_path, model):
    acts = model.card.billing != "cpu"
    one = replace(item(), problem=replace(problem(), side_effects=acts))
    replies, _ = run(tmp_path, model, several(0, 1, 2), one)
    assert (model.most, len(model.calls)) == (1, 1 if acts else 3)
    assert [isinstance(reply, AskFailed) for reply in replies] == [False, acts, acts]


def test_an_endpoint_gets_no_more_calls_at_a_time_than_it_has_lanes(tmp_path):
    endpoint = MockEndpoint(pause_seconds=0.01)
    with loopback(endpoint.app) as url:
        model = OpenAI(f"{url}/v1", "m", lanes=2)
        found, _ = run(tmp_path, model, methods.judge_best(problem(), n=8))
    assert found.value is not None and endpoint.most_in_flight == 2


def test_one_that_fails_is_told_in_its_place_and_charged(tmp_path):
    replies, tab = run(tmp_path, Timed(fails=1), asking("a", "b", "c"))
    assert [[a.index for a in r] if isinstance(r, tuple) else str(r) for r in replies] == [[0], "down", [2]]
    assert (tab.cost.calls, tab.cost.prompt_tokens) == (3, 13)
    assert sorted(row.kind for row in read_charges(tmp_path / "l")) == ["failed", "sampled", "sampled"]


def test_what_cannot_be_answered_at_all_stops_the_others(tmp_path):
    model = Timed(lambda call: 60, breaks=2)
    with pytest.raises(BadInput, match="no such grammar"):
        run(tmp_path, model, asking("a", "b", "c"))
    assert [row.kind for row in read_charges(tmp_path / "l")] == ["cancelled"] * 2


def test_who_leaves_cancels_all_of_them_and_they_are_on_the_ledger(tmp_path):
    async def leave():
        with Ledger(tmp_path / "l") as ledger:
            tab = Tab(Stratum("s", (item(),), Ending()), item())
            work = answer(asking("a", "b", "c"), tab, Clerk(Timed(lambda call: 60), ledger, PRICES))
            task = asyncio.create_task(work)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(leave())
    assert [row.kind for row in read_charges(tmp_path / "l")] == ["cancelled"] * 3
    assert verify(tmp_path / "l").discrepancies == ()


def test_flows_of_one_problem_that_ask_the_same_at_once_pay_once(tmp_path):
    model = Timed()
    replies, tab = run(tmp_path, model, several(3, 3, 3))
    assert replies[0] == replies[1] == replies[2]
    assert (model.calls, tab.cost.calls, tab.cost.prompt_tokens) == ([("p", 3, 1)], 1, 5)


def test_attempts_at_one_prompt_are_drawn_side_by_side_once_it_was_answered(tmp_path):
    model = Timed()
    run(tmp_path, model, several(0, 1, 2, 3))
    assert (model.calls[0], len(model.calls), model.most) == (("p", 0, 1), 4, 3)


def test_a_prompt_that_is_refused_is_asked_once(tmp_path):
    model = Timed(refuses=True)
    replies, _ = run(tmp_path, model, several(0, 1, 2, 3))
    assert [str(reply) for reply in replies] == ["down"] * 4 and len(model.calls) == 1


def test_answers_costs_and_the_ledger_do_not_depend_on_who_comes_first(tmp_path):
    told = []
    for seed in range(3):
        model = Timed(lambda call, seed=seed: Random(f"{call}{seed}").random() / 200)
        flow = methods.parallel_revise(problem(), chains=4, rounds=2)
        found, tab = run(tmp_path, model, flow, name=str(seed))
        told.append((found, tab.cost, {row.key: row.reply for row in read_charges(tmp_path / str(seed))}))
    assert told[0] == told[1] == told[2]


def test_what_was_answered_at_once_is_found_again(tmp_path):
    first, second = Timed(), Timed()
    told = [run(tmp_path, model, methods.judge_best(problem(), n=4)) for model in (first, second)]
    assert second.calls == [] and told[0][0] == told[1][0] and told[0][1].cost == told[1][1].cost


def test_a_check_by_the_reference_among_others_marks_the_outcome_an_oracle(tmp_path):
    def graded(one):
        flows = each([check(one, attempts("right")), judge(one.prompt)])
        grades, _ = yield from flows
        return Answer.best(attempts("right"), grades)

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Timed(), ledger, PRICES)
            return await run_job(Job(Stratum("s", (item(),), Ending()), item(), Arm("graded", {}, graded)), clerk)

    outcome = asyncio.run(go())
    assert outcome.is_oracle and outcome.grade.is_right


def test_asks_that_hold_asks_are_answered_alike(tmp_path):
    inner = All((Sample(PROMPT, start=1), Sample(PROMPT, start=2)))
    (alone, pair), tab = run(tmp_path, Timed(), ask_all([Sample(PROMPT), inner]))
    assert [attempt.index for attempt in (*alone, *pair[0], *pair[1])] == [0, 1, 2] and tab.cost.calls == 3


# Who listens in, or answers without a model


def test_who_relays_asks_sees_every_one_by_itself_and_none_that_failed():
    heard = []
    flow = relayed(
        several(0, 1), lambda ask: replace(ask, model="strong"), lambda ask, reply: heard.append((ask.start, reply))
    )
    assert [ask.model for ask in next(flow).asks] == ["strong"] * 2
    with pytest.raises(StopIteration) as end:
        flow.send((GONE, "reply"))
    assert (heard, end.value.value) == ([(1, "reply")], (GONE, "reply"))


def draws(one):
    """Three attempts at a problem, each by an ask of its own."""
    found = yield from each([sample(one.prompt, start=number) for number in range(3)])
    came = [attempt for drawn in found for attempt in drawn or ()]
    return Answer.of(came[-1])


def test_a_pool_is_replayed_to_asks_at_once():
    pool = [None, *attempts("-", "a", "b")[1:]]
    found = replay(draws(problem()), pool, problem())
    assert (found.value.value, found.taken, found.calls) == ("b", 2, 3)
    assert replay(draws(problem()), [None] * 3, problem()).value is None
    with pytest.raises(BadInput, match="asks for 3 attempts, the pool holds 2"):
        replay(draws(problem()), attempts("a", "b"), problem())


def test_a_recording_bills_a_call_for_each_of_them():
    told = spend(Arm("draws", {}, draws), "ours", [Case(problem(), attempts(*"aab"), (True, True, False), 7, "p")])
    assert (told.calls[0], told.prompt_tokens[0], told.completion_tokens[0]) == (3, 21, 24)


def test_a_rehearsal_sees_the_kinds_of_asks_at_once():
    kinds = rehearse(make_arm("parallel_revise chains=2"), problem(checkable=True))
    assert kinds == {Sample, Check}
