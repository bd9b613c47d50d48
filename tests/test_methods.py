"""Methods, one conversation at a time, and in closed form on a toy of known accuracy."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import replace
from math import comb
from pathlib import Path

import pytest
from toys import PRICES, attempts, finish, item, problem

from trueup import methods
from trueup.arms import make_arm
from trueup.bench.toy import Whole, toy_item
from trueup.core.asks import Check, Rate, Sample, Solve
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Grade, Solution
from trueup.methods.adaptive_vote import lead_probability
from trueup.models import Toy
from trueup.run import Clerk, Job, collect, run_jobs


class Length:
    """A rater that likes long texts."""

    fingerprint = "length"

    async def rate(self, problem, texts):
        return [1 - 1 / (1 + len(text)) for text in texts]

    async def close(self):
        pass


def test_once_asks_for_one_attempt_and_returns_it():
    asks, answer = finish(methods.once(problem()), [attempts("4")])
    assert asks == [Sample(problem().prompt, 1)]
    assert (answer.text, answer.value) == ("<4>", "4")


def test_greedy_asks_for_one_attempt_at_temperature_0_whatever_the_task_has():
    asks, answer = finish(methods.greedy(problem()), [attempts("4")])
    assert problem().sampling.temperature > 0
    assert asks == [Sample(problem().prompt, 1, sampling=replace(problem().sampling, temperature=0.0))]
    assert (answer.value, answer.note) == ("4", "at temperature 0")


def test_vote_returns_the_most_frequent_answer():
    asks, answer = finish(methods.vote(problem(), n=5), [attempts("3", "4", "4", "5", "4")])
    assert asks == [Sample(problem().prompt, 5)]
    assert (answer.value, answer.note) == ("4", "3 of 5 votes")


def test_vote_gives_unparsable_attempts_no_vote():
    _, answer = finish(methods.vote(problem(), n=5), [attempts(None, None, None, "42", "42")])
    assert answer.value == "42"


def test_vote_of_unparsable_attempts_only_abstains():
    _, answer = finish(methods.vote(problem(), n=2), [attempts(None, None)])
    assert answer.value is None


def test_vote_breaks_ties_by_seed_and_the_same_seed_the_same_way():
    tied = attempts("a", "b")
    winners = [finish(methods.vote(problem(seed=s), n=2), [tied])[1].value for s in range(40)]
    assert winners == [finish(methods.vote(problem(seed=s), n=2), [tied])[1].value for s in range(40)]
    assert 8 <= winners.count("a") <= 32


def test_best_of_n_keeps_the_first_of_the_best_grades():
    grades = (Grade(0.2), Grade(0.9), Grade(0.9))
    asks, answer = finish(methods.best_of_n(problem(), n=3), [attempts("a", "b", "c"), grades])
    assert isinstance(asks[1], Check)
    assert answer.value == "b"


def test_best_of_n_prefers_a_wrong_answer_to_an_unparsable_one():
    grades = (Grade(0.0, parsed=False), Grade(0.0))
    _, answer = finish(methods.best_of_n(problem(), n=2), [attempts(None, "b"), grades])
    assert answer.value == "b"


def test_best_of_n_goes_by_the_rater_where_there_is_no_check():
    """What cannot be read is worth less than the worst that can; of equals the first is taken."""
    asked = replace(problem(), ratable=True)
    asks, answer = finish(methods.best_of_n(asked, n=4), [attempts(None, "b", "c", "d"), (1.0, 0.2, 0.7, 0.7)])
    assert asks[1] == Rate(asked, ("<None>", "<b>", "<c>", "<d>"))
    assert answer.value == "c"
    assert finish(methods.best_of_n(asked, n=2), [attempts(None, "b"), (0.9, 0.0)])[1].value == "b"


def test_best_of_n_goes_by_the_check_where_there_is_one_and_a_rater_too():
    asked = replace(problem(checkable=True), ratable=True)
    asks, answer = finish(methods.best_of_n(asked, n=2), [attempts("a", "b"), (Grade(0.0), Grade(1.0))])
    assert [type(ask) for ask in asks] == [Sample, Check]
    assert answer.value == "b"


@pytest.mark.parametrize(("offers", "is_oracle"), [({"rater": Length()}, False), ({}, True)])
def test_best_of_n_sees_the_reference_only_where_nothing_else_ranks(tmp_path, offers, is_oracle):
    one = item()
    one = replace(one, problem=replace(one.problem, ratable=bool(offers)))
    stratum, arm = Stratum("s", (one,), Whole(), **offers), make_arm("best_of_n n=4")

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            (found,) = await collect([stratum], {"s": [arm]}, 4, Clerk(Toy(0.5), ledger, PRICES), lanes=1)
            return found

    assert [outcome.is_oracle for outcome in asyncio.run(go()).outcomes] == [is_oracle]


def test_revise_stops_at_the_first_attempt_that_passes_the_check():
    chain = [attempts("a"), (Grade(0.0),), attempts("b"), (Grade(1.0),)]
    asks, answer = finish(methods.revise(problem(checkable=True), rounds=3), chain)
    assert answer.value == "b"
    assert [type(ask) for ask in asks] == [Sample, Check, Sample, Check]
    assert [m.role for m in asks[2].prompt] == ["user", "assistant", "user"]


def test_revise_keeps_a_right_draft_that_was_revised_away():
    chain = [attempts("a"), (Grade(0.6),), attempts("b"), (Grade(0.1),)]
    _, answer = finish(methods.revise(problem(checkable=True), rounds=1), chain)
    assert answer.value == "a"


def test_revise_without_a_check_votes_over_the_chain_and_never_asks_for_one():
    chain = [attempts("a"), attempts("b"), attempts("b"), attempts("c")]
    asks, answer = finish(methods.revise(problem(), rounds=3), chain)
    assert answer.value == "b"
    assert all(isinstance(ask, Sample) for ask in asks)


def test_lead_probability_is_the_beta_tail():
    scipy_special = pytest.importorskip("scipy.special")
    for first in range(6):
        for second in range(first + 1):
            votes = ["a"] * first + ["b"] * second
            wanted = 1 - scipy_special.betainc(first + 1, second + 1, 0.5)
            assert lead_probability(list(attempts(*votes))) == pytest.approx(wanted)


def test_adaptive_vote_stops_after_four_equal_answers():
    asks, answer = finish(methods.adaptive_vote(problem(), n=16, step=2), [attempts(*"aaaa")])
    assert [(ask.start, ask.n) for ask in asks] == [(0, 4)]
    assert answer.value == "a"
    assert lead_probability(list(attempts(*"aaa"))) < 0.95 < lead_probability(list(attempts(*"aaaa")))


def test_adaptive_vote_never_exceeds_n():
    asks, _ = finish(methods.adaptive_vote(problem(), n=5, step=2), [attempts("a", "b", "c"), attempts("b", "c")])
    assert [ask.n for ask in asks] == [3, 2]


def test_constrained_samples_under_the_problems_schema():
    schema = json.dumps({"type": "integer"})
    asks, _ = finish(methods.constrained(problem(schema=schema)), [attempts("1")])
    assert asks[0].sampling.schema == schema


def test_constrained_refuses_a_problem_without_schema():
    with pytest.raises(BadInput, match="no schema or grammar"):
        next(methods.constrained(problem()))


@pytest.mark.parametrize("status", ["unsatisfiable", "not_unique", "timeout", "unreadable"])
def test_solve_abstains_unless_solved(status):
    asks, answer = finish(methods.solve(problem()), [Solution(status)])
    assert isinstance(asks[0], Solve)
    assert (answer.value, answer.note) == (None, status)


def test_every_method_is_a_generator_named_like_its_file_with_settings_by_keyword_only():
    for name in methods.__all__:
        method = getattr(methods, name)
        assert inspect.isgeneratorfunction(method)
        assert Path(inspect.getfile(method)).stem == name
        first, *rest = inspect.signature(method).parameters.values()
        assert first.name in ("problem", "problems")
        assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in rest)


def _accuracy(tmp_path, arm, p, items=4000):
    async def run():
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            clerk = Clerk(Toy(p), ledger, PRICES)
            stratum = Stratum("toy", (), Whole(), Whole())
            jobs = (Job(stratum, toy_item(i), arm) for i in range(items))
            return [o async for o in run_jobs(jobs, clerk, lanes=256) if isinstance(o, Outcome)]

    outcomes = asyncio.run(run())
    return sum(o.grade.is_right for o in outcomes) / items, outcomes


def test_best_of_n_has_the_accuracy_of_its_closed_form(tmp_path):
    accuracy, outcomes = _accuracy(tmp_path, Arm("best_of_n", {}, lambda q: methods.best_of_n(q, n=4)), 0.3)
    assert accuracy == pytest.approx(1 - 0.7**4, abs=4 * (0.76 * 0.24 / 4000) ** 0.5)
    assert {(o.cost.prompt_tokens, o.cost.completion_tokens, o.cost.calls) for o in outcomes} == {(8, 32, 2)}


def test_vote_has_the_accuracy_of_its_closed_form(tmp_path):
    """Wrong answers of the toy never agree, so three attempts elect `right` on two hits, and on one by lot."""
    p = 0.4
    wanted = sum(comb(3, k) * p**k * (1 - p) ** (3 - k) for k in (2, 3)) + 3 * p * (1 - p) ** 2 / 3
    accuracy, _ = _accuracy(tmp_path, Arm("vote", {}, lambda q: methods.vote(q, n=3)), p)
    assert accuracy == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / 4000) ** 0.5)
