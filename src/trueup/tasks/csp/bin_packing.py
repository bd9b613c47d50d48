"""Bins to be packed; several packings can be best, the number of bins is one."""

from __future__ import annotations

from random import Random

from trueup.core.puzzles.families import BinPacking, Good, first_fit, packed
from trueup.core.puzzles.families.bin_packing import MOST
from trueup.core.puzzles.network import Searched
from trueup.tasks.csp.dials import ANY, GREEDY, RIGHT, Band, band, one_of, tried, within
from trueup.tasks.csp.goods import HEAVIEST, drawn_weights
from trueup.tasks.csp.made import Made
from trueup.tasks.csp.sums import Sum, search_sums

TRIES = 500
MOST_SEARCHED = 10
"""Things, where wrong turns are counted: more go into the fewest bins in thousands of ways."""


def bin_packing(rng: Random, *, items: int = 8, capacity: int = 20, greedy: str = ANY, backtracks: str = "") -> Made:
    """Things to pack; `greedy`: is putting the heaviest first into the first bin that holds it right, wrong or any.

    `backtracks` is how many wrong turns a complete search for all packings into the fewest bins takes, as 4 or 3..6, of
    up to ten things.
    """
    within("bin_packing", "items", items, 3, MOST)
    within("bin_packing", "capacity", capacity, HEAVIEST, 100)
    one_of("bin_packing", "greedy", greedy, GREEDY)
    dials, wanted = f"items={items} capacity={capacity} greedy={greedy}", band("bin_packing", backtracks)
    if not wanted.is_open:
        within("bin_packing", "items", items, 3, MOST_SEARCHED)
        dials += f" backtracks={backtracks}"
    return tried("bin_packing", dials, lambda: _made(rng, items, capacity, greedy, wanted), TRIES)


def _made(rng: Random, items: int, capacity: int, greedy: str, wanted: Band) -> Made | None:
    goods = tuple(Good(name, weight) for name, weight in drawn_weights(items, rng).items())
    puzzle, bins = BinPacking(goods, capacity), packed(goods, capacity)
    is_right = first_fit(goods, capacity) == len(bins)
    if greedy != ANY and is_right != (greedy == RIGHT):
        return None
    if not (wanted.is_open or wanted.takes(searched(puzzle, len(bins)))):
        return None
    return Made(puzzle, puzzle.answer({name: i for i, names in enumerate(bins, 1) for name in names}))


def searched(puzzle: BinPacking, bins: int) -> Searched:
    """A complete search for the packings into so many bins."""
    places = range(bins)
    loads = [
        Sum([[good.weight * (at == one) for at in places] for good in puzzle.goods], puzzle.capacity) for one in places
    ]
    return search_sums([places] * len(puzzle.goods), loads, in_turn=True)
