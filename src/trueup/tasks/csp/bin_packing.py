"""Bins to be packed; several packings can be best, the number of bins is one."""

from __future__ import annotations

from random import Random

from trueup.core.puzzles.families import BinPacking, Good, first_fit, packed
from trueup.core.puzzles.families.bin_packing import MOST
from trueup.tasks.csp.dials import ANY, GREEDY, RIGHT, one_of, tried, within
from trueup.tasks.csp.goods import HEAVIEST, drawn_weights
from trueup.tasks.csp.made import Made

TRIES = 500


def bin_packing(rng: Random, *, items: int = 8, capacity: int = 20, greedy: str = ANY) -> Made:
    """Things to pack; `greedy`: is putting the heaviest first into the first bin that holds it right, wrong or any."""
    within("bin_packing", "items", items, 3, MOST)
    within("bin_packing", "capacity", capacity, HEAVIEST, 100)
    one_of("bin_packing", "greedy", greedy, GREEDY)
    dials = f"items={items} capacity={capacity} greedy={greedy}"
    return tried("bin_packing", dials, lambda: _made(rng, items, capacity, greedy), TRIES)


def _made(rng: Random, items: int, capacity: int, greedy: str) -> Made | None:
    goods = tuple(Good(name, weight) for name, weight in drawn_weights(items, rng).items())
    puzzle, bins = BinPacking(goods, capacity), packed(goods, capacity)
    is_right = first_fit(goods, capacity) == len(bins)
    if greedy != ANY and is_right != (greedy == RIGHT):
        return None
    return Made(puzzle, puzzle.answer({name: i for i, names in enumerate(bins, 1) for name in names}))
