"""Work told where it is done, and a claim's ledger of it."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from trueup.claims import Pieces
from trueup.claims.books import post
from trueup.core.cost import Prices
from trueup.core.ledger import read_charges, verify
from trueup.train.meter import Work, metered, settle, working

PRICES = Prices("2026-01-01", Decimal(36))


def test_work_is_told_to_the_innermost_meter_alone():
    kept = []
    with metered(lambda found: kept.append(("outer", dict(found)))):
        with working("sampled") as told:
            told(lambda: Work(1, 2, 3))
        with metered(lambda found: kept.append(("inner", dict(found)))), working("judge") as told:
            told(lambda: Work(10))
        settle()
    assert [name for name, _ in kept] == ["inner", "outer", "outer"]
    assert set(kept[0][1]) == {"judge"} and set(kept[2][1]) == {"sampled"}
    assert kept[2][1]["sampled"].prompt_tokens == 1 and kept[2][1]["sampled"].flops == 3


def test_work_inside_other_work_is_not_counted_twice():
    kept, now = {}, iter((1.0, 3.0, 10.0, 12.0))
    with metered(kept.update), working("trained", lambda: next(now)), working("sampled", lambda: next(now)):
        pass
    assert (kept["sampled"].seconds, kept["trained"].seconds) == (7.0, 4.0)


def test_seconds_of_the_cpu_are_those_that_its_cores_worked():
    torch = pytest.importorskip("torch")
    from trueup.train.laboratory.costs import at_work

    kept = {}
    with metered(kept.update), at_work("sampled", torch.device("cpu")):
        time.sleep(0.3)
    assert kept["sampled"].seconds < 0.2


def test_what_is_broken_off_counts_as_far_as_it_was_told():
    kept = {}
    with pytest.raises(KeyboardInterrupt), metered(kept.update):
        part(5, fails=True)
    assert kept["sampled"].prompt_tokens == 5
    with working("sampled") as told:
        told(lambda: pytest.fail("nobody counts"))


def part(tokens, fails=False):
    with working("sampled") as told:
        told(lambda: Work(tokens, 1, 7_000_000))
        if fails:
            raise KeyboardInterrupt
    return tokens


def test_a_claims_ledger_has_all_tries_of_each_part_once(tmp_path):
    pieces = Pieces(tmp_path, "about")
    with pytest.raises(KeyboardInterrupt):
        pieces.get("a", lambda: part(3, fails=True))
    assert pieces.spent() == {} and post(pieces, "claim x", PRICES) == [], "a part that is not done may go on"
    pieces.get("b.5", lambda: [pieces.get("a", lambda: part(4)), part(10)])
    for again in range(2):
        (total,) = post(Pieces(tmp_path, "about"), "claim x", PRICES)
        assert (total.kind, total.charges, total.prompt_tokens, total.completion_tokens) == ("sampled", 2, 17, 3), again
        assert total.megaflops == 21 and not total.unpriced
    (tmp_path / "a.json").unlink()
    pieces.get("a", lambda: part(20))
    assert post(pieces, "claim x", PRICES)[0].prompt_tokens == 37, "what is made anew is paid again"
    rows = {row.stratum: row for row in read_charges(tmp_path / "ledger.sqlite")}
    assert (rows["a"].prompt_tokens, rows["b.5"].prompt_tokens) == (20, 10) and rows["a"].source == "claim x"
    assert not verify(tmp_path / "ledger.sqlite").discrepancies
    assert post(Pieces(tmp_path / "gpu", "about"), "claim y", None) == []


def test_dollars_without_a_price_are_unknown(tmp_path):
    pieces = Pieces(tmp_path, "about")
    pieces.get("a", lambda: part(1))
    assert post(pieces, "claim x", None)[0].unpriced == 1


@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_what_a_meter_is_told_is_what_training_says_it_spent(kl):
    torch = pytest.importorskip("torch")
    from trueup.train.laboratory import Recipe, Shape, Transformer
    from trueup.train.laboratory.policy import attempts_at, reinforce
    from trueup.train.laboratory.tasks.sums import Sums

    torch.manual_seed(0)
    model, before = (Transformer(Shape(layers=1, width=16, heads=2, context=24)) for _ in range(2))
    task, kept = Sums(2), {}
    roll = attempts_at(model, lambda rng, n: task.prompts(rng, n), task.check, group=4, most=6)
    with metered(kept.update):
        spent = reinforce(model, roll, Recipe(3, rows=8), reference=before, kl=kl)
    assert sum(work.flops for work in kept.values()) == spent.flops
    assert kept["trained"].prompt_tokens == spent.tokens and ("reference" in kept) == (kl > 0)
    assert set(kept) == {"trained", "sampled"} | ({"reference"} if kl else set())
    assert kept["sampled"].completion_tokens > 0 and all(work.seconds > 0 for work in kept.values())
