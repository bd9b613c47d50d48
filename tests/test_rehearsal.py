"""What a study and a server learn of an arm before anything is paid for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from terminal import at_problems
from test_run import Oracle, run
from toys import problem

from trueup.arms import arms_of, make_arm
from trueup.bench.toy import Whole, toy_item
from trueup.core.asks import Check
from trueup.core.errors import BadInput, UnknownName
from trueup.core.ledger import Ledger
from trueup.core.stratum import Arm, Stratum
from trueup.methods import greedy_allocate
from trueup.models import Toy
from trueup.plan.policy import Policy, PolicyStratum
from trueup.run import collect, rehearse
from trueup.run.rehearsal import draws_again
from trueup.serve import Desk
from trueup.serve.desk import check_desks

BINS = {"pilot": 4, "signal": "agreement", "edges": [0.3, 0.9], "methods": ["vote n=8", "best_of_n n=8", "once"]}
LINE = {"threshold": 0.5, "bias": 9.0, "weights": {}, "logits": [], "shares": []}
ROUTER = {"cheap": "once", "costly": "best_of_n n=4", **LINE}
MISFITS = [
    ("lookahead_vote price=-1", "price is -1"),
    ("lookahead_vote table=gone.json", "'gone.json' cannot be read"),
    ("judge_pairwise by=lot", "unknown judge_pairwise by 'lot'"),
]


def stratum(name="toy", *, check=None):
    items = (toy_item(i) for i in range(3))
    named = (replace(item, problem=replace(item.problem, stratum=name)) for item in items)
    return Stratum(name, tuple(named), Oracle(), check)


class Deaf:
    """A model that is not to be asked."""

    def __init__(self):
        self.card = Toy(0.5).card

    async def sample(self, prompt, n, start, sampling):
        raise AssertionError("asked before all arms were looked at")

    async def close(self):
        pass


@pytest.mark.parametrize(("words", "told"), MISFITS)
def test_a_setting_that_a_method_refuses_stops_a_study_before_any_stratum_is_asked(tmp_path, words, told):
    arms = {"first": [make_arm("once")], "second": [make_arm("once"), make_arm(words)]}
    with pytest.raises(BadInput, match=told):
        run(tmp_path, Deaf(), lambda clerk: collect([stratum("first"), stratum("second")], arms, 2, clerk, lanes=1))


def test_an_arm_for_a_batch_is_begun_too(tmp_path):
    arms = {"toy": [Arm("batch", {}, lambda problems: greedy_allocate(problems, budget=0), is_batch=True)]}
    with pytest.raises(BadInput, match="budget is 0"):
        run(tmp_path, Deaf(), lambda clerk: collect([stratum()], arms, 2, clerk, lanes=1))


def test_a_method_of_a_chooser_that_does_not_begin_stops_it_too(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(BINS | {"methods": ["once", "lookahead_vote price=-1", "once"]}))
    own = stratum()
    arms = {"toy": arms_of(own, 8, [f"compute_optimal table={tmp_path}/t.json"])}
    with pytest.raises(BadInput, match="price is -1"):
        run(tmp_path, Deaf(), lambda clerk: collect([own], arms, 2, clerk, lanes=1))


def test_a_study_of_two_strata_with_a_misfit_in_the_second_pays_nothing(tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, ["a", "b"])
    rows = 'source = "jsonl:w.jsonl"\nverifier = "exact"\n'
    second = f'[[stratum]]\nname = "b"\n{rows}methods = ["once", "lookahead_vote price=-1"]\n'
    (tmp_path / "two.toml").write_text(f'[task]\nname = "t"\n[[stratum]]\nname = "a"\n{rows}{second}')
    said = go("study", "two.toml", "--model", "toy:0.5", "--out", "o", code=2)
    assert "lookahead_vote price is -1.0; give 0 or more" in said.err
    with Ledger(tmp_path / "o" / "ledger.sqlite") as ledger:
        assert not ledger.totals()


@pytest.mark.parametrize(("words", "told"), MISFITS)
def test_a_server_refuses_at_its_start_what_a_method_would_refuse_of_every_request(words, told):
    desk = Desk(replace(stratum(), items=()), make_arm(words), lambda question: problem(question).prompt)
    with pytest.raises(BadInput, match=told):
        check_desks(Policy("p", "m", "f", 0.9, "2026-01-01", {}, (PolicyStratum("toy", "m", {}, {}),)), {"toy": desk})


def test_a_method_that_needs_a_form_begins_where_requests_bring_it():
    desk = Desk(Stratum("toy", (), Whole()), make_arm("constrained"), lambda question: problem(question).prompt)
    policy = Policy("p", "m", "f", 0.9, "2026-01-01", {}, (PolicyStratum("toy", "m", {}, {}),))
    assert check_desks(policy, {"toy": desk}) is None


def test_what_made_up_replies_bring_down_has_asked_till_then_and_a_first_step_raises():
    arm = make_arm("best_of_n n=2")
    assert Check in rehearse(arm, problem())
    with pytest.raises(UnknownName):
        rehearse(make_arm("vote_calls by=lot"), problem())


@pytest.mark.parametrize(
    ("file", "table", "words"), [("t", BINS, "compute_optimal table"), ("r", ROUTER, "route router")]
)
def test_what_may_be_chosen_behind_no_item_of_the_study_makes_an_oracle_of_the_arm_too(tmp_path, file, table, words):
    (tmp_path / f"{file}.json").write_text(json.dumps(table))

    def flags(check):
        own = stratum(check=check)
        arms = {"toy": arms_of(own, 8, [f"{words}={tmp_path}/{file}.json", "once"])}
        (measured,), _ = run(tmp_path, Toy(1.0), lambda clerk: collect([own], arms, 2, clerk, lanes=1))
        return [outcome.is_oracle for outcome in measured.outcomes]

    assert flags(None) == [True] * 3 + [False] * 3
    assert flags(Whole()) == [False] * 6


@pytest.mark.parametrize(
    ("words", "does"),
    [
        ("once", False),
        ("vote n=1", False),
        ("vote n=2", True),
        ("greedy", False),
        ("revise rounds=4", False),
        ("cascade n=1", False),
        ("cascade n=1 to=", True),
        ("mixture_of_agents n=2 models=a+b", False),
        ("plan_then_solve n=2", True),
        ("judge_best n=1 k=1", False),
        ("judge_best n=1 k=2", True),
        ("retract n=8", True),
        ("propose_and_assign", True),
    ],
)
def test_an_arm_draws_again_where_one_prompt_has_two_numbers(words, does):
    assert draws_again(make_arm(words), replace(problem(), ratable=True)) == does
