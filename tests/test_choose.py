"""The plan's choice, what it costs, and where training would pay, by hand numbers."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from studies import CARD, measured, study
from toys import PRICES

from trueup.core.errors import BadInput
from trueup.plan import Wish, assess, choose, measure

TEN = ["r" * 4] * 10
GRADED = {
    "once": "rrrrwwwwww",
    "vote n=4": "rrrrrrrrww",
    "vote n=8": "rrrrrrrrrw",
    "best_of_n n=8": "rrrrrrrrrr",
}
USD = {"once": "0.001", "vote n=4": "0.003", "vote n=8": "0.007", "best_of_n n=8": "0.007"}


def graded(arms=GRADED, *, usd=USD, oracles=("best_of_n n=8",), name="s", **more):
    return measured(TEN, arms, usd=usd, oracles=oracles, name=name, **more)


def picked(target, **wish):
    return choose(measure(graded()), Wish(target=target, **wish))


def rows(wish, **more):
    return {(row["a"], row["b"]): row for row in study(graded(**more), wish=wish)["plan"]["breakeven"]}


def test_the_cheapest_that_reaches_the_target_is_chosen():
    assert picked(0.4).label == "once"
    assert picked(0.7).label == "vote n=4"
    assert picked(0.9).label == "vote n=8"
    assert "reaches 70 % on the 10 items" in picked(0.7).reason


def test_where_nothing_reaches_the_target_the_most_accurate_is_chosen_and_that_is_said():
    choice = picked(0.95)
    assert (choice.label, choice.reaches) == ("vote n=8", False)
    assert choice.reason.startswith("Nothing reaches 95 %")


def test_a_price_of_errors_that_unknown_dollars_leave_unused_is_said_to_be():
    arms, usd = {"once": "r" * 5 + "w" * 5, "vote n=4": "r" * 10}, {"once": "5", "vote n=4": None}
    for priced, told in ((None, 0), (Decimal("0.1"), 1)):
        reason = choose(measure(graded(arms, usd=usd)), Wish(error_usd=priced)).reason
        assert "Dollars are unknown for vote n=4, so methods are compared by tokens" in reason
        assert reason.count("; the price of a wrong answer has no part in that.") == told


def test_of_equally_accurate_ones_the_cheaper_is_chosen():
    arms = {"vote n=8": "rrrrrrrrww", "vote n=4": "rrrrrrrrww"}
    choice = choose(measure(graded(arms)), Wish(target=0.9))
    assert choice.label == "vote n=4"
    assert "cheaper than vote n=8" in choice.reason


def test_no_oracle_is_ever_chosen():
    dice = random.Random(5)
    labels = ["once", *(f"vote n={n}" for n in range(2, 8))]
    for _ in range(300):
        arms = {label: "".join(dice.choices("rw", k=10)) for label in labels}
        usd = {label: dice.choice(["0.001", "0.002", None]) for label in labels}
        oracles = dice.sample(labels, dice.randint(0, 6))
        wish = Wish(target=dice.random() * 0.99 + 0.01, error_usd=dice.choice([None, Decimal("0.1")]))
        assert choose(measure(measured(TEN, arms, usd=usd, oracles=oracles)), wish).label not in oracles


def test_a_stratum_of_oracles_only_is_refused():
    with pytest.raises(BadInput, match="add `once`"):
        choose(measure(graded(oracles=tuple(GRADED))), Wish())


def test_unknown_dollars_are_not_free_so_tokens_decide():
    arms = {"once": "r" * 10, "vote n=4": "r" * 10}
    choice = choose(measure(graded(arms, usd={"once": "5", "vote n=4": None})), Wish())
    assert choice.label == "once"
    assert "Dollars are unknown for vote n=4, so methods are compared by tokens." in choice.reason


def test_a_price_for_errors_makes_the_better_method_the_cheaper_one():
    # vote n=4: .003 + .2 e; vote n=8: .007 + .1 e; they cross at e = .04.
    assert picked(0.7, error_usd=Decimal("0.039")).label == "vote n=4"
    assert picked(0.7, error_usd=Decimal("0.041")).label == "vote n=8"


def test_training_breaks_even_where_its_fixed_cost_is_earned_back():
    # $12 / (.007 - .001) = 2,000 requests against vote n=8, $12 / (.003 - .001) = 6,000 against vote n=4.
    found = rows(Wish(target=0.9, volume=5000, training_usd=Decimal(12)))
    assert found["training", "vote n=8"]["volume"] == pytest.approx(2000)
    assert found["training", "vote n=4"]["volume"] == pytest.approx(6000)
    assert "fewer than the plan sends here (5,000)" in found["training", "vote n=8"]["note"]
    assert "more than the plan sends here (5,000)" in found["training", "vote n=4"]["note"]
    assert found["training", "once"]["volume"] is None
    assert "what it can win is accuracy" in found["training", "once"]["note"]


def test_without_a_price_for_training_the_most_that_it_may_cost_is_named():
    # 5,000 x (.007 - .001) = $30.
    row = rows(Wish(target=0.9, volume=5000))["training", "vote n=8"]
    assert row["volume"] is None
    assert "at most $30 in all to pay at 5,000 requests" in row["note"]


def test_training_counts_the_requests_of_its_own_stratum():
    strata = graded(), graded(name="t")
    whole = study(*strata, wish=Wish(target=0.9, volume=5000, shares={"s": 0.8, "t": 0.2}))
    notes = {
        r["stratum"]: r["note"] for r in whole["plan"]["breakeven"] if r["b"] == "vote n=8" and r["a"] == "training"
    }
    assert "at most $24 " in notes["s"]
    assert "at most $6 " in notes["t"]


def test_training_with_its_own_accuracy_and_price_counts_its_errors():
    # saved: .007 - .002 + .05 x (.96 - .9) = .008; 12 / .008 = 1,500.
    wish = Wish(
        training_usd=Decimal(12), trained_usd=Decimal("0.002"), trained_accuracy=0.96, error_usd=Decimal("0.05")
    )
    assert rows(wish)["training", "vote n=8"]["volume"] == pytest.approx(1500)


def test_training_never_pays_against_what_costs_less_than_an_attempt():
    found = rows(Wish(training_usd=Decimal(12)), arms={**GRADED, "solve": "r" * 10}, usd={**USD, "solve": "0.00001"})
    assert found["training", "solve"]["volume"] is None
    assert "never pays in dollars" in found["training", "solve"]["note"]


def test_without_once_an_attempt_costs_what_it_would_alone():
    # The pool's attempts take 36 core-seconds at $0.05 an hour: $0.0005; 12 / (.003 - .0005) = 4,800.
    arms = {"vote n=4": GRADED["vote n=4"]}
    found = rows(Wish(training_usd=Decimal(12)), arms=arms, usd=USD, oracles=())
    assert found["training", "vote n=4"]["volume"] == pytest.approx(4800)


def test_the_dearer_arm_pays_above_the_price_of_the_errors_it_saves():
    # once -> vote n=4: .002 more for .4 more right: $0.005; vote n=4 -> vote n=8: .004 for .1: $0.04.
    found = rows(Wish(error_usd=Decimal("0.01")))
    assert found["once", "vote n=4"]["error_usd"] == pytest.approx(0.005)
    assert found["vote n=4", "vote n=8"]["error_usd"] == pytest.approx(0.04)
    assert found["once", "vote n=8"]["error_usd"] == pytest.approx(0.006 / 0.5)
    assert "at $0.01 it pays" in found["once", "vote n=4"]["note"]
    assert "at $0.01 it does not pay" in found["vote n=4", "vote n=8"]["note"]
    assert all(row["volume"] is None for (a, _), row in found.items() if a != "training")
    assert not any("best_of_n n=8" in pair for pair in found)


def test_an_unknown_price_breaks_even_nowhere_and_keeps_the_plan_unpriced():
    whole = study(graded(usd=dict.fromkeys(GRADED)), wish=Wish(training_usd=Decimal(12)))
    assert whole["plan"]["choices"]["s"]["usd"] is None
    assert whole["plan"]["cost_per_request"] is None
    assert whole["plan"]["cost_per_volume"] is None
    assert all(row["volume"] is None for row in whole["plan"]["breakeven"])


def test_the_plan_costs_its_choices_by_their_shares():
    cheap = graded({"once": "r" * 10}, name="easy", oracles=())
    whole = study(cheap, graded({"vote n=8": "r" * 10}, name="hard", oracles=()), wish=Wish(volume=1000))
    assert whole["plan"]["shares"] == {"easy": 0.5, "hard": 0.5}
    assert whole["plan"]["cost_per_request"] == pytest.approx(0.004)
    assert whole["plan"]["cost_per_volume"] == pytest.approx(4)
    shares = {"easy": 3, "hard": 1}
    other = study(cheap, graded({"vote n=8": "r" * 10}, name="hard", oracles=()), wish=Wish(shares=shares))
    assert other["plan"]["cost_per_request"] == pytest.approx(0.75 * 0.001 + 0.25 * 0.007)


def test_the_training_of_the_studys_own_model_is_in_the_plan_once():
    """$2 over 1,000 requests is $0.002 a request, however many strata ask the model."""
    wish = Wish(target=0.7, volume=1000, trained={"": Decimal(2)})
    whole = study(graded(), wish=wish)["plan"]
    assert whole["choices"]["s"]["label"] == "vote n=4" and whole["choices"]["s"]["training_usd"] == 2
    assert whole["cost_per_request"] == pytest.approx(0.003 + 0.002)
    untrained = {pair for pair in rows(Wish(target=0.7, volume=1000)) if pair[0] != "training"}
    assert {(row["a"], row["b"]) for row in whole["breakeven"]} == untrained
    both = study(graded(name="easy"), graded(name="hard"), wish=wish)["plan"]
    assert both["cost_per_request"] == pytest.approx(0.003 + 0.002)
    assert study(graded(), wish=replace(wish, trained={"": None}))["plan"]["cost_per_request"] is None


def test_a_trained_model_is_set_against_the_solver_that_asks_none():
    """The solver costs $0.008, one attempt of the model, trained for $14, $0.001: 14 / .007 = 2,000 requests."""
    usd = {"once": "0.001", "solve": "0.008"}
    found = graded({"once": "r" * 10, "solve": "r" * 10}, usd=usd, oracles=(), models={"solve": {}})
    plan = study(found, wish=Wish(volume=4000, trained={"": Decimal(14)}))["plan"]
    (row,) = plan["breakeven"]
    assert (row["a"], row["b"], row["fixed_usd"]) == ("training", "solve", 14)
    assert row["volume"] == pytest.approx(2000)
    fewer = study(found, wish=Wish(volume=1000, trained={"": Decimal(14)}))["plan"]
    assert [one["choices"]["s"]["label"] for one in (plan, fewer)] == ["once", "solve"]


def test_extraction_turns_into_training_past_the_crossing():
    pools = ["rrrr" + "abcd"] * 22 + ["abcdefgh"] * 2
    arms = {"once": "rrrrrrrrrr" + "w" * 14, "vote n=8": "r" * 22 + "ww"}
    stratum = measured(pools, arms, usd=USD)

    def diagnosis(volume):
        wish = Wish(volume=volume, training_usd=Decimal(12))
        return study(stratum, wish=wish, samples=8)["strata"]["s"]["diagnosis"]

    assert [diagnosis(v)["cause"] for v in (1999, 2001)] == ["extraction", "extraction"]
    assert [diagnosis(v)["lever"] for v in (1999, 2001)] == ["inference", "training"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": 0.0}, "target is 0.0; give an accuracy above 0"),
        ({"volume": 0.0}, "volume is 0.0"),
        ({"volume": 5e-324}, "volume is 5e-324; give requests from 1"),
        ({"volume": 1e300}, "volume is 1e+300; give requests from 1"),
        ({"error_usd": Decimal("1e300")}, "error_usd is 1E+300; give dollars from 0 to 1e+12"),
        ({"delta": 1.0}, "delta is 1.0"),
        ({"training_usd": Decimal(-1)}, "training_usd is -1"),
        ({"trained_accuracy": 1.5}, "trained_accuracy is 1.5"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_with_its_value(wrong, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        Wish(**wrong)


@pytest.mark.parametrize("shares", [{"s": 0.0}, {"s": 1.0, "other": 1.0}, {}, {"s": -1.0}])
def test_shares_must_be_those_of_the_strata(shares):
    with pytest.raises(BadInput):
        study(graded(), wish=Wish(shares=shares))


def test_a_study_is_json_and_the_same_bytes_again():
    wish = Wish(seed=4, training_usd=Decimal("12.50"), error_usd=Decimal("0.001"))
    first, second = (json.dumps(study(graded(), wish=wish), allow_nan=False) for _ in range(2))
    assert first == second
    assert json.loads(first)["plan"]["training_usd"] == 12.5
    assert list(json.loads(first)) == [
        "version", "trueup", "task", "model", "prices", "samples", "flop_formula", "strata", "plan", "ledger",
    ]  # fmt: skip


def test_figures_have_twelve_digits():
    whole = assess(
        [graded({"once": "rrrrwwwwww"}, oracles=())], CARD, PRICES, Wish(), task={}, samples=4,
        ledger={"charges": 1, "totals": [{"seconds": 1 / 3}]},
    )  # fmt: skip
    assert whole["ledger"]["totals"][0]["seconds"] == 0.333333333333


def test_examples_are_wrong_at_the_first_arm_whatever_the_others_did():
    def shown(vote):
        arms = {"once": "rwwwwwwwww", "vote n=8": vote}
        return study(graded(arms, oracles=()), wish=Wish(seed=1))["strata"]["s"]["examples"]

    first, second = shown("r" * 10), shown("w" * 10)
    assert [e["id"] for e in first] == [e["id"] for e in second]
    assert len(first) == 3
    assert all(e["answers"][0] == {"label": "once", "text": "w", "value": "w", "right": False} for e in first)
    assert first[0]["prompt"] == f"what is {first[0]['id']}?"
    assert shown("r" * 10) != study(
        graded({"once": "rwwwwwwwww", "vote n=8": "r" * 10}, oracles=()), wish=Wish(seed=2)
    )["strata"]["s"]["examples"]  # fmt: skip


def test_an_arm_that_needs_a_batch_is_never_chosen():
    found = graded(oracles=())
    arms = tuple(replace(arm, is_batch=arm.method == "best_of_n") for arm in found.arms)
    points = measure(replace(found, arms=arms))
    assert [point.label for point in points if not point.is_deployable] == ["best_of_n n=8"]
    assert choose(points, Wish(target=1.0)).label == "vote n=8"
