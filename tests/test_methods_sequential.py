"""Methods of more than one turn, one conversation at a time, and in closed form on models of known accuracy."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import blake2b
from math import comb

import pytest
from toys import PRICES, attempts, finish, problem, singly

from trueup.bench.toy import Whole, toy_item
from trueup.core.asks import All, Check, Sample
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.roles import ModelCard, Sampled
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Attempt, Grade, Message, Sampling, Usage
from trueup.methods.budget_forcing import budget_forcing
from trueup.methods.chain_of_verification import APART, CONCLUDE, DOUBT, FINDINGS, chain_of_verification, read_questions
from trueup.methods.mixture_of_agents import MERGE, mixture_of_agents
from trueup.methods.parallel_revise import parallel_revise
from trueup.methods.plan_then_solve import PLAN, SOLVE, plan_then_solve
from trueup.methods.reread import reread
from trueup.methods.revise import REQUEST, revise
from trueup.models import Toy
from trueup.run import Clerk, Job, run_jobs

WRONG, RIGHT = Grade(0.0), Grade(1.0)


def said(text, answer=None, *, finish="stop", tokens=1, index=0):
    """What one ask for one text brings."""
    return (Attempt(index, text, finish, Usage(5, tokens), answer),)


def spoken(prompt):
    """A chat as one can read it."""
    return [f"{message.role}: {message.content}" for message in prompt]


# reread


def test_reread_says_the_question_twice_in_the_users_message():
    asks, answer = finish(reread(problem("How many?"), n=2), [attempts("4", "4")])
    prompt = (Message("user", "How many?\n\nRead the question again: How many?"),)
    assert asks == [Sample(prompt, 2)]
    assert (answer.value, answer.note) == ("4", "2 of 2 votes")


def test_reread_repeats_the_last_question_only_and_leaves_the_rest_of_the_chat():
    chat = (Message("system", "s"), Message("user", "a?"), Message("assistant", "1"), Message("user", "b?"))
    (ask,), _ = finish(reread(replace(problem(), prompt=chat)), [attempts("4")])
    assert ask.prompt[:3] == chat[:3]
    assert ask.prompt[3] == Message("user", "b?\n\nRead the question again: b?")


def test_reread_refuses_a_prompt_without_a_users_message():
    with pytest.raises(BadInput, match="no user's message, only system"):
        next(reread(replace(problem(), prompt=(Message("system", "s"),))))


# plan_then_solve


def test_plan_then_solve_solves_once_by_each_plan_and_votes():
    plans = (*said("add"), *said("multiply", index=1))
    flow = plan_then_solve(problem("2?"), n=2)
    asks, answer = finish(flow, [plans, said("<5>", "5"), said("<4>", None)])
    wish = Message("user", f"2?\n\n{PLAN}")
    assert asks[0] == Sample((wish,), 2, 0, Sampling(), "judge")
    assert asks[1] == Sample((wish, Message("assistant", "add"), Message("user", SOLVE)), 1, 0)
    assert asks[2] == Sample((wish, Message("assistant", "multiply"), Message("user", SOLVE)), 1, 1)
    assert (answer.text, answer.value) == ("<5>", "5")


def test_a_stop_string_ends_solutions_and_no_plan():
    ending = replace(problem("2?"), sampling=Sampling(stop=("\n",)))
    asks, _ = finish(plan_then_solve(ending, n=1), [said("add\nthen halve"), said("<5>", "5")])
    assert [(ask.sampling or ending.sampling).stop for ask in asks] == [(), ("\n",)]


def test_plans_in_the_same_words_still_bring_independent_solutions_and_lost_plans_are_not_missed():
    plans = (*said("add", index=1), *said("add", index=3))
    asks, answer = finish(plan_then_solve(problem(), n=4), [plans, attempts("5"), attempts("5")])
    assert [ask.start for ask in asks[1:]] == [1, 3]
    assert answer.note == "2 of 2 votes"


def test_a_plan_is_free_where_the_answer_is_held_to_a_schema():
    held = replace(problem(), sampling=Sampling(schema="{}"))
    asks, _ = finish(plan_then_solve(held, n=1), [said("add"), attempts("5")])
    assert (asks[0].sampling.schema, asks[1].sampling) == (None, None)


# chain_of_verification

DRAFT, ASKED = said("It is 4.", "4"), said("1. Is 2+2 four?\n2. Is 2+2 four?\n- Is it even?\nThank you.")


def test_chain_of_verification_answers_its_questions_without_the_draft():
    replies = [DRAFT, ASKED, said(" Yes. "), said("No."), said("It is 5.", "5")]
    asks, answer = finish(chain_of_verification(problem("2+2?"), questions=3), replies)
    user, draft = Message("user", "2+2?"), Message("assistant", "It is 4.")
    assert asks[0] == Sample((user,))
    assert asks[1] == Sample((user, draft, Message("user", DOUBT.format(n=3))), 1, 0, Sampling(), "judge")
    apart = [Message("user", "2+2?\n\n" + APART.format(question=q)) for q in ("Is 2+2 four?", "Is it even?")]
    assert asks[2:4] == [Sample((message,), 1, 0, Sampling(), "judge") for message in apart]
    found = FINDINGS.format(pairs="Is 2+2 four?\nYes.\n\nIs it even?\nNo.") + CONCLUDE
    assert asks[4] == Sample((user, draft, Message("user", found)))
    assert (answer.text, answer.value) == ("It is 5.", "5")


def test_a_stop_string_ends_draft_and_final_and_nothing_that_is_asked_between():
    ending = replace(problem("2?"), sampling=Sampling(stop=("\n",)))
    replies = [said("<4>", "4"), said("Is it?\nWhy?"), said("Yes."), said("So."), said("<4>", "4")]
    asks, _ = finish(chain_of_verification(ending), replies)
    assert [(ask.sampling or ending.sampling).stop for ask in asks] == [("\n",), (), (), (), ("\n",)]


def test_chain_of_verification_keeps_the_draft_where_the_final_cannot_be_read():
    replies = [DRAFT, ASKED, said("Yes."), said("oh")]
    _, answer = finish(chain_of_verification(problem(), questions=1), replies)
    assert (answer.value, answer.note) == ("4", "the final could not be read")


def test_chain_of_verification_without_a_question_is_its_draft():
    asks, answer = finish(chain_of_verification(problem()), [DRAFT, said("All is well.")])
    assert (len(asks), answer.value) == (2, "4")


def test_chain_of_verification_stops_at_a_draft_that_passes_the_check():
    asks, answer = finish(chain_of_verification(problem(checkable=True)), [DRAFT, (RIGHT,)])
    assert [type(ask) for ask in asks] == [Sample, Check]
    assert answer.value == "4"


@pytest.mark.parametrize(("grades", "value"), [((Grade(0.6), Grade(0.1)), "4"), ((Grade(0.1), Grade(0.6)), "5")])
def test_chain_of_verification_lets_the_check_pick_where_there_is_one(grades, value):
    replies = [DRAFT, grades[:1], ASKED, said("Yes."), attempts("5"), grades[1:]]
    asks, answer = finish(chain_of_verification(problem(checkable=True), questions=1), replies)
    assert [a.answer for ask in asks if isinstance(ask, Check) for a in ask.attempts] == ["4", "5"]
    assert answer.value == value


def test_questions_are_read_without_thinking_bullets_and_repetitions():
    text = "<think>Is it so?</think>Here they are:\n(1) Is a?\n* Is b?\n3: 12 or 13?\n\nIs a?"
    assert read_questions(text, 9) == ["Is a?", "Is b?", "12 or 13?"]
    assert read_questions(text, 1) == ["Is a?"]


def test_chain_of_verification_refuses_no_questions():
    with pytest.raises(BadInput, match="questions is 0"):
        next(chain_of_verification(problem(), questions=0))


# mixture_of_agents


def test_mixture_of_agents_shows_distinct_proposals_to_the_aggregator():
    asks, answer = finish(mixture_of_agents(problem("q"), n=3), [attempts("3", "4", "3"), attempts("5")])
    assert asks[0] == Sample(problem("q").prompt, 3)
    assert asks[1] == Sample((Message("user", f"q\n\n{MERGE}\n\nProposal 1:\n<3>\n\nProposal 2:\n<4>"),), 1, 0)
    assert answer.value == "5"


def test_mixture_of_agents_numbers_go_on_from_layer_to_layer_so_that_no_draw_repeats():
    replies = [attempts("3", "4"), attempts("3", "4"), attempts("3", "4"), attempts("5")]
    asks, _ = finish(mixture_of_agents(problem(), n=2, layers=3), replies)
    assert [(ask.n, ask.start) for ask in asks] == [(2, 0), (2, 0), (2, 2), (1, 4)]
    assert asks[1].prompt == asks[2].prompt == asks[3].prompt


def test_mixture_of_agents_falls_back_to_the_vote_where_the_final_cannot_be_read():
    replies = [attempts("3", None, "4"), attempts("4", None), attempts(None)]
    _, answer = finish(mixture_of_agents(problem(), n=3, layers=2), replies)
    assert (answer.value, answer.note) == ("4", "2 of 6 votes")


def test_mixture_of_agents_takes_proposals_of_further_models_in_turn_and_the_last_word_itself():
    replies = [attempts("a0", "a1"), attempts("b0"), attempts("c0", "c1"), attempts("d0"), attempts("e")]
    asks, answer = finish(mixture_of_agents(problem("q"), n=3, layers=2, models="strong+weak"), replies)
    assert [(ask.model, ask.n, ask.start) for ask in asks] == [
        ("strong", 2, 0), ("weak", 1, 0), ("strong", 2, 0), ("weak", 1, 0), ("", 1, 3),
    ]  # fmt: skip
    assert asks[0] == Sample(problem("q").prompt, 2, model="strong")
    shown = "Proposal 1:\n<a0>\n\nProposal 2:\n<b0>\n\nProposal 3:\n<a1>"
    assert asks[2].prompt == asks[3].prompt == (Message("user", f"q\n\n{MERGE}\n\n{shown}"),)
    assert asks[4].prompt[0].content.endswith("Proposal 1:\n<c0>\n\nProposal 2:\n<d0>\n\nProposal 3:\n<c1>")
    assert answer.value == "e"


def test_mixture_of_agents_takes_the_same_models_with_commas():
    both = [next(mixture_of_agents(problem(), models=models)) for models in ("a,b", "a+b")]
    assert both[0] == both[1] == All(tuple(Sample(problem().prompt, 2, model=model) for model in "ab"))


@pytest.mark.parametrize("models", ["a+a", "a+b+c", "a+", "a,,b"])
def test_mixture_of_agents_refuses_models_that_cannot_each_propose(models):
    with pytest.raises(BadInput, match="name each once, at most n of them"):
        next(mixture_of_agents(problem(), n=2, models=models))


def test_mixture_of_agents_refuses_no_layers():
    with pytest.raises(BadInput, match="layers is 0"):
        next(mixture_of_agents(problem(), layers=0))


# budget_forcing


def test_budget_forcing_makes_a_turn_go_on_and_returns_all_of_it():
    replies = [said("It is 4.", "4", tokens=30), said(", no, 5.", "5", tokens=20)]
    asks, answer = finish(budget_forcing(problem("q"), tokens=100), replies)
    assert spoken(asks[0].prompt) == ["user: q"]
    assert spoken(asks[1].prompt) == ["user: q", "assistant: It is 4.\n\nWait"]
    assert [ask.sampling.max_tokens for ask in asks] == [100, 70]
    assert [ask.sampling.stop for ask in asks] == [("</think>",), ()]
    assert (answer.text, answer.value) == ("It is 4.\n\nWait, no, 5.", "5")
    assert answer.note == "waited 1 times, answered by itself"


def test_budget_forcing_forces_the_answer_when_the_budget_is_spent():
    replies = [said("Let me", "1", finish="length", tokens=9), said(" 4.", "4")]
    asks, answer = finish(budget_forcing(problem("q"), tokens=9, waits=3), replies)
    assert spoken(asks[1].prompt)[1] == "assistant: Let me\n\nFinal answer:"
    assert asks[1].sampling is None
    assert (answer.text, answer.value) == ("Let me\n\nFinal answer: 4.", "4")
    assert answer.note == "waited 0 times, answer forced"


def test_budget_forcing_closes_the_thinking_before_the_answer():
    replies = [said("<think>Let me", finish="length", tokens=9), said(" 4.", "4")]
    asks, _ = finish(budget_forcing(problem("q"), cue="\nSo:"), replies)
    assert asks[1].prompt[-1].content == "<think>Let me\n</think>\nSo:"


def test_budget_forcing_counts_what_nobody_counted_as_all_that_was_left():
    asks, answer = finish(budget_forcing(problem(), waits=2), [said("Let me", tokens=None), said(" 4.", "4")])
    assert (len(asks), answer.value) == (2, "4")


def test_budget_forcing_gives_the_cue_to_a_turn_that_ended_with_nothing_to_read():
    replies = [said("Hm."), said(" 4.", "4")]
    asks, answer = finish(budget_forcing(problem(), waits=0), replies)
    assert asks[1].prompt[-1].content == "Hm.\n\nFinal answer:"
    assert answer.value == "4"


def test_budget_forcing_binds_the_answer_alone_to_a_schema():
    held = replace(problem(), sampling=Sampling(schema="{}"))
    asks, _ = finish(budget_forcing(held, waits=0), [said("Hm."), said("4", "4")])
    assert (asks[0].sampling.schema, asks[1].sampling) == (None, None)


def test_budget_forcing_without_waits_is_one_plain_attempt():
    asks, answer = finish(budget_forcing(problem(), waits=0, tokens=256), [attempts("4")])
    assert asks == [Sample(problem().prompt, 1, 0, Sampling())]
    assert (answer.text, answer.value) == ("<4>", "4")


def test_a_turn_that_the_problem_has_begun_is_gone_on_with():
    begun = replace(problem("q"), prompt=(Message("user", "q"), Message("assistant", "So ")))
    asks, answer = finish(budget_forcing(begun), [said("4."), said(" it is 4.", "4")])
    assert spoken(asks[1].prompt) == ["user: q", "assistant: So 4.\n\nWait"]
    assert answer.text == "So 4.\n\nWait it is 4."


@pytest.mark.parametrize(("setting", "value"), [("tokens", 0), ("waits", -1)])
def test_budget_forcing_refuses_settings_out_of_range(setting, value):
    with pytest.raises(BadInput, match=f"{setting} is {value}"):
        next(budget_forcing(problem(), **{setting: value}))


# parallel_revise


def test_parallel_revise_revises_each_chain_and_votes_over_all_links():
    replies = [attempts("a", "b"), attempts("c"), attempts("b"), attempts("a"), attempts("b")]
    asks, answer = finish(parallel_revise(problem("q"), chains=2, rounds=2), replies)
    assert asks[0] == Sample(problem("q").prompt, 2)
    assert [(ask.n, ask.start) for ask in asks[1:]] == [(1, 2), (1, 3), (1, 4), (1, 5)]
    user, more = "user: q", f"user: {REQUEST}"
    assert spoken(asks[1].prompt) == [user, "assistant: <a>", more]
    assert spoken(asks[4].prompt) == [user, "assistant: <b>", more, "assistant: <b>", more]
    assert (answer.value, answer.note) == ("b", "3 of 6 votes")


def test_parallel_revise_keeps_the_last_four_links_in_the_prompt():
    asks, _ = finish(parallel_revise(problem("q"), chains=1, rounds=6), [attempts(a) for a in "abcdefg"])
    links = [m.content for m in asks[6].prompt if m.role == "assistant"]
    assert links == ["<c>", "<d>", "<e>", "<f>"]


def test_one_chain_asks_as_revise_does():
    replies = [attempts(a) for a in "abac"]
    alone = finish(parallel_revise(problem(), chains=1, rounds=3), replies)
    assert alone == finish(revise(problem(), rounds=3), replies)


def test_parallel_revise_ends_with_the_round_in_which_a_link_passes():
    replies = [attempts("a", "b"), (WRONG, WRONG), attempts("c"), attempts("d"), (WRONG, RIGHT)]
    asks, answer = finish(parallel_revise(problem(checkable=True), chains=2, rounds=3), replies)
    assert [type(ask) for ask in asks] == [Sample, Check, Sample, Sample, Check]
    assert answer.value == "d"


def test_parallel_revise_picks_the_best_of_each_chain_and_lets_chains_vote_among_equals():
    drafts, grades = attempts("a", "b", "b"), (Grade(0.5), Grade(0.2), Grade(0.2))
    later = [attempts("b"), attempts("c"), attempts("c"), (Grade(0.2), Grade(0.5), Grade(0.5))]
    flow = parallel_revise(problem(checkable=True), chains=3, rounds=1)
    _, answer = finish(flow, [drafts, grades, *later])
    assert answer.value == "c"


def test_parallel_revise_goes_on_with_the_chains_that_came():
    came = attempts("a", "b", "c")[1:]
    asks, answer = finish(parallel_revise(problem(), chains=4, rounds=1), [came, attempts("b"), attempts(None)])
    assert [ask.start for ask in asks[1:]] == [5, 6]
    assert (answer.value, answer.note) == ("b", "2 of 4 votes")


def test_parallel_revise_refuses_no_chains():
    with pytest.raises(BadInput, match="chains is 0"):
        next(parallel_revise(problem(), chains=0))


# all of them

FLOWS = [
    (reread, {"n": 3}),
    (plan_then_solve, {"n": 3}),
    (chain_of_verification, {}),
    (mixture_of_agents, {"n": 3, "layers": 2}),
    (budget_forcing, {"waits": 0}),
    (parallel_revise, {"chains": 2, "rounds": 2}),
]


class Coin:
    """Implements Model: `right` with probability p, drawn anew for every chat and number; else a wrong answer."""

    def __init__(self, p):
        self.p = p
        self.card = ModelCard("coin", f"coin:{p}", "cpu", parameters=1000, layers=1, width=8)

    async def sample(self, prompt, n, start, sampling):
        return Sampled(tuple(self._attempt(prompt, index, index == start) for index in range(start, start + n)))

    async def close(self):
        pass

    def _attempt(self, prompt, index, leads):
        draw = int.from_bytes(blake2b(f"{index}{prompt}".encode(), digest_size=8).digest())
        text = "right" if draw < self.p * 2**64 else f"wrong-{draw % 10**6}"
        return Attempt(index, text, "stop", Usage(8, 8, 0, leads=leads))


def _accuracy(tmp_path, flow, settings, model, items, *, checkable=False):
    async def run():
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            clerk = Clerk(model, ledger, PRICES)
            stratum = Stratum("toy", (), Whole(), Whole())
            arm = Arm(flow.__name__, settings, lambda p: flow(replace(p, checkable=checkable), **settings))
            jobs = (Job(stratum, toy_item(i), arm) for i in range(items))
            return [o async for o in run_jobs(jobs, clerk, lanes=256) if isinstance(o, Outcome)]

    outcomes = asyncio.run(run())
    assert all(o.failure is None for o in outcomes)
    return sum(o.grade.is_right for o in outcomes) / items


@pytest.mark.parametrize("checkable", [False, True])
@pytest.mark.parametrize(("flow", "settings"), FLOWS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_model_that_is_always_right_stays_right(tmp_path, flow, settings, checkable):
    assert _accuracy(tmp_path, flow, settings, Toy(1.0), 4, checkable=checkable) == 1


@pytest.mark.parametrize(("flow", "settings"), FLOWS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_cannot_be_read_never_becomes_an_answer(flow, settings):
    assert _value_of_nothing(flow(problem(), **settings)) is None


def _value_of_nothing(started):
    """What a flow makes of attempts that all cannot be read."""
    started, reply = singly(started), None
    while True:
        try:
            ask = started.send(reply)
        except StopIteration as end:
            return end.value.value
        reply = attempts(*[None] * ask.n)


def _voted(p, n):
    """The accuracy of a vote whose wrong answers never agree."""
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(2, n + 1)) + p * (1 - p) ** (n - 1)


P, ITEMS = 0.3, 2000
WANTED = [
    (reread, {"n": 3}, False, _voted(P, 3)),
    (plan_then_solve, {"n": 3}, False, _voted(P, 3)),
    (mixture_of_agents, {"n": 2, "layers": 2}, False, P),
    (parallel_revise, {"chains": 2, "rounds": 1}, False, _voted(P, 4)),
    (parallel_revise, {"chains": 2, "rounds": 1}, True, 1 - (1 - P) ** 4),
]


@pytest.mark.parametrize(("flow", "settings", "checkable", "wanted"), WANTED)
def test_independent_draws_give_the_accuracy_of_their_closed_form(tmp_path, flow, settings, checkable, wanted):
    accuracy = _accuracy(tmp_path, flow, settings, Coin(P), ITEMS, checkable=checkable)
    assert accuracy == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / ITEMS) ** 0.5)
