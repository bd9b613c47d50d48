"""A rating is charged its own seconds: none of what runs beside it, and all that its rater counts elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from toys import PRICES, item

from trueup.bench.toy import Whole
from trueup.core.asks import Rate
from trueup.core.charge import MICRO
from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Problem
from trueup.models import Toy
from trueup.raters.pretrained import Pretrained
from trueup.run import Clerk
from trueup.run.tab import Tab
from trueup.solvers.satisfiable import satisfiable

SLACK = 0.04
HARD = "int a, b, c, d in 1..3000\ncon a*a*a + b*b*b == c*c*c + d*d*d + 7\ncon a > b + 3\ncon b > 100\ncon c > d"


def burn(seconds):
    """Keep a core busy for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Rater:
    """Does what it is told to before it rates."""

    fingerprint = "told"

    def __init__(self, work):
        self.work, self.seconds = work, 5.0

    async def rate(self, problem, texts):
        await self.work(self)
        return [1.0] * len(texts)

    async def close(self):
        pass


class OnGpu(Rater):
    """As one that holds a GPU."""

    fingerprint, billing = "on a gpu", "gpu"


def rating(tmp_path, rater, *others, problem=None, prices=PRICES):
    """The tab of one rating while others run, and the ledger's totals; its failure if it fails."""
    one = item() if problem is None else replace(item(), problem=problem)

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            tab = Tab(Stratum("s", (), Whole(), rater=rater), one)
            asked = Clerk(Toy(1.0), ledger, prices).answer(Rate(one.problem, ("a = 500",)), tab)
            told, *_ = await asyncio.gather(asked, *(other() for other in others), return_exceptions=True)
            await rater.close()
            assert not isinstance(told, BaseException) or isinstance(told, AskFailed)
            return tab.cost, {total.kind: total.micros / MICRO for total in ledger.totals()}

    return asyncio.run(go())


async def waits(rater):
    await asyncio.sleep(0.4)


async def works(rater):
    await asyncio.sleep(0)
    burn(0.1)
    await asyncio.sleep(0)
    burn(0.1)


async def counts(rater):
    """As one whose work another process does."""
    await asyncio.sleep(0)
    rater.seconds += 7.0


async def beside():
    await asyncio.to_thread(burn, 0.3)


async def on_the_loop():
    await asyncio.sleep(0.01)
    burn(0.3)


@pytest.mark.parametrize(
    ("work", "seconds"), [(waits, 0.0), (works, 0.2), (counts, 7.0)], ids=["waits", "works", "counts"]
)
def test_a_rating_is_charged_its_own_seconds_whatever_runs_beside_it(tmp_path, work, seconds):
    cost, totals = rating(tmp_path, Rater(work), beside, on_the_loop)
    assert seconds <= totals["rated"] < seconds + SLACK
    assert cost.seconds == pytest.approx(totals["rated"], abs=1e-6)
    assert cost.usd == PRICES.compute(cost.seconds)


def test_a_rating_that_fails_is_charged_what_its_rater_counted_until_then(tmp_path):
    async def breaks(rater):
        await counts(rater)
        raise KeyError("no such token")

    cost, totals = rating(tmp_path, Rater(breaks), beside)
    assert 7.0 <= totals["failed"] < 7.0 + SLACK and cost.seconds >= 7.0


def test_seconds_on_a_gpu_are_paid_by_the_gpu_hour_and_unknown_without_its_price(tmp_path):
    cost, _ = rating(tmp_path, OnGpu(counts), prices=replace(PRICES, gpu_hour=Decimal(3600)))
    assert cost.usd is not None and 7 <= cost.usd < Decimal("7.04")
    (tmp_path / "b").mkdir()
    assert rating(tmp_path / "b", OnGpu(counts))[0].usd is None


def test_satisfiable_is_charged_what_its_solver_took_in_a_process_of_its_own(tmp_path):
    asked = Problem("p", "s", (Message("user", HARD),), ratable=True)
    rater = satisfiable(limit_seconds=0.5)
    cost, totals = rating(tmp_path, rater, problem=asked)
    assert rater.seconds > 0.1
    assert rater.seconds <= totals["rated"] < rater.seconds + SLACK
    assert cost.seconds == pytest.approx(totals["rated"], abs=1e-6)


def test_a_pretrained_rater_counts_its_threads_seconds_and_not_those_of_others():
    torch = pytest.importorskip("torch")
    model = Pretrained("hf_reward", "", "", "cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    other = threading.Thread(target=burn, args=(0.3,))
    other.start()
    try:
        asyncio.run(model.beside(lambda: torch.set_num_threads(1) or burn(0.2)))
        other.join()
        assert 0.2 <= model.seconds < 0.2 + SLACK
        with pytest.raises(ZeroDivisionError):
            asyncio.run(model.beside(lambda: burn(0.1) or 1 / 0))
        assert 0.3 <= model.seconds < 0.3 + 2 * SLACK
    finally:
        torch.set_num_threads(before)


def test_a_pretrained_rater_on_a_gpu_counts_the_time_that_it_held_it():
    model = Pretrained("hf_reward", "", "", "cuda:0")
    asyncio.run(model.beside(lambda: time.sleep(0.2)))
    assert model.billing == "gpu" and model.seconds >= 0.2
