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

from trueup.cli.pipeline import LEDGER_FILE, Findings
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
def ledger_clerk(findings: Findings, folder: Path) -> Iterator[Clerk]:
    """A clerk for all that a study has asked its models, who asks none."""
    models = {name: Sealed(card, all_was_asked=True) for name, card in findings.cards.items()}
    with snapshot(folder / LEDGER_FILE) as ledger:
        yield Clerk(models.pop(""), ledger, findings.prices, models)


def ask_pilots(measured: Measured, logs: Logged, clerk: Clerk, *, size: int, signal: str) -> Pilot:
    """A pilot of so many attempts at every item, and what it adds to each logged method there.

    In full, and a warning says so, where the ledger lacks what a method was told, or what both cost. Raises BadInput
    for a stratum without the rater that the signal needs, or ratings that are not in the ledger or of unknown cost.
    """
    if signal == RATING and measured.stratum.rater is None:
        raise BadInput(
            f"stratum {measured.stratum.name!r} has no rater for --signal {RATING}; "
            f"take --signal {AGREEMENT}, or another --stratum"
        )
    attempts_cost = pilot_cost(measured, size, clerk.model.card, clerk.prices, logs.unit)
    told = asyncio.run(_Pilots(_shut(measured.stratum), clerk, size, signal, logs.unit).at_items(measured, logs.names))
    added = np.array([one.added for one in told]).T
    in_full = attempts_cost + [one.rating_cost for one in told]
    lacking = [f"`{name}`" for name, row in zip(logs.names, added, strict=True) if np.isnan(row).any()]
    lack = f"{measured.stratum.name}: the ledger lacks some ratings, solutions or token counts of {', '.join(lacking)}"
    warn([f"{lack}; the pilot is charged in full there, which is the most that it adds"] * bool(lacking))
    return Pilot(np.array([one.ease for one in told]), np.where(np.isnan(added), in_full, added))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a pilot says of an item, and its tab; what its rating cost, and how much of that is not on the tab."""

    ease: float
    tab: Tab
    rating_cost: float = 0.0
    off_tab: float = 0.0


@dataclass(frozen=True, slots=True)
class _Told:
    """What a pilot says of an item, what its rating cost, and what it adds to each method there."""

    ease: float
    rating_cost: float
    added: list[float]


@dataclass(frozen=True, slots=True)
class _Pilots:
    """Pilots of one size at the items of a stratum that works nothing out; costs are in `unit`."""

    stratum: Stratum
    clerk: Clerk
    size: int
    signal: str
    unit: str

    async def at_items(self, measured: Measured, names: Sequence[str]) -> list[_Told]:
        """The pilot at every item, before each of these methods."""
        pools = {pool.item.problem.id: pool for pool in measured.pools}
        arms = {arm.label: arm for arm in measured.arms}
        costs = {(outcome.item.problem.id, outcome.arm): outcome.cost for outcome in measured.outcomes}
        return [
            await self._at(pools[one], [(arms[name], costs[one, name]) for name in names])
            for one in (item.problem.id for item in measured.stratum.items)
        ]

    async def _at(self, pool: Pool, arms: Sequence[tuple[Arm, Cost]]) -> _Told:
        """The pilot at an item, before arms that cost so much there without it."""
        asked = await self._ask(pool)
        return _Told(asked.ease, asked.rating_cost, [await self._added(asked, arm, cost) for arm, cost in arms])

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
            whole = in_unit(its.cost, self.unit)
            if whole is None:
                raise BadInput(
                    f"the cost of the ratings at {pool.item.problem.id!r} is unknown in {self.unit}; "
                    "run `trueup study` again with a gpu_hour in its --prices"
                )
            ease, cost = sum(ratings[: self.size]) / self.size, whole * self.size / end
            if end > self.size:
                return _Asked(ease, tab, cost, cost)
            tab.pay(its.paid, its.cost)
            return _Asked(ease, tab, cost)
        raise BadInput(
            f"the ledger has no ratings of the first {self.size} attempts at {pool.item.problem.id!r}; "
            f"run `trueup study` again with `weighted_best_of_n n={self.size}` among its --methods"
        )

    async def _added(self, pilot: _Asked, arm: Arm, without: Cost) -> float:
        """What a pilot and an arm cost together, less the arm without it; NaN where the ledger does not tell."""
        tab = replace(pilot.tab, paid=set(pilot.tab.paid), act=replace(pilot.tab.act))
        problem = tab.item.problem
        try:
            with suppress(AskFailed), blamed(f"method {arm.label!r}", "answer", problem.id):
                await answer(arm.start(problem), tab, self.clerk)
        except _Unbooked:
            return nan
        both, own = in_unit(tab.cost, self.unit), in_unit(without, self.unit)
        assert own is not None, f"{arm.label!r} was logged in {self.unit}, and cost {without} at {problem.id!r}"
        return nan if both is None else both + pilot.off_tab - own


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
