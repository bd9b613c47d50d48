"""A method that checks attempts as they come keeps their grades: each is graded once."""

from __future__ import annotations

import pytest
from toys import attempts, problem

from trueup import methods
from trueup.core.asks import Check, Sample
from trueup.core.types import Grade


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
