"""What methods reached on the same items, as columns to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trueup.core.cost import Cost, Prices, most_a_call, sample_cost
from trueup.core.errors import BadInput, UnknownName
from trueup.core.outcome import Measured, Outcome
from trueup.core.roles import ModelCard
from trueup.plan.engines import Engines
from trueup.plan.estimate import Column
from trueup.plan.sheet import broken_arms

Grid = NDArray[np.float64]
"""A row per method, a column per item."""
UNITS = ("usd", "tokens", "seconds")


@dataclass(frozen=True, slots=True)
class Logged:
    """Whether each method was right on each item, and what it cost there; `clusters` group dependent items.

    `engines` are those of the attempts that these methods may have asked for, or of others in the stratum.
    """

    names: tuple[str, ...]
    right: Grid
    cost: Grid
    clusters: tuple[str, ...]
    unit: str = "usd"
    engines: Engines = field(default_factory=dict)

    def of(self, name: str) -> int:
        """The row of a method.

        Raises UnknownName for one that was not logged.
        """
        if name not in self.names:
            raise UnknownName("logged method", name, self.names)
        return self.names.index(name)

    def only(self, names: Sequence[str]) -> Logged:
        """These methods alone."""
        rows = [self.of(name) for name in names]
        return Logged(tuple(names), self.right[rows], self.cost[rows], self.clusters, self.unit, self.engines)


def logged(measured: Measured, names: Sequence[str] = ()) -> Logged:
    """The columns of these arms of a stratum, or of all that can be deployed for one request.

    Costs are dollars where all are known and some are paid, else tokens, else seconds. A failed item counts as wrong;
    what it used is borne by those that did not fail, and it counts their mean, so that no method is cheap for failing.
    Raises UnknownName for an arm that was not measured, BadInput where an arm saw the reference, works on a whole batch
    or failed on every item, or none is left.
    """
    labels = {arm.label: arm for arm in measured.arms}
    oracles, broken = {outcome.arm for outcome in measured.outcomes if outcome.is_oracle}, broken_arms(measured)
    for name in names:
        if name not in labels:
            raise UnknownName("measured method", name, labels, hint="(add it to the study with --methods)")
        if name in oracles:
            raise BadInput(f"{name!r} saw the reference on stratum {measured.stratum.name!r}; choose another method")
        if labels[name].is_batch:
            raise BadInput(
                f"{name!r} spends one budget on a whole batch, so it can answer no request alone; choose another method"
            )
        if name in broken:
            raise BadInput(f"{name!r} failed on every item of stratum {measured.stratum.name!r}; choose another method")
    barred = oracles | broken | {n for n, arm in labels.items() if arm.is_batch}
    kept = tuple(names) or tuple(n for n in labels if n not in barred)
    if not kept:
        raise BadInput(f"stratum {measured.stratum.name!r} has no method that can be deployed; add `once` to --methods")
    place = {item.problem.id: i for i, item in enumerate(measured.stratum.items)}
    outcomes = {(o.arm, place[o.item.problem.id]): o for o in measured.outcomes}
    table = [[outcomes[name, i] for i in range(len(place))] for name in kept]
    unit = next((u for u in UNITS if _is_told([o.cost for row in table for o in row], u)), UNITS[-1])
    right = np.array([[float(o.grade.is_right) for o in row] for row in table])
    cost = np.array([_borne(row, unit) for row in table])
    clusters = tuple(item.cluster for item in measured.stratum.items)
    return Logged(kept, right, cost, clusters, unit, measured.engines)


def _borne(row: Sequence[Outcome], unit: str) -> Grid:
    """What a method cost on each item (I,), failed ones at the mean of the others; the mean is that of `measure`."""
    cost_I = np.array([in_unit(outcome.cost, unit) for outcome in row], dtype=float)
    failed_I = np.array([outcome.failure is not None for outcome in row])
    if failed_I.any():
        cost_I[~failed_I] += cost_I[failed_I].sum() / (~failed_I).sum()
        cost_I[failed_I] = cost_I[~failed_I].mean()
    return cost_I


def with_attempts(measured: Measured, attempts: int) -> Measured:
    """What is known of the items that have so many attempts.

    Raises BadInput where none has.
    """
    enough = {pool.item.problem.id for pool in measured.pools if len(pool.attempts) >= attempts}
    if not enough:
        most = max((len(pool.attempts) for pool in measured.pools), default=0)
        raise BadInput(
            f"a pilot of {attempts} needs as many attempts, no item of stratum {measured.stratum.name!r} has more than "
            f"{most}; give a smaller --pilot, or sample more"
        )
    return replace(
        measured,
        stratum=replace(measured.stratum, items=tuple(i for i in measured.stratum.items if i.problem.id in enough)),
        pools=tuple(pool for pool in measured.pools if pool.item.problem.id in enough),
        outcomes=tuple(outcome for outcome in measured.outcomes if outcome.item.problem.id in enough),
    )


def pilot_cost(measured: Measured, attempts: int, card: ModelCard, prices: Prices, unit: str) -> Column:
    """What the first so many attempts at each item cost where they are asked for together.

    Raises BadInput for fewer than one, where a pool holds fewer, or the cost is unknown in this unit.
    """
    if attempts < 1:
        raise BadInput(f"the pilot has {attempts} attempts; give at least 1")
    by_id = {pool.item.problem.id: pool.attempts[:attempts] for pool in measured.pools}
    costs = []
    for item in measured.stratum.items:
        taken = by_id.get(item.problem.id, ())
        if len(taken) < attempts:
            raise BadInput(f"a pilot of {attempts} needs as many attempts, {item.problem.id!r} has {len(taken)}")
        most = most_a_call(card, [attempt.usage for attempt in taken]) or attempts
        each = [sample_cost(card, prices, a.usage, with_prompt=place % most == 0) for place, a in enumerate(taken)]
        costs.append(in_unit(sum(each, Cost()), unit))
    if None in costs:
        raise BadInput(f"the cost of a pilot is unknown in {unit}; the engine does not count its tokens")
    return np.array(costs, dtype=float)


def in_unit(cost: Cost, unit: str) -> float | None:
    """A cost in `usd`, `tokens` or `seconds`; None where it is unknown."""
    if unit == "usd":
        return None if cost.usd is None else float(cost.usd)
    if unit == "seconds":
        return cost.seconds
    if cost.prompt_tokens is None or cost.completion_tokens is None:
        return None
    return float(cost.prompt_tokens + cost.completion_tokens)


def _is_told(costs: Sequence[Cost], unit: str) -> bool:
    """Whether methods can be compared by it: known for all, and something for some."""
    amounts = [in_unit(cost, unit) for cost in costs]
    return None not in amounts and any(amounts)
