"""What one seed says: which modes survived, what the router learned, whether simpler ones do as well.

Differences are in accuracy, paired over the test items, their intervals from the bootstrap over items.
Axes: M item, D dial, 2 mode (short, think).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trueup.claims import think_routers as routers
from trueup.claims.gap import Difference
from trueup.claims.think_models import LABELLED, WARM_UP, Seen, Size, Tokens
from trueup.plan import Resampler
from trueup.plan.estimate import Column

RANDOM, LOGISTIC, SUMS, ALWAYS = "random", "logistic on characters", "logistic on column sums", "always think"
SHORT, ORACLE = "always short", "oracle"


@dataclass(frozen=True, slots=True)
class Rival:
    """A plain GRPO against DeGRPO: its accuracy minus that, its tokens as a share of that's, its rarer mode."""

    accuracy: Difference
    tokens: float
    minority: float


@dataclass(frozen=True, slots=True)
class Found:
    """One seed; `minority` is the rarer mode's share of the last samples, `start` and the `_D` are the warm-up's.

    `rivals` are the plain arms, `over` is DeGRPO minus each router on its own answers at its own cost in tokens, and
    minus thinking always, which costs what it costs; `tokens` is DeGRPO's share of that.
    """

    start: float
    short_D: Column
    think_D: Column
    minority: Mapping[str, float]
    spearman: float
    over: Mapping[str, Difference]
    tokens: float
    rivals: Mapping[str, Rival]


def compare(seen: Mapping[str, Seen], routed: Mapping[str, Column], main: str, dials_M: Tokens, seed: int) -> Found:
    """All comparisons of one seed; `routed` are the routers' chances on the main arm's answers, axes 2M."""
    draws = Resampler.of([str(i) for i in range(len(dials_M))], seed=seed, name=main)
    warm, policy = seen[WARM_UP], seen[main]
    right_M, spent = routers.accuracy(policy, policy.chance_2M), routers.tokens(policy, policy.chance_2M).mean()

    def over(other_M: Column) -> Difference:
        return Difference(float((right_M - other_M).mean()), draws.difference(right_M, other_M))

    def rival(one: Seen) -> Rival:
        other_M = routers.accuracy(one, one.chance_2M)
        tokens = routers.tokens(one, one.chance_2M).mean()
        gap = Difference(float((other_M - right_M).mean()), draws.difference(other_M, right_M))
        return Rival(gap, float(tokens / spent), minority(one))

    thinking = best_thinking(seen, main)
    others = {name: routers.accuracy(policy, chance_2M) for name, chance_2M in routed.items()}
    others[ALWAYS] = thinking.right_2M[1].astype(float)
    return Found(
        routers.think_rate(warm),
        routers.by_dial(warm.right_2M[0].astype(float), dials_M),
        routers.by_dial(warm.right_2M[1].astype(float), dials_M),
        {name: minority(one) for name, one in seen.items() if name != WARM_UP},
        routers.spearman(routers.by_dial(policy.chance_2M[1], dials_M)),
        {name: over(other_M) for name, other_M in others.items()},
        float(spent / thinking.length_2M[1].mean()),
        {name: rival(one) for name, one in seen.items() if name not in (WARM_UP, main)},
    )


def minority(seen: Seen) -> float:
    """The share of the rarer mode among the last samples."""
    assert seen.trace is not None
    return seen.trace.minority()


def best_thinking(seen: Mapping[str, Seen], main: str) -> Seen:
    """Of the warm-up and the main arm, both made to think, the one that is right more often."""
    return max((seen[main], seen[WARM_UP]), key=lambda one: float(one.right_2M[1].mean()))


def routers_of(size: Size, seen: Seen, prompts_MP: Tokens, seed: int) -> dict[str, Column]:
    """Each router's chances on a policy's answers, at its cost in tokens, and the two that have none to keep; axes 2M.

    The oracle thinks only where it must; it knows the answers, and is a bound.
    """
    budget = float(routers.tokens(seen, seen.chance_2M).mean())
    others_NP, task = size.problems(LABELLED + seed, size.labelled), size.modes.direct

    def learned(features: Callable[[Tokens], routers.Rows]) -> Column:
        return routers.learned(seen, features(others_NP), features(prompts_MP), budget, seed)

    must_M = (seen.right_2M[1] & ~seen.right_2M[0]).astype(float)
    return {
        RANDOM: routers.at_random(seen, budget),
        LOGISTIC: learned(routers.characters),
        SUMS: learned(lambda rows_BP: routers.column_sums(task.sums(rows_BP))),
        SHORT: routers.always(seen, 0),
        ORACLE: np.stack([1.0 - must_M, must_M]),
    }
