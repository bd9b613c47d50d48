"""Votes over function calls, worked out by hand."""

from __future__ import annotations

import json

import pytest
from toys import attempts, finish, problem

from trueup.core.asks import Sample
from trueup.core.errors import UnknownName
from trueup.methods.vote import vote
from trueup.methods.vote_calls import vote_calls
from trueup.verifiers import function_call
from trueup.verifiers.json_text import canonical


def call(name, **arguments):
    return canonical({"name": name, "arguments": arguments})


def elected(*answers, seed=0, **settings):
    flow = vote_calls(problem(seed=seed), n=len(answers), **settings)
    _, answer = finish(flow, [attempts(*answers)])
    return answer


def test_vote_calls_asks_for_n_attempts_of_the_problem():
    asks, answer = finish(vote_calls(problem(), n=2), [attempts(call("f", a=1), call("f", a=1))])
    assert asks == [Sample(problem().prompt, 2)]
    assert (answer.value, answer.note) == (call("f", a=1), "2 of 2 votes for the name")


def test_the_name_is_elected_and_spoken_by_its_first_attempt():
    answer = elected(call("g", a=1), call("f", a=1), call("f", a=2), call("f", a=2), by="name")
    assert answer.value == call("f", a=1)
    assert answer.note == "3 of 4 votes for the name"


def test_the_arguments_are_elected_whatever_the_name():
    answer = elected(call("f", a=1), call("g", a=2), call("f", a=2), by="arguments")
    assert answer.value == call("g", a=2)
    assert answer.note == "2 of 3 votes for the arguments"


def test_hierarchical_votes_on_arguments_only_among_calls_of_the_elected_name():
    answer = elected(call("f", a=1), call("g", a=2), call("g", a=2), call("f", a=1), call("f", a=3))
    assert answer.value == call("f", a=1)
    assert answer.text == f"<{call('f', a=1)}>"


def test_hierarchical_may_put_together_a_call_that_no_attempt_made_and_says_so():
    answer = elected(call("f", a=1, b=2, c=9), call("f", a=1, b=8, c=3), call("f", a=7, b=2, c=3))
    assert answer.value == answer.text == call("f", a=1, b=2, c=3)
    assert "no attempt made this call" in answer.note


def test_a_call_put_together_is_canonical():
    answer = elected(call("f", b="é", a=[1, {"y": None, "x": True}]), call("f", a=1.0, b="é"), call("f", a=1.0, b="e"))
    assert function_call().read(answer.text) == answer.value == call("f", a=1.0, b="é")


def test_an_argument_that_most_leave_out_is_left_out():
    assert elected(call("f", a=1, b=2), call("f", a=1), call("f", a=1)).value == call("f", a=1)
    assert elected(call("f", a=1, b=2), call("f", a=1, b=2), call("f", a=1)).value == call("f", a=1, b=2)


@pytest.mark.parametrize("seed", range(8))
def test_values_that_tie_stay_in_a_call_that_was_made(seed):
    made = [call("f", a=1, b=2), call("f", a=2, b=1)]
    assert elected(*made, seed=seed).value in made


def test_ties_fall_by_the_seed_and_the_same_seed_the_same_way():
    tied = [call("f", a=1), call("g", a=1)]
    for by in ("name", "hierarchical"):
        winners = [elected(*tied, seed=seed, by=by).value for seed in range(40)]
        assert winners == [elected(*tied, seed=seed, by=by).value for seed in range(40)]
        assert 8 <= winners.count(tied[0]) <= 32


def test_lists_of_calls_are_elected_call_by_call():
    def both(a, b):
        return canonical([{"name": "f", "arguments": {"a": a}}, {"name": "g", "arguments": {"b": b}}])

    answer = elected(both(1, 2), both(1, 3), both(4, 3), call("f", a=1))
    assert answer.value == both(1, 3)
    assert answer.note == "3 of 4 votes for the name"
    assert elected(both(1, 2), both(1, 3), both(4, 2), by="name").value == both(1, 2)


@pytest.mark.parametrize("by", ["name", "arguments", "hierarchical"])
def test_attempts_that_cannot_be_read_never_vote(by):
    answer = elected(None, None, None, call("f", a=1), by=by)
    assert answer.value == call("f", a=1)
    assert answer.note.startswith("1 of 4 votes")
    assert elected(None, None, by=by).value is None


@pytest.mark.parametrize("by", ["name", "arguments", "hierarchical"])
def test_answers_that_are_no_calls_vote_as_a_whole(by):
    for answers in (("right", "4", "4"), ('{"a":1}', "[]", '{"a":1}'), ("a", "b"), ('["f"]', '["f"]', call("f"))):
        plain = finish(vote(problem(), n=3), [attempts(*answers)])[1]
        assert elected(*answers, by=by).value == plain.value


def test_fewer_attempts_than_asked_vote_among_themselves():
    _, answer = finish(vote_calls(problem(), n=8), [attempts(call("f", a=1), call("f", a=2), call("f", a=2))])
    assert (answer.value, answer.note) == (call("f", a=2), "3 of 3 votes for the name")


def test_with_side_effects_there_is_one_attempt_only():
    asks, answer = finish(vote_calls(problem(), n=8, side_effects=True), [attempts(call("f", a=1))])
    assert asks == [Sample(problem().prompt, 1)]
    assert answer.value == call("f", a=1)
    assert answer.note == "1 of 1 votes for the name; one attempt only, for calls have side effects"


def test_another_way_to_vote_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown vote_calls by 'names'; did you mean 'name'"):
        next(vote_calls(problem(), by="names"))


def test_equal_calls_in_other_words_vote_together():
    read = function_call().read
    texts = ["f(a=1)", json.dumps({"f": {"a": 1}}), '{"name": "g", "arguments": {"a": 1}}']
    assert elected(*map(read, texts)).value == call("f", a=1)


@pytest.mark.parametrize(
    "answer", ["[" * 3000, '{"name":"f","arguments":{"x":NaN}}', '{"name":"f","arguments":{"x":1e999}}']
)
def test_what_no_json_can_be_votes_as_a_whole(answer):
    assert elected(answer, answer, call("f", a=1)).value == answer
