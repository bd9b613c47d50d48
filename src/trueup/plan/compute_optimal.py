"""The best method per difficulty and budget, held against fixed ones.

Snell et al. 2024, arXiv:2408.03314, section 3: problems fall into bins of difficulty, and in each bin and for each
budget the best method is chosen by two-fold cross-validation inside the bin. As there, oracle bins use the truth and
predicted bins a pilot. Beyond the paper the pilot is charged, and the controls say what the gain is made of: random
bins (it must vanish), and a choice on the items that it is judged on (the optimism that cross-validation takes away).
Every bootstrap draw of clusters chooses anew, so that intervals are those of the procedure, not of one choice; those of
accuracies count one cluster more than any draw holds, and those of factors, which have no limit, are percentiles.
A method is affordable, in every bin alike, where its mean cost over all items lies within the budget: N samples are, as
there, however long the texts of a bin. What a policy really spends is told beside it, and may be more than the budget
where it takes dear methods for long texts and cheap ones for short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.plan.bins import Cells, bin_edges, bin_of, halves_of, lay_cells, random_bins
from trueup.plan.estimate import Codes, Column, accuracy_interval
from trueup.plan.logged import Grid, Logged
from trueup.plan.resample import DIFFERENCE, SHARE, TAIL, Doubt, Interval, Resampler

FIXED, BASELINE, ORACLE = "fixed", "baseline", "oracle bins"
PREDICTED, CHARGED, RANDOM, IN_SAMPLE = "predicted bins", "predicted bins, pilot charged", "random bins", "in sample"
BUDGETS = 8
SHUFFLES = 5
"""Random bins are drawn so often, and the mean is taken."""
SLACK = 1e-9
"""Of a budget, for the rounding of sums."""

Draws = NDArray[np.float64]
"""A row per bootstrap draw, the first the items as they are; a column per budget."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A policy at a budget; `cost` is what it really spends, None throughout where nothing can be afforded."""

    budget: float
    accuracy: float | None
    ci95: Interval | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """A policy against a reference at the reference's budget.

    `factor` is the reference's cost over what the policy needs to be as accurate, 0 where it never is.
    """

    policy: str
    reference: str
    budget: float
    difference: float | None
    difference_ci95: Interval | None
    factor: float
    factor_ci95: Interval


@dataclass(frozen=True, slots=True)
class BinCell:
    """A method on the items of a bin; bin 1 is the hardest."""

    bin: int
    method: str
    n: int
    accuracy: float
    ci95: Interval
    cost: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Policies by name, how they compare, and what stands in the predicted bins."""

    n: int
    unit: str
    edges: tuple[float, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]
    contrasts: tuple[Contrast, ...]
    cells: tuple[BinCell, ...]


@dataclass(frozen=True, slots=True)
class Pilot:
    """What an estimate of each item's ease says, and what it adds there to the cost of a method.

    That is the same for all methods where its attempts are none of theirs; else `cost` has a row per method.
    """

    ease: Column
    cost: Column | Grid


@dataclass(frozen=True, slots=True)
class BestPerBin:
    """What a server takes: a method per bin, the hardest first, for one budget; and what that spends on average."""

    edges: tuple[float, ...]
    methods: tuple[str, ...]
    cost: float


def compare_bins(
    logs: Logged, pilot: Pilot, *, truth: Column, bins: int = 5, budgets: Sequence[float] = (),
    baseline: Sequence[str] = (), seed: int = 0,
) -> Comparison:  # fmt: skip
    """Accuracy against budget of every policy.

    `truth` is each item's ease as the oracle knows it; `baseline` names a family whose best affordable member is a
    reference beside the best of all methods. Raises BadInput for fewer than four clusters or a lone bin.
    """
    trial = _Trial.of(logs, budgets, seed)
    edges = bin_edges(pilot.ease, bins)
    predicted = bin_of(pilot.ease, edges)
    one_bin = np.zeros_like(predicted)
    free = np.zeros(len(predicted))
    runs = {
        FIXED: trial.run(one_bin, free),
        ORACLE: trial.run(bin_of(truth, bin_edges(truth, bins)), free),
        PREDICTED: trial.run(predicted, free),
        CHARGED: trial.run(predicted, pilot.cost),
        RANDOM: _mean([trial.run(codes, free) for codes in random_bins(predicted, SHUFFLES, seed)]),
        IN_SAMPLE: trial.run(predicted, free, in_sample=True),
    }
    if baseline:
        runs[BASELINE] = trial.run(one_bin, free, only=baseline)
    pairs = [
        (name, reference) for reference in (FIXED, BASELINE) if reference in runs for name in runs if name != reference
    ]
    contrasts = [row for name, reference in pairs for row in _contrasts(name, reference, runs, trial)]
    return Comparison(
        n=len(predicted),
        unit=logs.unit,
        edges=edges,
        curves={name: _curve(run, trial) for name, run in runs.items()},
        contrasts=tuple(contrasts),
        cells=_cells(logs, predicted, len(edges) + 1),
    )


def best_per_bin(logs: Logged, pilot: Pilot, *, budget: float, bins: int = 5) -> BestPerBin:
    """The method for each bin that was right most often of those within the budget with the pilot, by all items.

    Raises BadInput where the budget affords no method or is no finite number.
    """
    if not np.isfinite(budget):
        raise BadInput(f"the budget is {budget}; give a finite number of {logs.unit}")
    paid = logs.cost + pilot.cost
    prices = paid.mean(axis=1)
    order = np.argsort(prices, kind="stable")
    fits = prices[order] <= budget * (1 + SLACK)
    if not fits.any():
        raise BadInput(
            f"a budget of {budget:g} {logs.unit} affords nothing; pilot and cheapest take {prices.min():.3g}"
        )
    edges = bin_edges(pilot.ease, bins)
    codes = bin_of(pilot.ease, edges)
    chosen = []
    for place in range(len(edges) + 1):
        accuracy = np.where(fits, logs.right[order][:, codes == place].mean(axis=1), -1.0)
        chosen.append(int(order[int(accuracy.argmax())]))
    spent = paid[np.array(chosen)[codes], np.arange(len(codes))]
    return BestPerBin(edges, tuple(logs.names[method] for method in chosen), float(spent.mean()))


@dataclass(frozen=True, slots=True)
class _Run:
    """Accuracy and cost of a policy; NaN where a budget affords nothing."""

    accuracy: Draws
    cost: Draws


@dataclass(frozen=True, slots=True)
class _Trial:
    """Methods, the budgets, and the draws with the items as they are before them."""

    logs: Logged
    budgets: tuple[float, ...]
    codes: Codes
    weights: Draws
    doubt: Doubt
    seed: int

    @classmethod
    def of(cls, logs: Logged, budgets: Sequence[float], seed: int) -> _Trial:
        draws = Resampler.of(logs.clusters, seed=seed, name="compute-optimal")
        clusters = draws.weights.shape[1]
        if clusters < 4:
            raise BadInput(f"bins are judged on at least 4 independent items, here are {clusters}")
        means = np.unique(logs.cost.mean(axis=1))
        usual = means if len(means) <= BUDGETS else np.quantile(means, np.linspace(0, 1, BUDGETS))
        kept = tuple(sorted(budgets)) or tuple(usual.tolist())
        weights = np.concatenate([np.ones((1, clusters)), draws.weights.astype(float)])
        return cls(logs, kept, draws.codes, weights, draws.doubt(), seed)

    def run(self, bins: Codes, extra: Column | Grid, *, only: Sequence[str] = (), in_sample: bool = False) -> _Run:
        """The policy of these bins, where every item costs so much extra; of equally good methods the cheapest."""
        paid = replace(self.logs, cost=self.logs.cost + extra)
        by_price = [paid.names[method] for method in np.argsort(paid.cost.mean(axis=1), kind="stable")]
        logs = paid.only([name for name in by_price if not only or name in only])
        cells = lay_cells(logs, bins, halves_of(bins, self.codes, self.seed), self.codes, self.weights)
        prices = logs.cost.mean(axis=1)
        columns = [_spend(cells, prices <= budget * (1 + SLACK), in_sample=in_sample) for budget in self.budgets]
        return _Run(np.stack([c[0] for c in columns], axis=1), np.stack([c[1] for c in columns], axis=1))


def _spend(cells: Cells, fits: NDArray[np.bool_], *, in_sample: bool) -> tuple[Column, Column]:
    """Accuracy and cost of the methods that fit, in every draw: chosen on one half of each bin, judged on the other."""
    if not fits.any():
        nothing = np.full(cells.right.shape[2], np.nan)
        return nothing, nothing
    train = cells.pooled() if in_sample else cells.swapped()
    chosen = np.where(fits, train, -1.0).argmax(axis=-1)[..., None]
    right = np.take_along_axis(cells.right, chosen, -1)[..., 0].sum(axis=(0, 1))
    cost = np.take_along_axis(cells.cost, chosen, -1)[..., 0].sum(axis=(0, 1))
    n = cells.n.sum(axis=(0, 1))
    return right / n, cost / n


def _mean(runs: Sequence[_Run]) -> _Run:
    return _Run(np.mean([run.accuracy for run in runs], axis=0), np.mean([run.cost for run in runs], axis=0))


def _curve(run: _Run, trial: _Trial) -> tuple[CurvePoint, ...]:
    points = []
    for column, budget in enumerate(trial.budgets):
        accuracy, cost = run.accuracy[:, column], float(run.cost[0, column])
        if np.isnan(accuracy[0]):
            points.append(CurvePoint(budget, None, None, None))
        else:
            points.append(CurvePoint(budget, float(accuracy[0]), trial.doubt.interval(accuracy, SHARE), cost))
    return tuple(points)


def _contrasts(name: str, reference: str, runs: Mapping[str, _Run], trial: _Trial) -> list[Contrast]:
    policy, other = runs[name], runs[reference]
    rows = []
    for column, budget in enumerate(trial.budgets):
        if np.isnan(other.accuracy[0, column]):
            continue
        gap = policy.accuracy[:, column] - other.accuracy[:, column]
        needed = _needed(policy, other.accuracy[:, column])
        ratio = np.divide(other.cost[:, column], needed, out=np.ones_like(needed), where=needed > 0)
        is_known = not np.isnan(gap[0])
        rows.append(
            Contrast(
                name, reference, budget,
                float(gap[0]) if is_known else None, trial.doubt.interval(gap, DIFFERENCE) if is_known else None,
                float(ratio[0]), _percentiles(ratio),
            )
        )  # fmt: skip
    return rows


def _needed(policy: _Run, accuracy: Column) -> Column:
    """What the policy must spend to be so accurate, in every draw; infinite where it never is.

    Between two budgets accuracy is taken to rise in a line over the logarithm of what was spent.
    """
    needed = np.full(len(accuracy), np.inf)
    low = low_cost = np.full(len(accuracy), np.nan)
    for right, cost in zip(policy.accuracy.T, policy.cost.T, strict=True):
        reached = (right >= accuracy - 1e-12) & np.isinf(needed)
        rise = np.where(right > low, (accuracy - low) / np.where(right > low, right - low, 1.0), 1.0)
        is_line = low_cost > 0
        between = low_cost * (cost / np.where(is_line, low_cost, 1.0)) ** np.clip(rise, 0.0, 1.0)
        needed = np.where(reached, np.where(is_line, between, cost), needed)
        low, low_cost = np.where(np.isnan(right), low, right), np.where(np.isnan(right), low_cost, cost)
    return needed


def _cells(logs: Logged, bins: Codes, number: int) -> tuple[BinCell, ...]:
    _, codes = np.unique(np.array(logs.clusters, dtype=str), return_inverse=True)
    return tuple(
        BinCell(
            place + 1, name, int(inside.sum()), float(right[inside].mean()),
            accuracy_interval(right[inside], codes[inside]), float(cost[inside].mean()),
        )
        for place in range(number)
        for inside in [bins == place]
        for name, right, cost in zip(logs.names, logs.right, logs.cost, strict=True)
    )  # fmt: skip


def _percentiles(drawn: Column) -> Interval:
    low, high = np.quantile(drawn[1:], [TAIL, 1.0 - TAIL])
    return float(low), float(high)
