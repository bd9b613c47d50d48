"""A diagnosis is of the study's own model: what another model or the solver answers is no way of sampling it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from studies import measured, study
from toys import problem

from trueup.arms import make_arm, with_chosen
from trueup.catalog import names
from trueup.core.asks import Solve
from trueup.core.errors import BadInput
from trueup.core.settings import settings_of
from trueup.core.stratum import Arm
from trueup.methods.start import CHOOSERS
from trueup.plan import diagnose, lay_out
from trueup.plan.sheet import asks_solver
from trueup.run import rehearse

WRONG = "abcdefghijklmnop"
NEVER = [WRONG] * 24
OWN_ARMS = {"once": "a" * 24, "vote n=8": "a" * 24}
ELSEWHERE = {
    "once model=strong": {"strong": "m"},
    "once model=tuned": {"tuned": "m"},
    "vote n=3 model=strong": {"strong": "m"},
    "cascade to=strong": {"": "m", "strong": "m"},
    "judge_best judge_model=strong": {"": "m", "strong": "m"},
    "constrained model=strong": {"strong": "m"},
    "cascade to=solver model=strong": {"strong": "m"},
}
UNHEARD = ("decode_with_lexicon", "run_stored")
"""Methods whose problem has to state something before a rehearsal comes to the solver."""


def seen(arms, *, pools=NEVER, among=None, **more):
    """What was measured, with the arms that some choose among."""
    found = measured(pools, arms, **more)
    chosen = among or {}
    return replace(found, arms=tuple(replace(arm, among=chosen.get(arm.label, ())) for arm in found.arms))


def verdict(arms, **more):
    return diagnose(lay_out(seen(arms, **more), seed=0), 0.9)


def row(diagnosis, test):
    return next(row for row in diagnosis.evidence if row.test == test)


def losses(diagnosis):
    return {row.test: row.loss for row in diagnosis.evidence}


@pytest.mark.parametrize("is_oracle", [False, True])
@pytest.mark.parametrize("label", ELSEWHERE)
def test_what_another_model_gets_right_is_beyond_this_one(label, is_oracle):
    arms = OWN_ARMS | {label: "r" * 24}
    found = verdict(arms, models=ELSEWHERE, oracles=[label] if is_oracle else [])
    assert (found.cause, found.lever) == ("capability", "bigger model or training")
    assert losses(found) == losses(verdict(OWN_ARMS)) and not row(found, "extraction").called


def test_a_solver_that_another_model_writes_for_is_no_lever_of_this_one():
    label = "formalise_and_solve model=strong"
    found = verdict(OWN_ARMS | {label: "r" * 24}, models={label: {"strong": "cpu"}})
    assert found.lever == "bigger model or training"


def test_a_dear_model_in_the_second_place_does_not_hide_what_votes_leave_unchosen():
    pools = ["aaaaaaaaaaarrrrr"] * 16 + ["r" * 16] * 8
    found = verdict(OWN_ARMS | {"cascade to=strong": "r" * 24}, pools=pools, models=ELSEWHERE)
    assert found.cause == "selection" and "vote n=8" not in found.summary and "cascade" not in found.summary


def test_a_capability_that_another_model_has_is_said_to_be_lacked_by_this_one():
    found = verdict(OWN_ARMS | {"once model=strong": "r" * 24}, models=ELSEWHERE)
    assert "no attempt and no method of this model is right" in found.summary
    assert row(found, "capability").statistic == "items right in none of 16 attempts and by no method of this model"
    assert "of this model" not in verdict(OWN_ARMS).summary


def test_the_plan_and_its_break_even_still_weigh_what_asks_another_model():
    label = "vote n=3 model=strong"
    plan = study(seen(OWN_ARMS | {label: "r" * 24}, models=ELSEWHERE))["plan"]
    assert plan["choices"]["s"]["label"] == label
    assert label in {row["b"] for row in plan["breakeven"]}


ROUTED = {"route": (make_arm("once"), make_arm("solve"))}
BINNED = {"compute_optimal": (make_arm("vote"), make_arm("cascade to=solver"))}


@pytest.mark.parametrize(
    ("label", "among"), [("cascade to=solver", {}), ("route", ROUTED), ("compute_optimal", BINNED)]
)
def test_a_method_that_may_come_to_the_solver_takes_nothing_from_it(label, among):
    alone = verdict(OWN_ARMS | {"solve": "r" * 24})
    for arms in ({label: "r" * 24, "solve": "r" * 24}, {"solve": "r" * 24, label: "r" * 24}):
        found = verdict(OWN_ARMS | arms, among=among)
        assert (found.cause, found.lever) == ("structural", "solver")
        assert found == alone


@pytest.mark.parametrize(("label", "among"), [("cascade to=solver", {}), ("route", ROUTED)])
def test_where_the_solver_was_only_tried_behind_attempts_it_is_still_the_solver(label, among):
    found = verdict(OWN_ARMS | {label: "r" * 24}, among=among)
    assert (found.cause, found.lever) == ("structural", "solver")
    assert f"The solver ({label}) gets 100 % of the items right where vote n=8 gets 0 %" in found.summary


def test_a_method_that_chooses_among_ways_of_sampling_is_one():
    pools = ["aaaaaaaaaaarrrrr"] * 16 + ["r" * 16] * 8
    found = verdict({"route": "r" * 24}, pools=pools, among={"route": (make_arm("once"), make_arm("vote n=8"))})
    assert found.cause == "extraction" and "route 100 %" in found.summary


def rehearsed(arm: Arm) -> bool:
    """Whether an arm comes to a solve on made-up replies, with a check or without one."""
    asked = set()
    for is_checkable in (False, True):
        with suppress(BadInput):  # what searches by a check does not begin without one
            asked |= rehearse(arm, problem(checkable=is_checkable, schema='{"type": "string"}'))
    return Solve in asked


@pytest.mark.parametrize("name", sorted(set(names("methods")) - set(CHOOSERS)))
def test_the_methods_that_are_taken_to_come_to_the_solver_do(name):
    takes_solver = "to" in settings_of(names("methods")[name])
    for words in (name, *([f"{name} to=solver", f"{name} to=solver side_effects=true"] if takes_solver else [])):
        may = asks_solver(make_arm(words))
        assert rehearsed(make_arm(words)) == may or (may and name in UNHEARD), words


@pytest.mark.parametrize("costly", ["solve", "cascade to=solver", "vote n=4"])
def test_what_chooses_by_a_file_comes_to_the_solver_if_what_it_chooses_does(tmp_path, costly):
    router = {"cheap": "once", "costly": costly, "threshold": 0.5, "bias": 0.0, "weights": {}}
    (tmp_path / "r.json").write_text(json.dumps(router | {"logits": [], "shares": []}))
    arm = make_arm(f"route router={tmp_path}/r.json")
    arm = replace(arm, among=tuple(with_chosen(arm)[1:]))
    assert asks_solver(arm) == rehearsed(arm) == (costly != "vote n=4")
