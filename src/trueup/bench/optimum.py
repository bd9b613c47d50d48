"""How few tokens a rule for stopping can do with on a population of known truth: exact, no simulation.

Whatever counts answers sees which attempts agree, and nothing else: the sizes of the groups of equal answers, a
partition. The chance of each partition, and that of each of its groups to be the right answer, have a closed form
(beta-binomial for the right one, Dirichlet-multinomial for the rivals), and so have those of the partitions that an
attempt more leads to. So backward induction over all partitions (215,308 of up to 40 attempts) finds the rule that
brings the most right answers less the price of its tokens. It knows the population, may leave a problem alone, takes
attempts one by one, pays its prompt once and answers with the group that is likeliest to be right: no rule that goes
by answers can do better with as many attempts at most, nor one that shares its tokens out over many problems.

At any price c of a token let V(c) be what that rule brings. One that is right with a chance of A takes T tokens on
average with A - c T <= V(c), hence T >= (A - V(c)) / c: Lagrangian duality (Everett 1963). The bound is that of the
price at which it is largest, which the best rule, or a lot between two, comes to.
Shapes: P partitions of a level, G groups, largest first and then zeros; E steps between two levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betaln, gammaln, poch

from trueup.bench.frontier import MARGIN
from trueup.bench.population import PROMPT_TOKENS, Population
from trueup.bench.recorded import SAMPLES
from trueup.core.errors import BadInput
from trueup.plan.estimate import Column

PRICES = (1e-9, 1.0)
"""Of an attempt, in right answers: none is worth more than one, nor is the bound at a lower price much larger."""
MOST = 127
"""The largest group that a byte holds."""
ROUNDING = 1e-9

Groups = NDArray[np.int8]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps:
    """The ways from one level to the next: E places of the partition before and behind, how many groups lead there."""

    before: Places
    behind: Places
    ways: Column


@dataclass(frozen=True, slots=True)
class Least:
    """What no rule that goes by answers goes below: the accuracy asked for, and mean tokens."""

    accuracy: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Tree:
    """All partitions of up to so many attempts into as many groups as there are answers; PG a level."""

    levels: Sequence[Groups]
    steps: Sequence[Steps]

    @classmethod
    def of(cls, attempts: int, answers: int) -> Tree:
        """From none to so many attempts."""
        levels, steps = [np.zeros((1, min(attempts, answers)), np.int8)], []
        for _ in range(attempts):
            level, step = _grown(levels[-1])
            levels.append(level)
            steps.append(step)
        return cls(levels, steps)


class Optimum:
    """The best rules for a population, of at most so many attempts.

    Raises BadInput for fewer than 1 or more than 127 attempts, and without rivals.
    """

    def __init__(self, population: Population, attempts: int = SAMPLES) -> None:
        if not 1 <= attempts <= MOST or population.rivals < 1:
            raise BadInput(f"{attempts} attempts, {population.rivals} rivals; give 1 to {MOST}, and 1 or more")
        self.length = population.mean_tokens
        self.tree = Tree.of(attempts, population.rivals + 1)
        self.best: list[Column] = []
        """P: the chance that the likeliest group is right."""
        self.elected: list[Column] = []
        """P: the chance that the largest one is, and so each that is as large."""
        chances = []
        for level in self.tree.levels:
            chance, right = _beliefs(population, level)
            chances.append(chance)
            self.best.append(right.max(1))
            self.elected.append(right[:, 0])
        self.follows = [
            step.ways * chances[k + 1][step.behind] / chances[k][step.before] for k, step in enumerate(self.tree.steps)
        ]
        """E: the chance of each step."""

    @cached_property
    def votes(self) -> list[float]:
        """How often the vote of 0, 1, 2, ... attempts is right; ties fall by lot."""
        met: Column = np.ones(1)
        found = [0.0]
        for step, chance, elected in zip(self.tree.steps, self.follows, self.elected[1:], strict=True):
            met = np.bincount(step.behind, weights=met[step.before] * chance).astype(float)
            found.append(float(met @ elected))
        return found

    def worth(self, price: float) -> float:
        """Right answers less the price of the tokens, of the best rule at this price of a token."""
        worth, attempt = self.best[-1], price * self.length
        later = zip(self.tree.steps[1:], self.follows[1:], self.best[1:-1], strict=True)
        for step, chance, best in reversed(list(later)):
            worth = np.maximum(best, np.bincount(step.before, weights=chance * worth[step.behind]) - attempt)
        return max(0.0, float(worth[0]) - attempt - price * PROMPT_TOKENS)

    def least(self, accuracy: float) -> Least:
        """What being right so often takes.

        Raises BadInput where no rule with as many attempts is.
        """
        reach = self.worth(0.0)
        if accuracy > reach + ROUNDING:
            raise BadInput(f"accuracy {accuracy} is out of reach: with all {len(self.tree.steps)} attempts {reach:.6f}")

        def bound(log_price: float) -> float:
            price = exp(log_price) / self.length
            return (accuracy - self.worth(price)) / price

        low, high = np.log(PRICES)
        found = minimize_scalar(lambda at: -bound(at), bounds=(low, high), method="bounded")
        return Least(accuracy, max(0.0, float(-found.fun)))

    def least_of_vote(self, attempts: int, margin: float = MARGIN) -> Least:
        """What losing no more than the margin to the vote of so many attempts takes."""
        return self.least(self.votes[attempts] - margin)


def _grown(level: Groups) -> tuple[Groups, Steps]:
    """The partitions with an attempt more: it joins a group, or is the first of its own."""
    larger = np.concatenate([np.ones((len(level), 1), bool), level[:, :-1] > level[:, 1:]], 1)
    before, group = np.nonzero(larger)
    grown = level[before]
    joined = grown[np.arange(len(grown)), group]
    ways = np.where(joined > 0, (grown == joined[:, None]).sum(1), 1).astype(float)
    grown[np.arange(len(grown)), group] += 1
    # As texts, zeros behind the last group cut off: sorting rows takes ten times as long.
    _, first, behind = np.unique(grown.view(f"S{grown.shape[1]}")[:, 0], return_index=True, return_inverse=True)
    return grown[first], Steps(before, behind, ways)


def _beliefs(population: Population, level: Groups) -> tuple[Column, Column]:
    """P: the chance of a given order of such attempts, its answers named as they come; PG: that a group is right."""
    a, b, rivals, alpha = population.a, population.b, population.rivals, population.concentration
    sizes = level.astype(float)
    total, groups = sizes.sum(1, keepdims=True), (sizes > 0).sum(1, keepdims=True)
    alike = gammaln(alpha + sizes) - gammaln(alpha)

    def of(right: Column, named: Column, others: Column) -> Column:
        """Where the right answer has so many attempts, and the rivals' groups, named in order, have these weights."""
        names = poch(rivals - named + 1, named)
        spread = gammaln(rivals * alpha) - gammaln(rivals * alpha + total - right)
        orders: Column = names * np.exp(betaln(a + right, b + total - right) - betaln(a, b) + spread + others)
        return orders

    whole = alike.sum(1, keepdims=True)
    unseen = of(np.zeros_like(total), groups, whole)
    seen = np.where(sizes > 0, of(sizes, groups - 1, whole - alike), 0.0)
    chance = unseen[:, 0] + seen.sum(1)
    return chance, seen / chance[:, None]
