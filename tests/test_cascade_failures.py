"""A cascade whose cheap attempts all fail goes on to the dear stage, unless one that failed may have acted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest
from test_methods_spare import told
from toys import PRICES, attempts, item, problem

from trueup.arms import make_arm
from trueup.bench.toy import Whole
from trueup.core.asks import Sample, Solve
from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger
from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Solution, Usage
from trueup.methods.cascade import cascade
from trueup.run import Clerk, Job, run_job

DOWN = AskFailed("503 down")


@dataclass(frozen=True)
class Side:
    """A model that says `right`, or is down."""

    name: str
    is_up: bool

    @property
    def card(self):
        return ModelCard(self.name, self.name, "m")

    async def sample(self, prompt, n, start, sampling):
        if not self.is_up:
            return Sampled((), (Waste("failed", f"{self.name} is down"),))
        return Sampled(tuple(Attempt(start + i, "right", "eos", Usage(10, 2, leads=i == 0)) for i in range(n)))

    async def close(self):
        pass


def outcome(folder, words, *, cheap, dear, acts=False):
    """What an arm comes to on one item, with a model of its own and a strong one."""
    one = replace(item(), problem=replace(problem(), side_effects=acts))
    with Ledger(folder / "ledger.sqlite") as book:
        clerk = Clerk(Side("own", cheap), book, PRICES, {"strong": Side("strong", dear)})
        return asyncio.run(run_job(Job(Stratum("s", (one,), Whole()), one, make_arm(words)), clerk))


@pytest.mark.parametrize("n", [1, 2])
def test_a_cheap_model_that_is_down_leaves_the_question_to_the_dear_one(tmp_path, n):
    found = outcome(tmp_path, f"cascade n={n} to=strong", cheap=False, dear=True)
    assert (found.failure, found.grade.is_right) == (None, True)
    assert found.answer.note == "1 of 1 votes; cheap attempts: the ask failed"


def test_it_fails_where_the_dear_model_is_down_too(tmp_path):
    assert outcome(tmp_path, "cascade to=strong", cheap=False, dear=False).failure == "strong is down"


def test_no_other_is_asked_behind_an_attempt_that_may_have_acted(tmp_path):
    found = outcome(tmp_path, "cascade to=strong side_effects=true", cheap=False, dear=True, acts=True)
    assert found.failure == "own is down"
    with pytest.raises(AskFailed):
        told(cascade(problem(), to="solver", side_effects=True), DOWN)


def test_the_solver_answers_where_the_model_is_down():
    (_, *asks), answer = told(cascade(problem(), to="solver"), DOWN, Solution("solved", "it is 6", "6"))
    assert isinstance(asks[0], Solve)
    assert (answer.value, answer.note) == ("6", "solved; cheap attempts: the ask failed")
    _, answer = told(cascade(problem(), to="solver", model="small"), DOWN, Solution("timeout"))
    assert (answer.text, answer.value, answer.note) == ("", None, "timeout; small: the ask failed")
    with pytest.raises(AskFailed, match="no solver"):
        told(cascade(problem(), to="solver"), DOWN, AskFailed("no solver"))


def test_with_a_check_the_dear_attempts_are_checked_alone():
    flow = cascade(problem(checkable=True), n=3, then=2)
    (_, *asks), answer = told(flow, DOWN, attempts("4", "5"), (Grade(0.0), Grade(1.0)))
    assert asks[0] == Sample(problem().prompt, 2, model="strong") and len(asks[1].attempts) == 2
    assert (answer.value, answer.note) == ("5", "cheap attempts: the ask failed")


def test_behind_an_attempt_that_could_not_be_read_a_failure_goes_on_too():
    flow = cascade(problem(checkable=True), n=3)
    (_, *asks), answer = told(flow, attempts(None), (Grade(0.0, parsed=False),), DOWN, attempts("5"), (Grade(1.0),))
    assert (asks[2].model, answer.value, answer.note) == ("strong", "5", "")


def test_the_same_model_is_not_asked_again():
    for flow in (cascade(problem(), to=""), cascade(problem(checkable=True), to="small", model="small")):
        with pytest.raises(AskFailed, match="503 down"):
            told(flow, DOWN)
