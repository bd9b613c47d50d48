"""What a solver's limits decided is decided anew under others; what ended by accident is tried again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from toys import PRICES

from trueup import methods, solvers
from trueup.bench.toy import Whole, toy_item
from trueup.catalog import SOLVERS
from trueup.core.ledger import Ledger, read_charges, verify
from trueup.core.settings import settings_of
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Solution
from trueup.models import Toy
from trueup.run import Clerk, Job, run_job

LIMITED = [*SOLVERS.values(), solvers.satisfiable]


class Told:
    """A solver that ends as it is told."""

    fingerprint = "told:1"

    def __init__(self, *statuses):
        self.left = list(statuses)

    async def solve(self, problem) -> Solution:
        return Solution(self.left.pop(0), "right", seconds=2.0)

    async def close(self):
        pass


def solved(tmp_path, solver, *, times):
    """What became of one item under `solve` in so many runs, and what a run paid for it."""

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Toy(1.0), ledger, PRICES)
            return await run_job(Job(stratum, toy_item(1), Arm("solve", {}, methods.solve)), clerk)

    stratum = Stratum("toy", (), Whole(), solver=solver)
    outcomes = [asyncio.run(go()) for _ in range(times)]
    assert verify(tmp_path / "l").discrepancies == ()
    return [(outcome.answer.value, outcome.cost.seconds) for outcome in outcomes]


@pytest.mark.parametrize("maker", LIMITED, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize(("limit", "other"), [("limit_seconds", 0.5), ("memory_megabytes", 100)])
def test_a_solver_of_other_limits_is_another_one(maker, limit, other):
    assert limit in settings_of(maker)
    assert maker(**{limit: other}).fingerprint != maker().fingerprint
    assert maker(**{limit: int(settings_of(maker)[limit].default)}).fingerprint == maker().fingerprint


def test_what_crashed_is_solved_again_and_paid_each_time_and_what_timed_out_is_kept(tmp_path):
    assert solved(tmp_path, Told("crashed", "crashed", "solved"), times=4) == [
        (None, 2.0), (None, 2.0), ("right", 2.0), ("right", 2.0),
    ]  # fmt: skip
    assert [charge.kind for charge in read_charges(tmp_path / "l")].count("solve") == 3
    assert solved(tmp_path / "t", Told("timeout"), times=2) == [(None, 2.0)] * 2


def test_twins_that_crash_are_a_charge_each(tmp_path):
    async def go():
        with Ledger(tmp_path / "l") as ledger:
            clerk = Clerk(Toy(1.0), ledger, PRICES)
            job = Job(stratum, toy_item(1), Arm("solve", {}, methods.solve))
            return await asyncio.gather(*(run_job(replace(job), clerk) for _ in range(8)))

    stratum = Stratum("toy", (), Whole(), solver=Told(*["crashed"] * 7, "solved"))
    outcomes = asyncio.run(go())
    assert sorted(outcome.answer.value or "" for outcome in outcomes) == [""] * 7 + ["right"]
    assert verify(tmp_path / "l").discrepancies == ()
