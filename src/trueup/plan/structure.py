"""Whether failures rise with how a problem is built: the mark of a limit that no sample lifts.

Spearman's rank correlation over the items whose prompt states a puzzle or a constraint program, between the share of
attempts that are wrong and one count of the program. The count is the first of a fixed list by which a rise could show
at all on these items, whatever the pairing, so that none is chosen by its result: decisions undone, rounds of
propagation, variables, mean arity. A permutation test decides, at 2.5 % on the one side; the interval is the cluster
bootstrap's, of ranks as they are among all items, and only describes, since on few items it is too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trueup.core.puzzles.structure import Structure, structure_stated
from trueup.core.types import last_asked
from trueup.plan.estimate import Column
from trueup.plan.permutation import rises_by_chance
from trueup.plan.resample import TAIL, Interval, Resampler
from trueup.plan.sheet import Sheet

COUNTS: tuple[tuple[str, Callable[[Structure], float | None]], ...] = (
    ("decisions that a search takes back", lambda one: one.undone),
    ("rounds of propagation", lambda one: one.rounds),
    ("variables", lambda one: one.variables),
    ("variables in a constraint", lambda one: one.arity),
)


@dataclass(frozen=True, slots=True)
class Trend:
    """The rank correlation of failures with a count, over so many items; `p` is a rise's by chance."""

    count: str
    value: float
    ci95: Interval
    n: int
    p: float

    @property
    def rises(self) -> bool:
        """Whether chance alone would seldom rise so."""
        return self.p <= TAIL

    def __str__(self) -> str:
        low, high = self.ci95
        told = (
            f"rank correlation {self.value:.2f}, 95 % interval {low:.2f} to {high:.2f}, "
            f"p = {self.p:.2g} by permutation, over {self.n} items"
        )
        return f"failures {'rise' if self.rises else 'are not seen to rise'} with the {self.count} ({told})"


def trend_of(sheet: Sheet) -> Trend | None:
    """How failures go with the structure of what is asked; None where these items are too few or too alike to tell."""
    built = [None if pool is None else structure_stated(last_asked(pool.item.problem.prompt)) for pool in sheet.pools]
    failures = 1.0 - sheet.pass_at_1
    told = (_trend(name, _column(built, count), failures, sheet.draws) for name, count in COUNTS)
    return next((trend for trend in told if trend is not None), None)


def _column(built: Sequence[Structure | None], count: Callable[[Structure], float | None]) -> Column:
    told = [None if one is None else count(one) for one in built]
    return np.array([np.nan if value is None else value for value in told], dtype=float)


def _trend(name: str, values: Column, failures: Column, draws: Resampler) -> Trend | None:
    """None where no order of these failures could show a rise."""
    from scipy.stats import rankdata

    known = ~np.isnan(values) & ~np.isnan(failures)
    if len(np.unique(values[known])) < 2 or len(np.unique(failures[known])) < 2:
        return None
    first, second = rankdata(values[known]), rankdata(failures[known])
    # The study's seed is in the stratum's draws, and so the same study gives the same p.
    rng = np.random.default_rng(draws.weights[0].tolist())
    rise = rises_by_chance(first, second, draws.codes[known], rng)
    if rise.least > TAIL:
        return None
    drawn = _correlations(first, second, draws.weights[:, draws.codes[known]].astype(float))
    low, high = np.quantile(drawn[~np.isnan(drawn)], [TAIL, 1.0 - TAIL])
    value = float(_correlations(first, second, np.ones((1, len(first))))[0])
    return Trend(name, value, (float(low), float(high)), int(known.sum()), rise.p)


def _correlations(first: Column, second: Column, weights: Column) -> Column:
    """Pearson's correlation under each row of weights; NaN where a column does not vary under it."""
    total = weights.sum(1)
    x, y = first - first.mean(), second - second.mean()
    means = [weights @ column / total for column in (x, y, x * x, y * y, x * y)]
    spread = np.sqrt(np.maximum(means[2] - means[0] ** 2, 0.0) * np.maximum(means[3] - means[1] ** 2, 0.0))
    shared: Column = means[4] - means[0] * means[1]
    found: Column = np.full(len(total), np.nan)
    np.divide(shared, spread, out=found, where=spread > 1e-9)
    return found
