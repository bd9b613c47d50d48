"""Knapsacks with one best choice."""

from __future__ import annotations

from random import Random

from trueup.core.puzzles.families import Good, Knapsack
from trueup.tasks.csp.dials import ANY, GREEDY, RIGHT, one_of, tried, within
from trueup.tasks.csp.goods import NAMES, drawn_weights
from trueup.tasks.csp.made import Made

TRIES = 500
CHEAPEST, DEAREST = 5, 40
"""What a thing can be worth."""


def knapsack(rng: Random, *, items: int = 8, percent: int = 50, greedy: str = ANY) -> Made:
    """Things of whose weight a part fits; `greedy`: is taking what is worth the most per kg right, wrong or any."""
    within("knapsack", "items", items, 3, len(NAMES))
    within("knapsack", "percent", percent, 10, 90)
    one_of("knapsack", "greedy", greedy, GREEDY)
    dials = f"items={items} percent={percent} greedy={greedy}"
    return tried("knapsack", dials, lambda: _made(rng, items, percent, greedy), TRIES)


def _made(rng: Random, items: int, percent: int, greedy: str) -> Made | None:
    weights = drawn_weights(items, rng)
    goods = tuple(Good(name, weight, rng.randint(CHEAPEST, DEAREST)) for name, weight in weights.items())
    puzzle = Knapsack(goods, sum(weights.values()) * percent // 100)
    best = puzzle.best()
    is_right = puzzle.by_ratio() == best.worth
    if best.ways != 1 or not best.taken or (greedy != ANY and is_right != (greedy == RIGHT)):
        return None
    return Made(puzzle, puzzle.answer({good.name: int(good.name in best.taken) for good in goods}))
