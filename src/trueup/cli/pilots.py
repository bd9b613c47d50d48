"""Pilots of a study: what first attempts tell of an item, and what they add to the cost of each method.

Attempts are paid once, so that a method behind a pilot pays for what the pilot has not had. Both are run on one tab,
out of the ledger alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np

from trueup.catalog import open_model
from trueup.cli.pipeline import LEDGER_FILE, Findings, split_sets
from trueup.cli.request import Request
from trueup.cli.screen import warn
from trueup.cli.snapshot import snapshot
from trueup.core.asks import sample
from trueup.core.cost import CPU, Cost
from trueup.core.errors import AskFailed, BadInput
from trueup.core.outcome import Measured, Pool
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Problem, Solution
from trueup.methods.appraise import appraise
from trueup.methods.compute_optimal import AGREEMENT, RATING, agreement
from trueup.models import Sealed
from trueup.plan.compute_optimal import Pilot
from trueup.plan.logged import Logged, in_unit, pilot_cost, with_attempts
from trueup.run import Clerk, Tab, answer
from trueup.run.blame import blamed
from trueup.run.watch import billing_of


def piloted(whole: Measured, size: int) -> Measured:
    """What is known of the items that a pilot can be made of; a warning of those that it cannot.

    Raises BadInput where that is all of them.
    """
    measured = with_attempts(whole, size)
    items, left = len(whole.stratum.items), len(whole.stratum.items) - len(measured.stratum.items)
    why = next((f": {pool.failure}" for pool in whole.pools if len(pool.attempts) < size and pool.failure), "")
    told = f"{whole.stratum.name}: {left} of {items} items left out, which have fewer than {size} attempts{why}"
    warn([told] * (left > 0))
    return measured


@contextmanager
def ledger_clerk(request: Request, findings: Findings, folder: Path) -> Iterator[Clerk]:
    """A clerk for all that a study has asked its models, who asks none."""
    sets, specs = split_sets(request.sets), request.specs()
    cards = {name: open_model(spec, sets.get(name, {})).card for name, spec in specs.items() if name}
    models = {name: Sealed(card, all_was_asked=True) for name, card in cards.items()}
    with snapshot(folder / LEDGER_FILE) as ledger:
        yield Clerk(Sealed(findings.card, all_was_asked=True), ledger, findings.prices, models)


def ask_pilots(measured: Measured, logs: Logged, clerk: Clerk, *, size: int, signal: str) -> Pilot:
    """A pilot of so many attempts at every item, and what it adds to each logged method there.

    In full, and a warning says so, where the ledger lacks what a method was told. Raises BadInput for a stratum without
    the rater that the signal needs, or ratings that are not in the ledger.
    """
    if signal == RATING and measured.stratum.rater is None:
        raise BadInput(
            f"stratum {measured.stratum.name!r} has no rater for --signal {RATING}; "
            f"take --signal {AGREEMENT}, or another --stratum"
        )
    full = pilot_cost(measured, size, clerk.model.card, clerk.prices, logs.unit)
    pilots = _Pilots(_shut(measured.stratum), clerk, size, signal, logs.unit)
    asked, rows = asyncio.run(pilots.beneath(measured, logs.names))
    full += [one.rating for one in asked]
    added = np.array(rows)
    lacking = [f"`{name}`" for name, row in zip(logs.names, added, strict=True) if np.isnan(row).any()]
    told = f"{measured.stratum.name}: the ledger lacks some ratings or solutions that {', '.join(lacking)} asked for"
    warn([f"{told}; the pilot is charged in full there, which is the most that it adds"] * bool(lacking))
    return Pilot(np.array([one.ease for one in asked]), np.where(np.isnan(added), full, added))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a pilot says of an item, and its tab; what its rating cost, and how much of that is not on the tab."""

    ease: float
    tab: Tab
    rating: float = 0.0
    beside: float = 0.0


@dataclass(frozen=True, slots=True)
class _Pilots:
    """Pilots of one size at the items of a stratum that works nothing out; costs are in `unit`."""

    stratum: Stratum
    clerk: Clerk
    size: int
    signal: str
    unit: str

    async def beneath(self, measured: Measured, names: Sequence[str]) -> tuple[list[_Asked], list[list[float]]]:
        """The pilot at every item, and per method what it adds at each."""
        pools = {pool.item.problem.id: pool for pool in measured.pools}
        arms = {arm.label: arm for arm in measured.arms}
        alone = {(outcome.arm, outcome.item.problem.id): outcome.cost for outcome in measured.outcomes}
        ids = [item.problem.id for item in measured.stratum.items]
        asked = [await self._ask(pools[one]) for one in ids]
        rows = [
            [await self._added(pilot, arms[name], alone[name, one]) for pilot, one in zip(asked, ids, strict=True)]
            for name in names
        ]
        return asked, rows

    async def _ask(self, pool: Pool) -> _Asked:
        tab = Tab(self.stratum, pool.item)
        with suppress(AskFailed):
            await answer(sample(pool.item.problem.prompt, self.size), tab, self.clerk)
        if self.signal == AGREEMENT:
            return _Asked(agreement(pool.attempts[: self.size]), tab)
        return await self._rated(pool, tab)

    async def _rated(self, pool: Pool, tab: Tab) -> _Asked:
        """The mean rating of a pool's first attempts, at their part of what their ask cost.

        They are read out of the shortest beginning of the pool that was rated in one ask.
        """
        for end in range(self.size, len(pool.attempts) + 1):
            its = Tab(self.stratum, pool.item)
            try:
                ratings = await answer(appraise(pool.item.problem, pool.attempts[:end]), its, self.clerk)
            except _Unbooked:
                continue
            ease, cost = sum(ratings[: self.size]) / self.size, self._amount(its.cost) * self.size / end
            if end > self.size:
                return _Asked(ease, tab, cost, cost)
            tab.pay(its.paid, its.cost)
            return _Asked(ease, tab, cost)
        raise BadInput(
            f"the ledger has no ratings of the first {self.size} attempts at {pool.item.problem.id!r}; "
            f"run `trueup study` again with `weighted_best_of_n n={self.size}` among its --methods"
        )

    async def _added(self, pilot: _Asked, arm: Arm, alone: Cost) -> float:
        """What a pilot and an arm behind it cost together, less the arm alone; NaN where the ledger does not tell."""
        tab = replace(pilot.tab, paid=set(pilot.tab.paid), act=replace(pilot.tab.act))
        problem = tab.item.problem
        try:
            with suppress(AskFailed), blamed(f"method {arm.label!r}", "answer", problem.id):
                await answer(arm.start(problem), tab, self.clerk)
        except _Unbooked:
            return nan
        return self._amount(tab.cost) + pilot.beside - self._amount(alone)

    def _amount(self, cost: Cost) -> float:
        return in_unit(cost, self.unit) or 0.0


class _Unbooked(BadInput):
    """What the ledger does not have."""


@dataclass(frozen=True, slots=True)
class _Ledgered:
    """Implements Rater and Solver with another's fingerprint and billing, and works nothing out."""

    fingerprint: str
    billing: str = CPU

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """No ratings; raises `_Unbooked`."""
        raise _Unbooked(f"no ratings of {len(texts)} texts at {problem.id!r}")

    async def solve(self, problem: Problem) -> Solution:
        """No solution; raises `_Unbooked`."""
        raise _Unbooked(f"no solution of {problem.id!r}")

    async def close(self) -> None:
        """Nothing to close."""


def _shut(stratum: Stratum) -> Stratum:
    """The stratum with what its rater and its solver are paid as, and neither of them."""
    rater, solver = stratum.rater, stratum.solver
    return replace(
        stratum,
        rater=None if rater is None else _Ledgered(rater.fingerprint, billing_of(rater)),
        solver=None if solver is None else _Ledgered(solver.fingerprint),
    )
