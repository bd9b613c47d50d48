"""Points and coverage: what every arm reached, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from trueup.core.cost import Cost
from trueup.core.outcome import Measured, Outcome
from trueup.core.roles import Verifier
from trueup.core.stratum import Arm
from trueup.core.types import Json
from trueup.plan.estimate import Codes, accuracy_interval, pass_at_k
from trueup.plan.parts import Parts, parts_of
from trueup.plan.shares import Share, share_of
from trueup.plan.sheet import Sheet, mean


@dataclass(frozen=True, slots=True)
class MeanCost:
    """What a request costs on average; None where any request's cost is unknown."""

    calls: float
    prompt_tokens: float | None
    completion_tokens: float | None
    flops: float | None
    seconds: float
    usd: float | None

    @property
    def tokens(self) -> float | None:
        """Tokens in and out."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Point:
    """An arm on the axes of accuracy and cost.

    A failed item counts as wrong, what it used is borne by those that did not fail, and `failure` says why the first
    one failed. Every other item is `decided`: an answer was given and could be read; `abstained`: nothing was said; or
    `unparsable`. `wrong_decided` are those whose answer is wrong, of all items; `parts` says how much of an answer is
    right where it has parts. `models` are those that it may ask, "" the study's own, each with what it is billed as. An
    `oracle` saw the reference: an upper bound, nothing to deploy; a `batch` arm spends one budget on many requests at
    once, which no server can.
    """

    method: str
    settings: dict[str, Json]
    label: str
    accuracy: float
    ci95: tuple[float, float]
    n: int
    right: int
    failures: int
    unparsable: int
    abstained: int
    decided: Share
    wrong_decided: Share
    parts: Parts | None
    oracle: bool
    batch: bool
    cost: MeanCost
    models: dict[str, str]
    failure: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether every item failed: then neither its accuracy nor its cost says anything."""
        return self.failures == self.n

    @property
    def is_deployable(self) -> bool:
        """Whether a server can answer requests so."""
        return not (self.oracle or self.batch or self.is_broken)


@dataclass(frozen=True, slots=True)
class Coverage:
    """pass@k over the `n` items that have k attempts."""

    k: int
    pass_at_k: float
    ci95: tuple[float, float]
    n: int


def measure(measured: Measured) -> tuple[Point, ...]:
    """A point per arm that was run, in the order of the arms.

    Intervals are exact (Clopper-Pearson), widened by the design effect where items come in clusters.
    """
    by_arm: dict[str, list[Outcome]] = {arm.label: [] for arm in measured.arms}
    for outcome in measured.outcomes:
        by_arm[outcome.arm].append(outcome)
    verifier = measured.stratum.verifier
    return tuple(_point(arm, by_arm[arm.label], verifier) for arm in measured.arms if by_arm[arm.label])


def coverage(sheet: Sheet, samples: int) -> tuple[Coverage, ...]:
    """pass@k for k = 1, 2, 4, ... and `samples`; an item with fewer than k attempts is left out of that k."""
    sizes = [2**power for power in range(samples.bit_length()) if 2**power < samples] + [samples]
    rows = []
    for k in sizes:
        values = pass_at_k(sheet.attempts, sheet.right, k)
        if (reached := mean(values)) is not None:
            rows.append(Coverage(k, reached, sheet.draws.mean(values), int((~np.isnan(values)).sum())))
    return tuple(rows)


def mean_cost(costs: Sequence[Cost], failures: int = 0) -> MeanCost:
    """The mean of some costs; where so many of them are of failures, all of it by those that are not, if any."""
    total = sum(costs, Cost())
    n = len(costs) - failures or len(costs)
    return MeanCost(
        total.calls / n,
        _over(total.prompt_tokens, n),
        _over(total.completion_tokens, n),
        _over(total.flops, n),
        total.seconds / n,
        _over(total.usd, n),
    )


def _point(arm: Arm, outcomes: Sequence[Outcome], verifier: Verifier) -> Point:
    right = np.array([float(outcome.grade.is_right) for outcome in outcomes])
    decided = np.array([float(outcome.failure is None and outcome.grade.parsed) for outcome in outcomes])
    failures = sum(outcome.failure is not None for outcome in outcomes)
    abstained = sum(_is_silent(outcome) for outcome in outcomes)
    codes = _codes(outcomes)
    return Point(
        method=arm.method,
        settings=dict(arm.settings),
        label=arm.label,
        accuracy=float(right.sum()) / len(right),
        ci95=accuracy_interval(right, codes),
        n=len(outcomes),
        right=int(right.sum()),
        failures=failures,
        unparsable=len(outcomes) - failures - abstained - int(decided.sum()),
        abstained=abstained,
        decided=share_of(decided, codes),
        wrong_decided=share_of(decided * (1.0 - right), codes),
        parts=parts_of(outcomes, codes, verifier),
        oracle=any(outcome.is_oracle for outcome in outcomes),
        batch=arm.is_batch,
        cost=mean_cost([outcome.cost for outcome in outcomes], failures),
        models=dict(arm.models),
        failure=next((outcome.failure for outcome in outcomes if outcome.failure), ""),
    )


def _is_silent(outcome: Outcome) -> bool:
    """Whether a method chose to say nothing: what a model said and nobody could read is no abstention."""
    answer = outcome.answer
    return outcome.failure is None and answer is not None and answer.value is None and not answer.text.strip()


def _codes(outcomes: Sequence[Outcome]) -> Codes:
    _, codes = np.unique(np.array([outcome.item.cluster for outcome in outcomes], dtype=str), return_inverse=True)
    return codes


def _over(total: int | Decimal | None, n: int) -> float | None:
    return None if total is None else float(total / n)
