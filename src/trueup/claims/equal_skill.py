"""A steered model against tuned ones, each where it is as skilled as the other.

Whoever is tuned less forgets less, so facts are compared only at a setting of either side that reaches the lower of
both bests. Settings are chosen on held items, judged on others; facts never choose. Differences are paired over items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueup.claims.gap import Difference
from trueup.claims.steered_models import Right, Seen, Trial
from trueup.plan import Resampler
from trueup.plan.resample import DIFFERENCE

SLACK = 0.01
"""So near to a level counts as reaching it: chance alone lifts the best of many settings."""


@dataclass(frozen=True, slots=True)
class Match:
    """The proxy against a way of tuning at equal skill; differences are the proxy's minus the other's.

    `known` is that of the facts which the base knew: a way that shows facts again may teach those that it did not.
    """

    proxy: Seen
    arm: Seen
    skill: Difference
    facts: Difference
    known: Difference


@dataclass(frozen=True, slots=True)
class Found:
    """What one seed's verdict rests on; `gained` is direct tuning's gain, `closed` the proxy's share of it.

    `taught` is what the small model's tuning gained over that, `expert_once` how often it is right then.
    """

    known: float
    gained: Difference
    closed: Difference
    over_expert: Difference
    matches: Mapping[str, Match]
    taught: float
    expert_once: float


def compare(trial: Trial, seed: int) -> Found:
    """One seed's figures."""
    items = Resampler.of([str(i) for i in range(len(trial.large.skill_M))], seed=seed, name="skill")
    facts = Resampler.of([str(i) for i in range(len(trial.large.facts_F))], seed=seed, name="facts")

    def against(draws: Resampler, first: Right, second: Right) -> Difference:
        a, b = first.astype(float), second.astype(float)
        return Difference(float((a - b).mean()), draws.difference(a, b))

    def match(stops: Sequence[Seen]) -> Match:
        proxy, arm = at_equal_skill(trial.proxy, stops)
        skill = against(items, proxy.skill_M, arm.skill_M)
        return Match(proxy, arm, skill, against(facts, proxy.facts_F, arm.facts_F), of_known(proxy, arm))

    def of_known(proxy: Seen, arm: Seen) -> Difference:
        kept_F = np.where(trial.large.facts_F, proxy.facts_F.astype(float) - arm.facts_F, np.nan)
        value = float(np.nanmean(kept_F)) if trial.large.facts_F.any() else 0.0
        return Difference(value, facts.mean(kept_F, DIFFERENCE))

    steered, tuned, large = (seen.skill_M.astype(float) for seen in (trial.steered, trial.tuned, trial.large))
    gained = against(items, trial.tuned.skill_M, trial.large.skill_M)
    share = (steered - large).mean() / gained.value if gained.value else 0.0
    return Found(
        float(trial.large.facts_F.mean()),
        gained,
        Difference(float(share), items.unbounded_ratio(steered - large, tuned - large, (-1.0, 2.0))),
        against(items, trial.steered.skill_M, trial.expert.skill_M),
        {name: match(stops) for name, stops in trial.arms.items()},
        float((trial.expert.skill_M.mean() - trial.small.skill_M.mean()) / gained.value) if gained.value else 0.0,
        float(trial.expert.skill_M.mean()),
    )


def at_equal_skill(proxy: Sequence[Seen], arm: Sequence[Seen]) -> tuple[Seen, Seen]:
    """The least setting of each that reaches the lower of both bests, on the held items."""
    level = min(max(seen.held_M.mean() for seen in seens) for seens in (proxy, arm)) - SLACK
    first, second = (next(seen for seen in seens if seen.held_M.mean() >= level) for seens in (proxy, arm))
    return first, second
