"""The plan's choices together: a training is paid for once, and whoever needs it may lean on who pays."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

import pytest
from studies import measured, study

from trueup.plan import Wish, measure
from trueup.plan.mix import choose_all

TEN = ["r" * 4] * 10
OWN, TUNED = {"": "cpu"}, {"tuned": "cpu"}
VOTE, AFTER = "vote n=16", "once model=tuned"
USD = {"once": "0.001", VOTE: "0.034", AFTER: "0.004"}
MODELS = {"once": OWN, VOTE: OWN, AFTER: TUNED}


def stratum(name="s", right=(4, 10, 10), usd=USD, models=MODELS):
    arms = {label: "r" * n + "w" * (10 - n) for label, n in zip(models, right, strict=True)}
    return measured(TEN, arms, usd=usd, name=name, models=models)


def labels(*strata, **wish):
    choices = study(*strata, wish=Wish(target=0.8, **wish))["plan"]["choices"]
    return [choices[found.stratum.name]["label"] for found in strata]


def test_strata_that_share_a_trained_model_pay_for_it_together():
    """$20 over 300 requests: a stratum alone would pay .2 a request for .03; three of 500 each .0133."""
    strata, tuned = [stratum(name) for name in "abc"], {"tuned": Decimal(20)}
    assert labels(*strata, volume=1500, trained=tuned) == [AFTER] * 3
    assert labels(*strata, volume=600, trained=tuned) == [VOTE] * 3
    assert labels(strata[0], volume=600, trained=tuned) == [VOTE]
    assert labels(strata[0], volume=700, trained=tuned) == [AFTER]


def test_the_crossing_of_a_stratum_among_others_is_said_to_be_its_own():
    wish = Wish(target=0.8, trained={"tuned": Decimal(20)})
    among, alone = (study(*found, wish=wish)["plan"] for found in ((stratum("a"), stratum("b")), (stratum("a"),)))
    note = "; one training for several strata pays from fewer on"
    told = [[row["note"].endswith(note) for row in plan["breakeven"] if row["volume"]] for plan in (among, alone)]
    assert told == [[True, True], [False]]


def test_who_needs_the_trained_model_to_reach_the_target_pays_for_who_does_not():
    tuned = {"tuned": Decimal(20)}
    easy, hard = stratum("easy"), stratum("hard", right=(4, 5, 10))
    assert labels(easy, volume=100, trained=tuned) == [VOTE]
    assert labels(easy, hard, volume=100, trained=tuned) == [AFTER, AFTER]


def test_where_nothing_reaches_the_target_the_most_accurate_is_taken_whatever_its_training_cost():
    below = stratum("below", right=(0, 0, 6))
    assert labels(below, volume=10, trained={"tuned": Decimal(10_000)}) == [AFTER]


def test_a_training_of_unknown_price_is_never_taken_for_free():
    """Its stratum is compared by tokens, and the others are as they were without it."""
    plan = study(stratum("a"), wish=Wish(target=0.8, volume=10, trained={"tuned": None}))["plan"]
    assert "Dollars are unknown for once model=tuned" in plan["choices"]["a"]["reason"]
    plain = stratum("b", right=(10, 10), usd={"once": "0.001", VOTE: "0.034"}, models={"once": OWN, VOTE: OWN})
    assert labels(stratum("a"), plain, volume=10, trained={"tuned": None})[1] == "once"


def test_a_stratum_that_sends_nothing_pays_nothing():
    shares, strata = {"a": 1.0, "c": 0.0}, (stratum("a"), stratum("c"))
    assert labels(*strata, shares=shares, volume=1e6, trained={"tuned": Decimal(20)}) == [AFTER, AFTER]
    assert labels(*strata, shares=shares, volume=10, trained={"tuned": Decimal(20)}) == [VOTE, VOTE]
    needing = (stratum("a", right=(10, 10, 10)), stratum("c", right=(0, 0, 10)))
    assert labels(*needing, shares=shares, volume=10, trained={"tuned": Decimal(20)})[0] == "once"


@pytest.mark.parametrize("seed", range(40))
def test_no_other_mix_that_reaches_as_much_is_cheaper(seed):
    """Against all mixes, one by one."""
    rng = random.Random(seed)
    names = {"once": OWN, "once model=p": {"p": "cpu"}, "once model=q": {"q": "cpu"}, "vote n=2": {"p": "cpu", **OWN}}
    usd = {label: str(rng.choice([1, 2, 3, 5])) for label in names}
    strata = {name: measure(stratum(name, [rng.randint(5, 10) for _ in names], usd, names)) for name in "abc"}
    requests = {name: rng.choice([1.0, 4.0, 9.0]) for name in strata}
    trained = {name: Decimal(rng.choice([1, 10, 30])) for name in ("p", "q")}
    wish = Wish(target=0.8, trained=trained)

    def reached(mix):
        return [min(point.accuracy, 0.8) for point in mix]

    def worth(mix):
        cost = sum(requests[name] * point.cost.usd for name, point in zip(strata, mix, strict=True))
        return cost + float(wish.fixed_usd({model for point in mix for model in point.models}))

    best = [max(reached(points)) for points in strata.values()]
    chosen = choose_all(strata, requests, wish)
    mix = [next(p for p in points if p.label == chosen[name].label) for name, points in strata.items()]
    assert reached(mix) == best
    others = (other for other in itertools.product(*strata.values()) if reached(other) == best)
    assert worth(mix) == pytest.approx(min(map(worth, others)))
