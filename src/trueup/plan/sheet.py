"""A stratum's results as columns, one row an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueup.core.outcome import Measured, Pool
from trueup.core.stratum import Arm
from trueup.plan.estimate import Column
from trueup.plan.resample import Resampler

LENGTH = "length"
OWN = ""
"""What methods call the study's own model."""
SOLVERS = ("solve", "formalise_and_solve", "decode_with_lexicon", "run_stored")
"""Methods that always come to the stratum's solver."""
SOLVER = "solver"
"""The `to` of a method that comes to it where attempts do not suffice."""
EXACT = "exact"
"""The verifier that compares texts as they are."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What became of every item, in the stratum's order.

    Of an item's pool: `attempts` in all, `right` ones, `unread` ones that ended by themselves, `cut` ones at
    the token limit, of these `cut_right` and `cut_unread`. Of every arm: `arms[label]`, 1 for right, NaN
    where it was not run. `known_arms` are those that did not fail on every item. `compares_text` says that an answer is
    right only in the reference's own words.
    """

    pools: tuple[Pool | None, ...]
    attempts: Column
    right: Column
    unread: Column
    cut: Column
    cut_right: Column
    cut_unread: Column
    arms: Mapping[str, Column]
    known_arms: Mapping[str, Arm]
    oracles: frozenset[str]
    guess_options: int | None
    compares_text: bool
    draws: Resampler

    @property
    def pass_at_1(self) -> Column:
        """The share of each item's attempts that are right; NaN without any."""
        return share(self.right, self.attempts)

    @property
    def has_others(self) -> bool:
        """Whether an arm may ask another model than the study's own."""
        return not all(asks_no_other(arm.models) for arm in self.known_arms.values())

    def sampling(self, methods: Sequence[str] = (), *, without: Sequence[str] = ()) -> list[str]:
        """Labels of the deployable arms that sample the study's own model alone, of these methods (or any)."""
        return [
            label
            for label, arm in self._deployable()
            if samples_own(arm) and (not methods or arm.method in methods) and arm.method not in without
        ]

    def solving(self) -> list[str]:
        """Labels of the solver's deployable arms that ask no other model; without any, of those that may come to it."""
        own = [(label, arm) for label, arm in self._deployable() if asks_solver(arm) and asks_no_other(arm.models)]
        return [label for label, arm in own if arm.method in SOLVERS] or [label for label, _ in own]

    def sampling_oracles(self) -> list[str]:
        """Labels of the arms that saw the reference and sample the study's own model alone."""
        return [label for label, arm in self.known_arms.items() if label in self.oracles and samples_own(arm)]

    def _deployable(self) -> list[tuple[str, Arm]]:
        """The arms that saw no reference and answer single requests, in the order of the study."""
        return [
            (label, arm) for label, arm in self.known_arms.items() if label not in self.oracles and not arm.is_batch
        ]


def asks_no_other(models: Mapping[str, str]) -> bool:
    """Whether these, which an arm may ask, are no more than the study's own model."""
    return models.keys() <= {OWN}


def asks_solver(arm: Arm) -> bool:
    """Whether an arm, or one that it chooses among, may come to the stratum's solver."""
    return arm.method in SOLVERS or arm.settings.get("to") == SOLVER or any(map(asks_solver, arm.among))


def samples_own(arm: Arm) -> bool:
    """Whether all that an arm answers comes from attempts of the study's own model."""
    return asks_no_other(arm.models) and not asks_solver(arm)


def lay_out(measured: Measured, *, seed: int) -> Sheet:
    """The columns of a stratum."""
    items = measured.stratum.items
    by_id = {pool.item.problem.id: pool for pool in measured.pools}
    pools = tuple(by_id.get(item.problem.id) for item in items)
    counts = np.array([_counts(pool) for pool in pools], dtype=float)
    place = {item.problem.id: row for row, item in enumerate(items)}
    arms = {arm.label: np.full(len(items), np.nan) for arm in measured.arms}
    for outcome in measured.outcomes:
        arms[outcome.arm][place[outcome.item.problem.id]] = float(outcome.grade.is_right)
    attempts, right, unread, cut, cut_right, cut_unread = counts.T
    broken = broken_arms(measured)
    return Sheet(
        pools, attempts, right, unread, cut, cut_right, cut_unread, arms,
        known_arms={arm.label: arm for arm in measured.arms if arm.label not in broken},
        oracles=frozenset(outcome.arm for outcome in measured.outcomes if outcome.is_oracle),
        guess_options=measured.stratum.guess_options,
        compares_text=measured.stratum.verifier.name.partition(" ")[0] == EXACT,
        draws=Resampler.of([item.cluster for item in items], seed=seed, name=measured.stratum.name),
    )  # fmt: skip


def broken_arms(measured: Measured) -> set[str]:
    """The labels of the arms that failed on every item: nothing was measured of them."""
    answered = {outcome.arm for outcome in measured.outcomes if outcome.failure is None}
    return {outcome.arm for outcome in measured.outcomes} - answered


def _counts(pool: Pool | None) -> tuple[int, int, int, int, int, int]:
    if pool is None:
        return 0, 0, 0, 0, 0, 0
    right = [grade.is_right for grade in pool.grades]
    read = [grade.parsed for grade in pool.grades]
    cut = [attempt.finish == LENGTH for attempt in pool.attempts]
    return (
        len(right),
        sum(right),
        sum(not r and not c for r, c in zip(read, cut, strict=True)),
        sum(cut),
        sum(r and c for r, c in zip(right, cut, strict=True)),
        sum(not r and c for r, c in zip(read, cut, strict=True)),
    )


def share(top: Column, bottom: Column) -> Column:
    """top / bottom per item; NaN where there is nothing to divide by."""
    nothing: Column = np.full(len(top), np.nan)
    return np.divide(top, bottom, out=nothing, where=bottom > 0)


def mean(values: Column) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
