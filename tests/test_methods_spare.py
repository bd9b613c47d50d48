"""One ask that fails: methods that hold answers answer from them, others fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toys import attempts, problem, singly

from trueup import methods
from trueup.core.asks import Sample, Solve, resumed
from trueup.core.errors import AskFailed, BadInput
from trueup.core.types import Attempt, Grade, Solution, Usage
from trueup.methods.elsewhere import elsewhere
from trueup.plan.replay import replay

GONE = AskFailed("the endpoint answered 500")
RIGHT, WRONG, UNSURE = Grade(1.0), Grade(0.0), Grade(0.5)


def said(*texts):
    """What the model said of attempts."""
    return tuple(Attempt(i, text, "stop", Usage(5, 1)) for i, text in enumerate(texts))


def told(flow, *replies):
    """The asks of a flow, and its answer; a reply that is an error is thrown, as the driver does."""
    flow, replies = singly(flow), iter(replies)
    asks = [next(flow)]
    try:
        while True:
            asks.append(resumed(flow, next(replies)))
    except StopIteration as end:
        assert next(replies, None) is None
        return asks, end.value


@pytest.mark.parametrize(
    "name", ["adaptive_vote", "bayes_vote", "lookahead_vote", "probability_vote", "early_stop_vote"]
)
def test_a_vote_is_of_the_blocks_that_came(name):
    flow = getattr(methods, name)(problem())
    first = next(flow).n
    assert flow.send(attempts(*("aab" * first)[:first])).start == first
    with pytest.raises(StopIteration) as end:
        flow.throw(GONE)
    assert end.value.value.value == "a"


@pytest.mark.parametrize(
    "name", ["adaptive_vote", "bayes_vote", "lookahead_vote", "probability_vote", "early_stop_vote"]
)
def test_a_vote_goes_on_behind_an_attempt_that_failed_and_takes_it_from_the_budget(name):
    came = [replace(attempt, logprob=-9.0) for attempt in attempts(*"ab" * 10)[1:]]
    found = replay(getattr(methods, name)(problem(), n=20), [None, *came], problem())
    assert (found.taken, found.value.note) == (19, "10 of 19 votes")


@pytest.mark.parametrize("method", [methods.adaptive_vote, methods.early_stop_vote, methods.revise, methods.once])
def test_a_method_with_nothing_in_hand_fails(method):
    with pytest.raises(AskFailed, match="answered 500"):
        told(method(problem()), GONE)


def test_attempts_that_cannot_be_read_are_nothing_in_hand():
    with pytest.raises(AskFailed):
        told(methods.early_stop_vote(problem(), n=4, window=2), attempts(None, None), GONE)


def test_only_a_failed_ask_is_gone_on_from():
    flow = methods.early_stop_vote(problem(), n=4, window=2)
    next(flow)
    flow.send(attempts("a", "b"))
    with pytest.raises(BadInput):
        flow.throw(BadInput("no such file"))


def test_a_judgement_that_fails_is_no_verdict_for_its_candidate():
    flow = methods.judge_best(problem(), n=3)
    assert told(flow, attempts(*"abb"), said("yes"), GONE, GONE)[1].value == "a"
    flow = methods.generative_verify(problem(), n=2, k=1)
    assert told(flow, attempts(*"ab"), GONE, said("yes"))[1].value == "b"
    with pytest.raises(AskFailed):
        told(methods.judge_best(problem(), n=2), attempts(*"ab"), GONE, GONE)


@pytest.mark.parametrize("by", ["knockout", "round_robin"])
def test_a_match_that_fails_is_a_draw(by):
    flow = methods.judge_pairwise(problem(), n=4, by=by)
    answer = told(flow, attempts(*"abbc"), *[GONE] * (1 if by == "knockout" else 2), said("so so"))[1]
    assert answer.value == "b"
    with pytest.raises(AskFailed):
        told(methods.judge_pairwise(problem(), n=2, by=by), attempts(*"ab"), GONE)


def test_a_confidence_that_cannot_be_asked_for_is_the_mean_of_the_others():
    flow = methods.confidence_vote(problem(), n=3)
    assert told(flow, attempts(*"aab"), said("90"), GONE, said("90"))[1].note == "67% of the weight of 3 attempts"


def test_what_is_drawn_by_each_plan_or_thought_is_drawn_by_those_that_come():
    flow = methods.plan_then_solve(problem(), n=3)
    assert told(flow, said("x", "y", "z"), GONE, attempts("b"), attempts("b"))[1].note == "2 of 2 votes"
    flow = methods.reason_then_constrain(problem(schema='{"type":"string"}'), n=2)
    assert told(flow, attempts("x", "y"), attempts("b"), GONE)[1].note == "1 of 1 votes"
    with pytest.raises(AskFailed):
        told(methods.plan_then_solve(problem(), n=2), said("x", "y"), GONE, GONE)


def test_a_revision_that_fails_leaves_the_chain_before_it():
    flow = methods.revise(problem(), rounds=2)
    assert told(flow, attempts("a"), GONE)[1].note == "1 of 1 votes"
    flow = methods.revise(problem(checkable=True), rounds=2)
    assert told(flow, attempts("a"), (WRONG,), attempts("b"), (UNSURE,), GONE)[1].value == "b"
    flow = methods.parallel_revise(problem(), chains=2, rounds=2)
    asks, answer = told(flow, attempts("a", "b"), GONE, attempts("a"), attempts("a"), attempts("a"))
    assert answer.note == "4 of 5 votes" and [ask.start for ask in asks] == [0, 2, 3, 4, 5]
    assert len(asks[3].prompt) == len(asks[1].prompt) < len(asks[4].prompt)


def test_where_the_dear_stage_fails_the_cheap_one_answers_and_says_so():
    asks, answer = told(methods.cascade(problem(), n=3), attempts(*"aab"), GONE)
    assert (answer.value, answer.note) == ("a", "2 of 3 votes; strong: the ask failed")
    _, answer = told(methods.cascade(problem(), to="solver"), attempts("a", "b"), GONE)
    assert answer.note == "1 of 2 votes; solver: the ask failed"
    flow = methods.cascade(problem(checkable=True), n=2)
    asks, answer = told(flow, attempts("a"), (WRONG,), attempts("b"), (UNSURE,), GONE)
    assert (answer.value, answer.note, asks[-1].model) == ("b", "strong: the ask failed", "strong")
    with pytest.raises(AskFailed):
        told(methods.cascade(problem()), attempts(None, None), GONE)


def test_what_was_proposed_or_drafted_stands_where_the_last_word_fails():
    flow = methods.mixture_of_agents(problem(), n=3, layers=2)
    assert told(flow, attempts(*"aab"), GONE, GONE)[1].note == "2 of 3 votes"
    flow = methods.mixture_of_agents(problem(), n=2, models="strong+weak")
    assert told(flow, GONE, attempts("a"), attempts("b"))[1].value == "b"
    flow = methods.chain_of_verification(problem())
    assert told(flow, attempts("a"), said("Is it?"), GONE)[1].note == "an ask failed; the draft stands"


def test_a_failure_elsewhere_reaches_the_method():
    flow = elsewhere(methods.early_stop_vote(problem(), n=4, window=2), "strong")
    assert told(flow, attempts("a", "b"), GONE)[1].value in ("a", "b")


SEARCHES = [methods.beam_search, methods.particle_filter, methods.tree_search]


def rated(**settings):
    """A problem with a rater, whose turns end at a blank line."""
    return replace(problem(**settings), ratable=True)


def steps(*texts, start=0, finish="stop"):
    """Steps that say an answer each."""
    return tuple(Attempt(start + i, text, finish, Usage(5, 1), text.strip() or None) for i, text in enumerate(texts))


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_with_nothing_to_read_in_hand_fails(search):
    with pytest.raises(AskFailed):
        told(search(rated(), n=4), GONE)
    flow = search(rated(), n=1, width=1) if search is not methods.particle_filter else search(rated(), n=1)
    unread = (Attempt(0, "let me see", "stop", Usage(5, 1)),)
    with pytest.raises(AskFailed):
        told(flow, unread, (0.5,), GONE)


def test_a_beam_that_fails_is_given_up_and_the_others_go_on():
    flow = methods.beam_search(rated(), n=4, width=2)
    _, answer = told(flow, steps(*"abcd"), (0.9, 0.8, 0.1, 0.1), GONE, steps("x", "y", finish="eos"), (0.4, 0.6))
    assert (answer.text, answer.note) == ("b\ny", "weight 0.6 of 1, 1 of 2 votes; 2 of 2 turns over")
    _, answer = told(methods.beam_search(rated(), n=2, width=2), steps(*"ab"), (0.2, 0.3), GONE)
    assert (answer.text, answer.note) == ("b", "weight 0.3 of 0.5, 1 of 2 votes; 0 of 2 turns over")
    flow = methods.beam_search(rated(), n=2, width=1, subtrees=2)
    _, answer = told(flow, steps(*"ab"), (0.2, 0.3), GONE, steps("y", finish="eos"), (0.4,))
    assert answer.text == "b\ny"


def test_what_cannot_be_seen_further_is_left_out_and_what_cannot_be_rated_is_what_was_before():
    flow = methods.beam_search(rated(), n=2, width=2, lookahead=1, depth=1)
    _, answer = told(flow, steps("a", "b"), GONE, steps("x", finish="eos"), (0.7,))
    assert (answer.text, answer.note) == ("b\nx", "weight 0.7 of 0.7, 1 of 1 votes; 1 of 1 turns over")
    flow = methods.particle_filter(rated(), n=2)
    assert told(flow, steps(*"aa"), (0.5,), steps(*"xy"), GONE)[1].text == "a"


def test_particles_that_fail_are_lost_and_their_places_drawn_among_the_others():
    flow = methods.particle_filter(rated(), n=2)
    replies = [steps(*"ab"), (0.5, 0.5), GONE, steps("x"), (0.5,), steps("v", "w", finish="eos"), (0.5, 0.9)]
    asks, answer = told(flow, *replies)
    assert [ask.n for ask in asks if isinstance(ask, Sample)] == [2, 1, 1, 2] and answer.text == "b\nx\nw"
    flow = methods.particle_filter(rated(), n=2)
    assert told(flow, steps(*"ab"), (0.5, 0.5), GONE, GONE)[1].text in ("a", "b")


def test_a_step_of_the_tree_that_fails_is_one_of_the_n():
    flow = methods.tree_search(rated(), n=3, width=3)
    asks, answer = told(flow, steps("a"), (0.2,), GONE, steps("b", start=2, finish="eos"), (0.5,))
    assert [ask.start for ask in asks if isinstance(ask, Sample)] == [0, 1, 2] and answer.text == "b"
    flow = methods.tree_search(rated(), n=2, width=2)
    _, answer = told(flow, steps("a"), (0.2,), steps("b", start=1), (0.5,), GONE)
    assert (answer.text, answer.note) == ("b", "weight 0.5 of 0.7, 1 of 2 votes; 0 of 2 turns over")


def test_a_step_that_fails_behind_one_that_stands_is_drawn_again():
    asks, answer = told(methods.retract(rated(), n=3), steps("a"), (0.9,), GONE, steps("b", finish="eos"), (0.9,))
    assert [ask.start for ask in asks if isinstance(ask, Sample)] == [0, 0, 1]
    assert (answer.text, answer.note) == ("a\nb", "0 steps rejected")
    with pytest.raises(AskFailed):
        told(methods.retract(rated(), n=3), steps("a"), (0.1,), GONE)


def test_a_try_that_fails_behind_another_is_one_of_the_n():
    flow = methods.reset_and_discard(problem(checkable=True), n=3)
    asks, answer = told(flow, attempts("a"), (WRONG,), GONE, attempts("b"), (RIGHT,))
    assert [ask.start for ask in asks if isinstance(ask, Sample)] == [0, 1, 2]
    assert (answer.value, answer.note) == ("b", "passed at try 3")
    _, answer = told(methods.reset_and_discard(problem(checkable=True), n=2), attempts("a"), (WRONG,), GONE)
    assert (answer.value, answer.note) == (None, "none of 2 tries passed, 1 failed; 2 are allowed, 2 pay")
    with pytest.raises(AskFailed):
        told(methods.reset_and_discard(problem(checkable=True), n=2), GONE)


PROGRAM = "```\nint answer in 1..9\ncon answer == 7\n```"
SOLVED, UNREAD = Solution("solved", "#### 7", "7"), Solution("unreadable", reason="line 1: x")


def test_a_program_that_cannot_be_mended_is_lost_and_the_others_vote():
    flow = methods.formalise_and_solve(problem(), n=3, say=False)
    assert told(flow, said(*[PROGRAM] * 3), SOLVED, UNREAD, SOLVED, GONE)[1].value == "7"
    with pytest.raises(AskFailed):
        told(methods.formalise_and_solve(problem(), n=1), said(PROGRAM), UNREAD, GONE)


def test_an_answer_that_was_found_stands_where_it_cannot_be_reworded():
    plain, found = "```\nint a in 7..7\n```", Solution("solved", "a = 7", "7")
    _, answer = told(methods.formalise_and_solve(problem()), said(plain), found, GONE)
    assert (answer.text, answer.value, answer.note) == ("a = 7", "7", "1 of 1 votes; of 1 program 1 solved")
    with pytest.raises(AskFailed):
        told(methods.formalise_and_solve(problem()), said(plain), replace(found, answer=None), GONE)


@pytest.mark.parametrize("settings", [{"clues": True}, {"constrain": True}])
def test_a_program_that_cannot_be_written_is_lost_and_the_others_are_solved(settings):
    asks, _ = told(methods.formalise_and_solve(problem(), n=2, repairs=0, say=False, **settings), *written(**settings))
    assert [type(ask) for ask in asks].count(Solve) == 1


def written(*, clues=False, constrain=False):
    """What two programs are written from, the first of which fails."""
    whole = (Attempt(0, "int answer in 1..9\ncon answer == 7", "eos", Usage(5, 1)),)
    line = (Attempt(0, " answer == 7", "eos", Usage(5, 1)),)
    return [*([said("x", "y")] if constrain else []), GONE, whole, *([line] if clues else []), SOLVED]


def test_a_turn_that_held_an_answer_stands_where_it_cannot_go_on():
    flow = methods.budget_forcing(problem())
    _, answer = told(flow, attempts("7"), GONE)
    assert (answer.text, answer.value, answer.note) == ("<7>", "7", "an ask failed; the turn before it stands")
    cut = (Attempt(0, "<7> and", "length", Usage(5, 512), "7"),)
    assert told(methods.budget_forcing(problem()), cut, GONE)[1].value == "7"
    with pytest.raises(AskFailed):
        told(methods.budget_forcing(problem()), attempts(None), GONE)
