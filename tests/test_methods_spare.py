"""One ask that fails: methods that hold answers answer from them, others fail."""

from __future__ import annotations

import pytest
from toys import attempts, problem

from trueup import methods
from trueup.core.asks import Check
from trueup.core.errors import AskFailed, BadInput
from trueup.core.types import Attempt, Grade, Usage
from trueup.methods.elsewhere import elsewhere

GONE = AskFailed("the endpoint answered 500")
RIGHT, WRONG, UNSURE = Grade(1.0), Grade(0.0), Grade(0.5)


def said(*texts):
    """What the model said of attempts."""
    return tuple(Attempt(i, text, "stop", Usage(5, 1)) for i, text in enumerate(texts))


def told(flow, *replies):
    """The asks of a flow, and its answer; a reply that is an error is thrown, as the driver does."""
    asks, replies = [next(flow)], iter(replies)
    try:
        while True:
            reply = next(replies)
            asks.append(flow.throw(reply) if isinstance(reply, AskFailed) else flow.send(reply))
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
    assert told(flow, attempts("a"), (WRONG,), attempts("b"), (WRONG, UNSURE), GONE)[1].value == "b"
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
    asks, answer = told(flow, attempts("a"), (WRONG,), attempts("b"), (UNSURE,), GONE, (WRONG, UNSURE))
    assert (answer.value, answer.note, type(asks[-1])) == ("b", "strong: the ask failed", Check)
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
