"""A method that checks attempts as they come keeps their grades: each is graded once."""

from __future__ import annotations

import pytest
from toys import attempts, finish, problem

from trueup import methods
from trueup.core.asks import Check, Sample
from trueup.core.types import Attempt, Grade, Usage
from trueup.methods.steps import begin


def played(flow, value_of=lambda answer: 0.0):
    """The answers that were drawn and those that were graded, and the answer; attempts answer in the order drawn."""
    drawn, graded, ask = [], [], next(flow)
    try:
        while True:
            if isinstance(ask, Check):
                graded += (said := [attempt.answer for attempt in ask.attempts])
                ask = flow.send(tuple(Grade(value_of(answer)) for answer in said))
                continue
            assert isinstance(ask, Sample)
            said = [f"{len(drawn) + place}" for place in range(ask.n)]
            drawn += said
            ask = flow.send(attempts(*said))
    except StopIteration as end:
        return drawn, graded, end.value


@pytest.mark.parametrize(
    ("method", "settings", "n"),
    [
        (methods.revise, {"rounds": 10}, 11),
        (methods.cascade, {"n": 4, "then": 2}, 6),
        (methods.cascade, {"n": 3, "to": "", "then": 2}, 5),
    ],
)
def test_every_attempt_is_graded_once_and_the_best_of_all_is_the_answer(method, settings, n):
    for best in range(n):
        flow = method(problem(checkable=True), **settings)
        drawn, graded, answer = played(flow, lambda answer, best=best: 0.5 if answer == str(best) else 0.1)
        assert graded == drawn == [str(place) for place in range(n)]
        assert answer.value == str(best)


def test_a_cascade_with_equal_grades_answers_as_the_dear_stage_does():
    assert played(methods.cascade(problem(checkable=True), n=2))[2].value == "2"


def steps(*answers):
    return tuple(Attempt(i, f"{i}", "stop", Usage(5, 1), answer) for i, answer in enumerate(answers))


def test_a_turn_that_comes_to_what_its_beginning_said_is_not_graded_again():
    replies = [steps("x"), (Grade(0.25),), steps("x")]
    asks, answer = finish(methods.beam_search(problem(checkable=True), n=1, width=1, depth=1), replies)
    assert [type(ask) for ask in asks] == [Sample, Check, Sample]
    assert (answer.value, answer.note) == ("x", "weight 0.25 of 0.25, 1 of 1 votes; 1 of 1 turns over")


def test_steps_grade_each_new_answer_once_and_every_beginning_has_its_own():
    writing = begin("x", problem(checkable=True), "\n", 0)
    asks, paths = finish(writing.extend(writing.root, 4), [steps("a", "b", None, "a"), (Grade(0.1), Grade(0.2))])
    assert [attempt.answer for attempt in asks[1].attempts] == ["a", "b"]
    assert [path.grade for path in paths] == [0.1, 0.2, None, 0.1]
    asks, paths = finish(writing.extend(writing.root, 3), [steps("c", "b", "d"), (Grade(0.3), Grade(1.0))])
    assert [attempt.answer for attempt in asks[1].attempts] == ["c", "d"]
    assert [(path.grade, path.is_over) for path in paths] == [(0.3, False), (0.2, False), (1.0, True)]
