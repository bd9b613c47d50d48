"""Knapsacks with one best choice."""

from __future__ import annotations

from random import Random

from trueup.core.puzzles.families import Good, Knapsack
from trueup.core.puzzles.network import Searched
from trueup.tasks.csp.dials import ANY, GREEDY, RIGHT, Band, band, one_of, tried, within
from trueup.tasks.csp.goods import NAMES, drawn_weights
from trueup.tasks.csp.made import Made
from trueup.tasks.csp.sums import Sum, search_sums

TRIES = 500
MOST_SEARCHED = 16
"""Things, where wrong turns are counted: with more there are thousands."""
CHEAPEST, DEAREST = 5, 40
"""What a thing can be worth."""


def knapsack(rng: Random, *, items: int = 8, percent: int = 50, greedy: str = ANY, backtracks: str = "") -> Made:
    """Things of whose weight a part fits; `greedy`: is taking what is worth the most per kg right, wrong or any.

    `backtracks` is how many wrong turns a complete search for what is worth as much as the best takes, as 4 or 3..6, of
    up to 16 things.
    """
    within("knapsack", "items", items, 3, len(NAMES))
    within("knapsack", "percent", percent, 10, 90)
    one_of("knapsack", "greedy", greedy, GREEDY)
    dials, wanted = f"items={items} percent={percent} greedy={greedy}", band("knapsack", backtracks)
    if not wanted.is_open:
        within("knapsack", "items", items, 3, MOST_SEARCHED)
        dials += f" backtracks={backtracks}"
    return tried("knapsack", dials, lambda: _made(rng, items, percent, greedy, wanted), TRIES)


def _made(rng: Random, items: int, percent: int, greedy: str, wanted: Band) -> Made | None:
    weights = drawn_weights(items, rng)
    goods = tuple(Good(name, weight, rng.randint(CHEAPEST, DEAREST)) for name, weight in weights.items())
    puzzle = Knapsack(goods, sum(weights.values()) * percent // 100)
    best = puzzle.best()
    is_right = puzzle.by_ratio() == best.worth
    if best.ways != 1 or not best.taken or (greedy != ANY and is_right != (greedy == RIGHT)):
        return None
    if not (wanted.is_open or wanted.takes(searched(puzzle, best.worth))):
        return None
    return Made(puzzle, puzzle.answer({good.name: int(good.name in best.taken) for good in goods}))


def searched(puzzle: Knapsack, worth: int) -> Searched:
    """A complete search for what fits and is worth at least so much."""
    weights = Sum([(0, good.weight) for good in puzzle.goods], puzzle.capacity)
    worths = Sum([(0, -good.worth) for good in puzzle.goods], -worth)
    return search_sums([(0, 1)] * len(puzzle.goods), [weights, worths])
