"""Calibrate a stopping threshold on logged attempts, with a guarantee.

Learn-then-Test (Angelopoulos et al. 2021, arXiv:2110.01052) with fixed-sequence testing: the thresholds are tried
from the safest to the cheapest, each against the hypothesis that stopping turns more than `margin` of the requests
from right (had all n attempts been taken) to wrong; the first that is not rejected ends the sequence. That any of those
before it does such harm has probability delta at most, in whatever order they were named beforehand, so that the one of
the fewest attempts is chosen. p-values are those of Hoeffding and Bentkus (Bates et al. 2021, arXiv:2101.02703, eq. 9),
for losses in [0, 1].
A method is replayed on a pool in many orders; the loss of an item is the mean over them. What is independent are
clusters, what is promised is about requests in clusters of the sizes on file: a cluster's loss is the sum of its items'
over the size of the largest cluster, which is in [0, 1], and the harm is `margin` where the mean of these losses is
`margin` times the mean size over the largest. Both bounds hold for independent losses of different means (Hoeffding
1963, theorem 1; Bentkus 2004, theorem 1.2).
Of attempts that several engines have made none is accepted, for nobody knows which one will serve.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil, exp, log
from operator import attrgetter
from statistics import fmean as mean

from trueup.core.errors import BadInput
from trueup.core.outcome import Measured, Pool
from trueup.core.stratum import Arm
from trueup.core.types import Answer, Attempt
from trueup.plan.engines import Mixture, mixtures
from trueup.plan.replay import replay

ORDERS = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One threshold: attempts, accuracy and the harm of stopping per request, and the p-value against the margin."""

    label: str
    attempts: float
    accuracy: float
    harm: float
    p: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was tried, safest first, and what is chosen.

    `chosen` is the label of the accepted one of fewest attempts, of equals the last; None where none is accepted. `n`
    counts independent clusters. `needs` is how many of them, of sizes like these, would accept the safest if it did
    no harm at all; None where no number would, because the attempts are of several `engines`.
    """

    whole: Trial
    trials: tuple[Trial, ...]
    chosen: str | None
    n: int
    needs: int | None
    engines: tuple[Mixture, ...] = ()


def calibrate(
    measured: Measured, whole: Arm, arms: Sequence[Arm], *, margin: float, delta: float, seed: int = 0
) -> Calibration:
    """Try arms, safest first, against `whole`, a vote of all `n` attempts; those that a pool lacks had failed.

    Raises BadInput for a margin or delta outside (0, 1), no pool, or an arm that asks for anything but attempts at the
    problem as they were sampled, or for more than n.
    """
    for name, value in (("margin", margin), ("delta", delta)):
        if not 0 < value < 1:
            raise BadInput(f"{name} is {value}; give a number between 0 and 1, such as 0.05")
    pools = [pool for pool in measured.pools if pool.failure is None]
    if not pools:
        raise BadInput(f"stratum {measured.stratum.name!r} has no attempts to calibrate on; run `trueup sample` first")
    logs = [_Log(pool, _orders(pool, whole.settings["n"], seed)) for pool in pools]
    sizes = Counter(pool.item.cluster for pool in pools)
    spread = _Spread(len(sizes), len(pools) / (len(sizes) * max(sizes.values())))
    full, rights = _replay_all(whole, logs, spread, margin)
    mixed = mixtures(measured.engines)
    trials: list[Trial] = []
    for arm in arms:
        trial, _ = _replay_all(arm, logs, spread, margin, rights)
        is_accepted = not mixed and trial.p <= delta and all(earlier.accepted for earlier in trials)
        trials.append(replace(trial, accepted=is_accepted))
    accepted = [trial for trial in trials if trial.accepted]
    chosen = min(reversed(accepted), key=attrgetter("attempts")).label if accepted else None
    needs = None if mixed else ceil(log(delta) / log(1 - margin * spread.evenness))
    return Calibration(full, tuple(trials), chosen, spread.clusters, needs, mixed)


def hoeffding_bentkus(loss: float, n: int, margin: float) -> float:
    """The p-value of a mean of n independent losses in [0, 1] against the hypothesis that > margin is expected."""
    from scipy.special import bdtr

    below = min(loss, margin)
    hoeffding = exp(-n * (_entropy_term(below, margin) + _entropy_term(1 - below, 1 - margin)))
    bentkus = exp(1) * float(bdtr(ceil(n * loss - 1e-9), n, margin))
    return min(1.0, hoeffding, bentkus)


@dataclass(frozen=True, slots=True)
class _Log:
    """A pool, in the orders that its attempts are replayed in; None is one that failed."""

    pool: Pool
    orders: Sequence[Sequence[Attempt | None]]


@dataclass(frozen=True, slots=True)
class _Spread:
    """How many clusters the items are in, and the mean size of a cluster over that of the largest."""

    clusters: int
    evenness: float


def _replay_all(
    arm: Arm, logs: Sequence[_Log], spread: _Spread, margin: float, whole: Sequence[Sequence[bool]] | None = None
) -> tuple[Trial, list[list[bool]]]:
    """The arm on every order of every pool; and which were right, which is what the others are held against."""
    rights, taken, losses = [], [], []
    for place, entry in enumerate(logs):
        grades = {a.answer: g.is_right for a, g in zip(entry.pool.attempts, entry.pool.grades, strict=True)}
        problem = entry.pool.item.problem
        results = [replay(arm.start(problem), order, problem) for order in entry.orders]
        good = [_is_right(result.value, grades) for result in results]
        full = good if whole is None else whole[place]
        rights.append(good)
        taken += [result.taken for result in results]
        losses.append(mean(float(was and not now) for was, now in zip(full, good, strict=True)))
    harm = mean(losses)
    p = hoeffding_bentkus(harm * spread.evenness, spread.clusters, margin * spread.evenness)
    return Trial(arm.label, mean(taken), mean(chain(*rights)), harm, p, accepted=False), rights


def _is_right(answer: Answer | None, grades: Mapping[str | None, bool]) -> bool:
    return answer is not None and answer.value is not None and grades.get(answer.value, False)


def _orders(pool: Pool, n: int, seed: int) -> list[list[Attempt | None]]:
    """The pool's n attempts as they came, and shuffled."""
    dice = random.Random(f"{seed}:{pool.item.problem.id}:orders")
    came = {attempt.index: attempt for attempt in pool.attempts}
    drawn = [came.get(index) for index in range(n)]
    return [drawn, *(dice.sample(drawn, len(drawn)) for _ in range(ORDERS - 1))]


def _entropy_term(a: float, b: float) -> float:
    return a * log(a / b) if a > 0 else 0.0
