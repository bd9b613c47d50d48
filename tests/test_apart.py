"""Work in processes of its own: what it returns and raises, and that none of them stays."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import resource
import time

import pytest
from toys import PRICES, attempts, problem

from trueup.core.errors import AskFailed, BadForm, BadInput
from trueup.core.ledger import Ledger, read_charges
from trueup.core.stratum import Stratum
from trueup.core.types import Item
from trueup.models import Toy
from trueup.run import Clerk
from trueup.run.apart import MOST_SECONDS, Apart, packed
from trueup.run.clerk import _grade_all
from trueup.run.tab import Tab
from trueup.verifiers import json_schema


def is_alive(child):
    return child.process.poll() is None


def test_a_call_comes_back_and_its_child_is_kept_for_the_next():
    async def twice():
        pool = Apart()
        first, seconds = await pool.call(60, packed(math.factorial, 20_000))
        (child,) = pool._idle
        second, _ = await pool.call(60, packed(os.getpid))
        assert second == child.process.pid and pool._idle == [child]
        pool.close()
        assert not is_alive(child) and not pool._idle
        return first, seconds

    value, seconds = asyncio.run(twice())
    assert value == math.factorial(20_000) and 0 < seconds < 60


def test_errors_of_ours_come_back_as_they_are():
    async def one():
        pool = Apart()
        with pytest.raises(BadInput, match="item 'p' has no schema"):
            await pool.call(60, packed(json_schema().check, "1", problem(), None))
        pool.close()

    asyncio.run(one())


def test_what_does_not_end_is_killed_and_the_next_call_has_a_new_child():
    async def one():
        pool = Apart()
        with pytest.raises(TimeoutError):
            await pool.call(0.5, packed(time.sleep, 600))
        assert not pool._idle
        assert (await pool.call(60, packed(math.sqrt, 4)))[0] == 2
        pool.close()

    asyncio.run(one())


def test_a_child_that_dies_fails_its_call():
    async def one():
        pool = Apart()
        with pytest.raises(AskFailed, match="died"):
            await pool.call(60, packed(os._exit, 1))
        assert not pool._idle

    asyncio.run(one())


def test_a_pool_that_nobody_closes_ends_its_children():
    async def one():
        pool = Apart()
        await pool.call(60, packed(math.sqrt, 4))
        return pool._idle[0]

    child = asyncio.run(one())
    gc.collect()
    assert not is_alive(child)


def test_what_another_process_cannot_know_is_not_packed():
    assert packed(lambda: 1) is None
    assert packed(math.sqrt, 4) is not None


def test_a_kept_child_that_died_is_replaced():
    async def one():
        pool = Apart()
        await pool.call(60, packed(math.sqrt, 4))
        pool._idle[0].process.kill()
        pool._idle[0].process.wait()
        assert (await pool.call(60, packed(math.sqrt, 9)))[0] == 3
        pool.close()

    asyncio.run(one())


def test_the_time_of_a_work_has_an_end_though_nobody_kills_it():
    async def one():
        pool = Apart()
        (most, _), _ = await pool.call(60, packed(resource.getrlimit, resource.RLIMIT_CPU))
        pool.close()
        return most

    assert MOST_SECONDS < asyncio.run(one()) < 2 * MOST_SECONDS


@pytest.mark.parametrize("schema", ['{"type":"nosuch"}', '{"$ref":"#/none"}'])
def test_a_schema_that_is_none_stays_one_that_the_client_sent(schema):
    async def one():
        pool = Apart()
        with pytest.raises(BadForm, match="its schema"):
            await pool.call(60, packed(json_schema().check, "1", problem(schema=schema), None))
        pool.close()

    asyncio.run(one())


def test_a_check_that_breaks_is_charged_its_own_seconds_and_no_wait_for_a_process(tmp_path, monkeypatch):
    limit, n = 0.4, 5
    monkeypatch.setattr("trueup.run.clerk.SCHEMA_SECONDS", limit)
    schema = json.dumps({"type": "string", "pattern": "^(a+)+$"})
    (attempt,) = attempts(f'"{"a" * 40}!"')
    stratum = Stratum("s", (), json_schema(), json_schema())
    tabs = [Tab(stratum, Item(problem(f"p{i}", schema=schema, checkable=True), None, "c")) for i in range(n)]

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Toy(1.0), ledger, PRICES)
            clerk._apart = Apart(_room=asyncio.Semaphore(1))
            told = await asyncio.gather(*(clerk.grade([attempt], tab) for tab in tabs), return_exceptions=True)
            await clerk.close()
            return told

    assert all("busy for over 0.4 s" in str(failure) for failure in asyncio.run(go()))
    assert [charge.decode_seconds for charge in read_charges(tmp_path / "l")] == [limit] * n
    assert [tab.cost.seconds for tab in tabs] == [limit] * n


class Breaking:
    """A verifier that breaks after some work, in whatever process."""

    name = "breaking"

    def check(self, answer, problem, reference):
        math.factorial(20_000)
        raise ZeroDivisionError("by zero")


def test_a_failure_tells_what_its_process_spent(monkeypatch):
    async def one(work):
        pool = Apart()
        with pytest.raises(AskFailed) as caught:
            await pool.call(60, work)
        pool.close()
        return caught.value

    broke = asyncio.run(one(packed(_grade_all, Breaking(), ["1"], problem(), None)))
    assert "by zero" in str(broke) and 0 < broke.seconds < 5
    assert 0 < asyncio.run(one(packed(os._exit, 1))).seconds < 5
    monkeypatch.setattr("trueup.run.apart.START_SECONDS", 0)
    unready = asyncio.run(one(packed(math.sqrt, 4)))
    assert (str(unready), unready.seconds) == ("the process of a check died", 0)
