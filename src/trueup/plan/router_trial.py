"""Judge a router against the trivial ones it has to beat.

Always cheap, always dear, a random share, and prompt length alone (a router of the same make with that one feature),
with the oracle above them. LLMRouterBench (2026) found that many routers do not beat such baselines reliably, so the
verdict is a test: the gain in accuracy over random routing of the same cost, averaged over the shares that go to the
dear method, with a paired cluster bootstrap. Same cost, not same share: hard prompts are often long ones. Where the
dear method is the less accurate one, always cheap is the baseline. Prompts are ranked inside each fold: a fold of many
right items leaves a lower base rate to its model, so that across folds a useless router would look harmful.
Of attempts that several engines have made nothing is shown, for nobody knows which one will serve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.plan.engines import MIXED, mixtures
from trueup.plan.estimate import Codes, Column
from trueup.plan.logged import Logged
from trueup.plan.resample import DIFFERENCE, SHARE, Doubt, Interval, Resampler
from trueup.plan.router import Rows, fold_of, held_out_chances
from trueup.plan.words import between, points

SHARES = tuple(step / 10 for step in range(11))
LEARNED, LENGTH, RANDOM, ORACLE = "learned", "prompt length", "random", "oracle"
ALWAYS = 1.01
"""A threshold above every chance."""

Draws = NDArray[np.float64]
"""A figure, followed by the same one in each bootstrap draw."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A rule at one share of prompts that go to the dear method."""

    share: float
    accuracy: float
    ci95: Interval
    cost: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to route: its curve, and its mean gain over random routing of the same cost."""

    name: str
    stops: tuple[Stop, ...]
    gain: float
    ci95: Interval


@dataclass(frozen=True, slots=True)
class Trial:
    """What a learned router is worth, all on items that it had not seen.

    `brier` is its mean squared error, `brier_of_share` that of predicting the plain share for every prompt.
    """

    cheap: str
    costly: str
    unit: str
    n: int
    rules: tuple[Rule, ...]
    over_length: float
    over_length_ci95: Interval
    brier: float
    brier_of_share: float
    beats_random: bool
    beats_length: bool
    verdict: str
    chances: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Operating:
    """A threshold on the chance that the cheap method is right, and what it brings.

    The chances are of items not seen in learning, the threshold is chosen on the same ones: its figures flatter it.
    """

    threshold: float
    share: float
    accuracy: float
    cost: float
    reaches: bool


def try_router(rows: Rows, pair: Logged, *, length: str, seed: int) -> Trial:
    """Judge what can be learned from these features about the first method of a pair, the cheap one.

    `length` names the feature that stands for prompt length. Raises BadInput where the second method is not dearer,
    or there are fewer than four independent items.
    """
    if pair.cost[1].mean() <= pair.cost[0].mean():
        raise BadInput(f"{pair.names[1]!r} costs no more than {pair.names[0]!r} here: there is nothing to route")
    cheap, costly = pair.right
    chances = held_out_chances(rows, cheap, pair.clusters, seed=seed)
    short = held_out_chances([{length: row.get(length, 0.0)} for row in rows], cheap, pair.clusters, seed=seed)
    field = _Field.of(pair, seed)
    orders = {LEARNED: chances, LENGTH: short, ORACLE: cheap - costly}
    folds = fold_of(pair.clusters, seed=seed)
    alone = np.zeros_like(folds)
    found = {name: field.rule(name, rank, alone if name == ORACLE else folds) for name, rank in orders.items()}
    rules = (*(rule for rule, _ in found.values()), field.random())
    over = found[LEARNED][1] - found[LENGTH][1]
    over_ci = field.doubt.interval(over, DIFFERENCE)
    learned = found[LEARNED][0]
    is_mixed = bool(mixtures(pair.engines))
    beats_random, beats_length = (low > 0 and not is_mixed for low, _ in (learned.ci95, over_ci))
    verdict = f"It is not shown to beat a trivial router, since this stratum proves nothing: {MIXED}."
    if not is_mixed:
        verdict = _verdict(learned, float(over[0]), over_ci, beats_random=beats_random, beats_length=beats_length)
    share = cheap.mean()
    return Trial(
        cheap=pair.names[0],
        costly=pair.names[1],
        unit=pair.unit,
        n=len(cheap),
        rules=rules,
        over_length=float(over[0]),
        over_length_ci95=over_ci,
        brier=float(((chances - cheap) ** 2).mean()),
        brier_of_share=float(share * (1 - share)),
        beats_random=beats_random,
        beats_length=beats_length,
        verdict=verdict,
        chances=tuple(chances.tolist()),
    )


def operate(chances: Column, pair: Logged, target: float) -> Operating:
    """The cheapest threshold that reaches the target, else the most accurate, the cheaper of equals."""
    tries = []
    for threshold in (*np.unique(chances).tolist(), ALWAYS):
        goes = chances < threshold
        right = np.where(goes, pair.right[1], pair.right[0]).mean()
        cost = np.where(goes, pair.cost[1], pair.cost[0]).mean()
        tries.append(Operating(threshold, float(goes.mean()), float(right), float(cost), bool(right >= target)))
    reaching = [one for one in tries if one.reaches]
    if reaching:
        return min(reaching, key=lambda one: (one.cost, -one.accuracy))
    return min(tries, key=lambda one: (-one.accuracy, one.cost))


@dataclass(frozen=True, slots=True)
class _Field:
    """Two methods, what an item of each cluster counts in each draw, and the order in which equals are routed.

    `doubt` is what no draw can hold.
    """

    pair: Logged
    codes: Codes
    shares: NDArray[np.float64]
    order: Codes
    doubt: Doubt

    @classmethod
    def of(cls, pair: Logged, seed: int) -> _Field:
        order = np.random.default_rng(abs(seed)).permutation(len(pair.clusters))
        draws = Resampler.of(pair.clusters, seed=seed, name="router")
        clusters = draws.weights.shape[1]
        weights = np.concatenate([np.ones((1, clusters)), draws.weights.astype(float)])
        sizes = weights @ np.bincount(draws.codes, minlength=clusters).astype(float)
        return cls(pair, draws.codes, weights / sizes[:, None], order, draws.doubt())

    def rule(self, name: str, chances: Column, folds: Codes) -> tuple[Rule, Draws]:
        """The rule that sends the prompts of the lowest chances to the dear method; and its gain, drawn."""
        queue = self._queue(chances, folds)
        stops, gains = [], []
        for share in SHARES:
            goes = np.zeros(len(queue), bool)
            goes[queue[: round(share * len(queue))]] = True
            right, cost = self._at(goes.astype(float))
            stops.append(self._stop(share, right, cost))
            if 0 < share < 1:
                gains.append(right - self._trivial(cost))
        gain: Draws = np.mean(gains, axis=0)
        return Rule(name, tuple(stops), float(gain[0]), self.doubt.interval(gain, DIFFERENCE)), gain

    def _queue(self, chances: Column, folds: Codes) -> Codes:
        """All items by their rank inside their fold, the lowest chance first."""
        ranks = np.empty(len(chances))
        for fold in np.unique(folds):
            inside = self.order[folds[self.order] == fold]
            lowest_first = inside[np.argsort(chances[inside], kind="stable")]
            ranks[lowest_first] = (np.arange(len(inside)) + 0.5) / len(inside)
        return self.order[np.argsort(ranks[self.order], kind="stable")]

    def random(self) -> Rule:
        """A share of prompts whatever they say; always cheap and always dear are its ends."""
        flat = np.ones(len(self.order))
        return Rule(RANDOM, tuple(self._stop(share, *self._at(share * flat)) for share in SHARES), 0.0, (0.0, 0.0))

    def _stop(self, share: float, right: Draws, cost: Draws) -> Stop:
        return Stop(share, float(right[0]), self.doubt.interval(right, SHARE), float(cost[0]))

    def _at(self, goes: Column) -> tuple[Draws, Draws]:
        """Accuracy and cost where so much of each prompt goes to the dear method."""
        mixed = [both[0] + goes * (both[1] - both[0]) for both in (self.pair.right, self.pair.cost)]
        right, cost = (self._mean(values) for values in mixed)
        return right, cost

    def _trivial(self, cost: Draws) -> Draws:
        """The accuracy that routing at random has at this cost, or always cheap if that is better."""
        low, high = (self._mean(values) for values in self.pair.right)
        least, most = (self._mean(values) for values in self.pair.cost)
        gap = np.where(most > least, most - least, np.inf)
        return np.maximum(low, low + (cost - least) / gap * (high - low))

    def _mean(self, values: Column) -> Draws:
        drawn: Draws = self.shares @ np.bincount(self.codes, values, self.shares.shape[1])
        return drawn


def _verdict(rule: Rule, over: float, over_ci: Interval, *, beats_random: bool, beats_length: bool) -> str:
    said = f"{_gain(rule.gain, rule.ci95)} over random routing of the same cost"
    if not beats_random:
        return f"It does not beat a trivial router: {said}."
    if not beats_length:
        return f"It beats random routing ({said}) but not prompt length alone: {_gain(over, over_ci)} over that."
    return f"It beats the trivial routers: {said}, {_gain(over, over_ci)} over prompt length alone."


def _gain(value: float, ci95: Interval) -> str:
    return f"{points(value)} ({between(ci95)})"
