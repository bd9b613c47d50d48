"""Break-even against what a trained model really serves with, and the price of answers that are wrong, not withheld."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from studies import measured, study

from trueup.plan import Wish, choose, halves, measure
from trueup.plan.breakeven import trained
from trueup.plan.choose import wrong_share
from trueup.report import render
from trueup.report.breakeven import ways

POOLS = ["r" * 4] * 20
SIGNS = {"vote n=8": 12, "once model=1": 13, "vote n=16 model=1": 14, "best_of_n n=16 model=1": 19}
USD = {
    "vote n=8": "0.0008", "once model=1": "0.0001", "vote n=16 model=1": "0.0012", "best_of_n n=16 model=1": "0.0006",
}  # fmt: skip
TUNED = {"1": Decimal(400)}


def results(*labels, oracles=("best_of_n n=16 model=1",), signs=None, usd=USD):
    """Twenty items, of which each arm has so many right; model 1 is the trained one."""
    arms = {label: (signs or {}).get(label) or "r" * SIGNS[label] + "w" * (20 - SIGNS[label]) for label in labels}
    models = {label: {"1": "cpu"} if "model=1" in label else {"": "cpu"} for label in labels}
    return measured(POOLS, arms, usd=usd, oracles=[label for label in oracles if label in arms], models=models)


def row(found, a="training", b="vote n=8", **wish):
    plan = study(found, wish=Wish(target=0.6, **wish))["plan"]
    return next(each for each in plan["breakeven"] if (each["a"], each["b"]) == (a, b))


def test_an_oracle_on_a_trained_model_is_nothing_that_training_could_bring():
    """Served is `once`: $0.0007 and .05 errors of $0.01 saved, 400 / .0012 = 333,333 requests."""
    found = row(results("vote n=8", "once model=1", "best_of_n n=16 model=1"), trained=TUNED, error_usd=Decimal("0.01"))
    assert found["volume"] == pytest.approx(400 / 0.0012)
    assert found["trained"] == "once model=1"
    assert "`once model=1` was measured to and is right 65 % of the time (vote n=8: 60 %)" in found["note"]


def test_where_only_an_oracle_asks_the_trained_model_nothing_of_it_was_measured():
    found = row(results("vote n=8", "best_of_n n=16 model=1"), trained=TUNED, trained_usd=Decimal("0.0003"))
    assert found["trained"] == "" and "as assumed" in found["note"]


def test_the_cheapest_arm_of_a_trained_model_that_is_as_accurate_is_compared():
    """The dearer, better vote would never pay; `once` saves $0.0007: 400 / .0007 = 571,429 requests."""
    found = results("vote n=8", "once model=1", "vote n=16 model=1")
    cheapest = row(found, trained=TUNED)
    assert cheapest["volume"] == pytest.approx(400 / 0.0007) and cheapest["trained"] == "once model=1"
    # Priced at $1, the vote's 5 points fewer errors outweigh its $0.0011: it saves .1 - .0004 a request.
    dearer = row(found, trained=TUNED, error_usd=Decimal(1))
    assert (dearer["trained"], dearer["volume"]) == ("vote n=16 model=1", pytest.approx(400 / 0.0996))


def test_the_most_accurate_arm_is_compared_only_where_none_is_as_accurate():
    found = results("vote n=8", "once model=1", "vote n=16 model=1", signs={"vote n=8": "r" * 18 + "ww"})
    assert row(found, trained=TUNED)["trained"] == "vote n=16 model=1"
    points = measure(results("once model=1", "vote n=16 model=1"))
    assert trained(points, None, Wish(trained=TUNED)).label == "vote n=16 model=1"


def test_an_arm_of_unknown_price_is_compared_where_none_of_known_price_is_as_accurate():
    usd = USD | {"once model=1": None}
    both = results("vote n=8", "once model=1", "vote n=16 model=1", usd=usd)
    assert row(both, trained=TUNED)["trained"] == "vote n=16 model=1"
    alone = row(results("vote n=8", "once model=1", usd=usd), trained=TUNED)
    assert alone["note"] == "no crossing: what once model=1 costs is unknown" and alone["volume"] is None


def test_each_arm_of_a_trained_model_has_a_line_that_meets_its_crossings():
    """`once` is as accurate as the vote of eight, the solver only the trained vote: two lines of $400."""
    signs = {"solve": "r" * 14 + "w" * 6}
    usd = USD | {"solve": "0.004"}
    found = results("vote n=8", "solve", "once model=1", "vote n=16 model=1", signs=signs, usd=usd)
    for price in (None, Decimal("0.01")):
        whole = study(found, wish=Wish(target=0.6, trained=TUNED, error_usd=price))
        rows = [each for each in whole["plan"]["breakeven"] if each["volume"]]
        assert {each["b"]: each["trained"] for each in rows} == {
            "vote n=8": "once model=1", "solve": "vote n=16 model=1",
        }  # fmt: skip
        lines = {
            way.label: way for way in ways(whole["plan"]["breakeven"], whole["strata"]["s"]["points"], whole["plan"])
        }
        for each in rows:
            line = lines[f"training: {each['trained']}"]
            assert line.fixed == 400
            assert line.total(each["volume"]) == pytest.approx(lines[each["b"]].total(each["volume"]))
            errors = 0.0 if price is None else 0.01 * (1 - SIGNS[each["trained"]] / 20)
            assert line.each == pytest.approx(float(USD[each["trained"]]) + errors)
        assert "training: once model=1" in render(whole)


# abstentions

ABSTAINS = {"once": "r" * 9 + "w" * 11, "reset_and_discard n=16": "r" * 8 + "_" * 12}
ABSTAINS_USD = {"once": "0.0001", "reset_and_discard n=16": "0.0004"}


def test_an_abstention_is_no_wrong_answer_and_what_nobody_can_read_is_one():
    (point,) = measure(measured(POOLS, {"once": "rrrrwwww????!!!!____"}))
    assert wrong_share(point) == pytest.approx(0.6)


def test_a_price_for_wrong_answers_is_not_paid_for_abstentions():
    """At $10: `once` costs 5.5 a request, what abstains $0.0004."""
    found = choose(
        measure(measured(POOLS, ABSTAINS, usd=ABSTAINS_USD, oracles=[])), Wish(target=0.4, error_usd=Decimal(10))
    )
    assert found.label == "reset_and_discard n=16"
    assert found.reason.endswith("A wrong answer is counted at $10, an abstention at nothing.")


def test_training_pays_against_what_abstains_by_the_errors_that_it_saves():
    """saved: .0014 - .0004 + .01 (.1 - .05) = .0015; 30 / .0015 = 20,000."""
    found = measured(POOLS, {"vote n=8": "r" * 10 + "_" * 8 + "ww"}, usd={"vote n=8": "0.0014"})
    wish = {
        "training_usd": Decimal(30), "trained_usd": Decimal("0.0004"), "trained_accuracy": 0.95,
        "error_usd": Decimal("0.01"),
    }  # fmt: skip
    priced = row(found, **wish)
    assert priced["volume"] == pytest.approx(20_000)
    assert "is right 95 % and wrong 5 % of the time (vote n=8: 50 % and 10 %), an error at $0.01" in priced["note"]


def test_the_price_that_decides_between_two_arms_is_that_of_the_wrong_answers_saved():
    """$0.002 more for 4 more right and 2 fewer wrong of 20: $0.02 a wrong answer, not $0.01."""
    arms = {"vote n=4": "r" * 12 + "__" + "w" * 6, "vote n=8": "r" * 16 + "w" * 4}
    found = row(measured(POOLS, arms, usd={"vote n=4": "0.001", "vote n=8": "0.003"}), "vote n=4", "vote n=8")
    assert found["error_usd"] == pytest.approx(0.02)
    assert "and wrong 10 points less often; it pays where a wrong answer costs more than $0.02" in found["note"]


def test_no_price_of_wrong_answers_pays_for_what_is_wrong_no_less_often():
    arms = {"vote n=4": "r" * 12 + "_" * 8, "vote n=8": "r" * 16 + "w" * 4}
    found = row(
        measured(POOLS, arms, usd={"vote n=4": "0.001", "vote n=8": "0.003"}), "vote n=4", "vote n=8",
        error_usd=Decimal(1),
    )  # fmt: skip
    assert found["error_usd"] is None
    assert found["note"].endswith(
        "wrong no less often, since the cheaper abstains: no price of a wrong answer makes it pay"
    )


def test_the_figure_prices_the_wrong_answers_that_the_plan_priced():
    """After training $2 a request and right 90 %, an error at $10: 3; a costs 4 + 3, b 6 + 2. Training is $12."""
    points = [
        {"label": "a", "accuracy": 0.5, "cost": {"usd": 4.0}, "abstained": 4, "n": 20},
        {"label": "b", "accuracy": 0.8, "cost": {"usd": 6.0}, "abstained": 0, "n": 20},
    ]
    rows = [{"a": "training", "b": "a", "volume": 12 / 4}, {"a": "training", "b": "b", "volume": 12 / 5}]
    training, *arms = ways(rows, points, {"training_usd": 12.0, "error_usd": 10.0})
    assert [round(arm.each, 9) for arm in arms] == [7.0, 8.0]
    assert training.each == pytest.approx(3.0)


# what is asked, and at what size of a call

EITHER = {"": "cpu", "1": "cpu"}


def cascading(**more):
    """A vote of the study's own model, and a cascade that may ask the trained one."""
    arms = {"vote n=8": "r" * 12 + "w" * 8, "cascade to=1": "r" * 14 + "w" * 6}
    usd = {"vote n=8": "0.0008", "cascade to=1": "0.0001"}
    return measured(POOLS, arms, usd=usd, models={"cascade to=1": EITHER}, **more)


def test_what_may_ask_a_trained_model_bears_its_training():
    """$400 over a million requests is $0.0004: with $0.0001 of its own less than the vote, over 100,000 more."""
    many, few = (
        study(cascading(), wish=Wish(target=0.5, trained=TUNED, volume=volume))["plan"] for volume in (1e6, 1e5)
    )
    assert many["choices"]["s"]["label"] == "cascade to=1" and many["choices"]["s"]["training_usd"] == 400
    assert many["cost_per_request"] == pytest.approx(0.0001 + 0.0004)
    assert few["choices"]["s"]["label"] == "vote n=8" and few["cost_per_request"] == pytest.approx(0.0008)
    (against,) = many["breakeven"]
    assert (against["b"], against["trained"]) == ("vote n=8", "cascade to=1")
    assert against["volume"] == pytest.approx(400 / 0.0007)


def test_an_arm_bears_the_training_of_each_model_that_it_may_ask():
    """Of the study's own, $14, and of the other, $400; an unknown one leaves the plan unpriced."""
    only = measured(POOLS, {"cascade to=1": "r" * 20}, usd={"cascade to=1": "0.0001"}, models={"cascade to=1": EITHER})
    plan = study(only, wish=Wish(target=0.5, trained={"": Decimal(14), **TUNED}, volume=1e6))["plan"]
    assert plan["choices"]["s"]["training_usd"] == 414
    assert plan["cost_per_request"] == pytest.approx(0.0001 + 414e-6)
    unknown = study(only, wish=Wish(target=0.5, trained={"": None, **TUNED}))["plan"]
    assert unknown["choices"]["s"]["training_usd"] is None and unknown["cost_per_request"] is None


EXTRACTION = ["rrrr" + "abcd"] * 18 + ["abcdefgh"] * 2


@pytest.mark.parametrize(("wrong", "lever"), [(12, "inference"), (2, "training")])
def test_training_is_the_lever_only_where_what_it_brought_is_as_accurate(wrong, lever):
    """One attempt of the trained model costs $0.0001 and the vote $0.0008: 7 / .0007 = 10,000 requests.

    The vote is chosen, for what it has wrong, two of twenty, lies in the certifying half.
    """
    choosing, held_out = ({int(item.problem.id[1:]) for item in half.stratum.items} for half in halves(cascading()))
    missed = {"once": range(12), "vote n=8": sorted(held_out)[:2], "once model=1": [*choosing, *held_out][:wrong]}
    arms = {label: "".join("w" if i in places else "r" for i in range(20)) for label, places in missed.items()}
    usd = {"once": "0.0001", "vote n=8": "0.0008", "once model=1": "0.0001"}
    found = measured(EXTRACTION, arms, usd=usd, models={"once model=1": {"1": "cpu"}})
    whole = study(found, wish=Wish(target=0.95, trained={"1": Decimal(7)}, volume=20_000), samples=8)
    diagnosis, is_as_good = whole["strata"]["s"]["diagnosis"], wrong == 2
    assert (diagnosis["cause"], diagnosis["lever"]) == ("extraction", lever)
    assert ("is cheaper than vote n=8, and once model=1 is right as often" in diagnosis["summary"]) == is_as_good
    assert whole["plan"]["choices"]["s"]["label"] == "vote n=8"
    against = next(each for each in whole["plan"]["breakeven"] if (each["a"], each["b"]) == ("training", "vote n=8"))
    assert against["volume"] == pytest.approx(10_000) and against["is_less_accurate"] != is_as_good
    page = render(whole)
    assert ("training pays from 10k requests" in page) == is_as_good
    assert ("training is cheaper and less often right from 10k requests" in page) != is_as_good


def drawn(found, a_call):
    """The results, whose pools came so many attempts to a call."""
    pools = [
        replace(pool, attempts=tuple(
            replace(one, usage=replace(one.usage, leads=one.index % a_call == 0)) for one in pool.attempts
        ))
        for pool in found.pools
    ]  # fmt: skip
    return replace(found, pools=tuple(pools))


def test_seconds_of_calls_of_different_sizes_do_not_say_that_training_never_pays():
    signs = {"vote n=8": "r" * 12 + "w" * 8, "once model=1": "r" * 13 + "w" * 7}
    dear = {"vote n=8": "0.0008", "once model=1": "0.0012"}
    found = results("vote n=8", "once model=1", signs=signs, usd=dear)
    alone, shared = (row(drawn(found, a_call), trained=TUNED) for a_call in (1, 4))
    assert alone["note"].startswith("training never pays in dollars: a request would cost $1.2 per 1,000")
    assert shared["volume"] is None and "never pays" not in shared["note"]
    assert shared["note"] == (
        "whether training pays in dollars was not measured: a request would cost $1.2 per 1,000, vote n=8 costs $0.8; "
        "these are dollars of seconds, and attempts of vote n=8 came 4 to a call and share its seconds, while "
        "once model=1 was sampled in calls of its own"
    )
    cheap = row(drawn(results("vote n=8", "once model=1", signs=signs), 4), trained=TUNED)
    assert cheap["volume"] == pytest.approx(400 / 0.0007) and cheap["note"].endswith("in calls of its own")


def test_what_is_paid_by_the_token_or_asks_the_same_model_compares_at_any_size_of_a_call():
    bought = {"vote n=8": {"": "gpt"}, "once model=1": {"1": "gpt"}}
    arms = {"vote n=8": "r" * 12 + "w" * 8, "once model=1": "r" * 13 + "w" * 7}
    usd = {"vote n=8": "0.0008", "once model=1": "0.0012"}
    found = drawn(measured(POOLS, arms, usd=usd, models=bought), 4)
    assert row(found, trained=TUNED)["note"].startswith("training never pays in dollars")
    own = drawn(measured(POOLS, {"vote n=8": arms["vote n=8"]}, usd=usd), 4)
    assert row(own, trained_usd=Decimal("0.0012"))["note"].startswith("training never pays in dollars")


STRONG = "once model=strong"
ASKED_OF = {"once": {"": "m"}, "vote n=16": {"": "m"}, STRONG: {"strong": "s"}}


@pytest.mark.parametrize("labels", [("once", STRONG, "vote n=16"), (STRONG, "once", "vote n=16")])
def test_after_training_a_request_is_taken_to_cost_what_once_of_this_model_does(labels):
    """A vote at $0.0016 against `once` at $0.0001: 150 / .0015 = 100,000 requests, wherever the other model stands."""
    usd = {"once": "0.0001", STRONG: "0.01", "vote n=16": "0.0016"}
    signs = {"once": "r" * 8 + "w" * 12, STRONG: "r" * 20, "vote n=16": "r" * 16 + "w" * 4}
    found = measured(POOLS, {label: signs[label] for label in labels}, usd=usd, models=ASKED_OF)
    pays = row(found, b="vote n=16", training_usd=Decimal(150))
    assert pays["volume"] == pytest.approx(100_000) and "a request as `once` does now" in pays["note"]


def test_without_once_of_this_model_it_is_what_an_attempt_of_it_costs():
    arms = {STRONG: "r" * 20, "vote n=16": "r" * 16 + "w" * 4}
    points = measure(measured(POOLS, arms, usd={STRONG: "0.01", "vote n=16": "0.0016"}, models=ASKED_OF))
    after = trained(points, 0.0001, Wish())
    assert (after.usd, after.basis) == (0.0001, "as one attempt does now")
