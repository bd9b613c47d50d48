"""Maps to colour, with so many open regions and wrong turns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random

from trueup.core.puzzles.families import Colouring
from trueup.core.puzzles.network import Network, all_different, network
from trueup.tasks.csp.dials import LOOSEN, Band, band, tried, within
from trueup.tasks.csp.digging import dug
from trueup.tasks.csp.made import Made

COLOURS = ("red", "green", "blue", "yellow", "brown")


def colouring(
    rng: Random,
    *,
    regions: int = 12,
    borders: int | None = None,
    colours: int = 3,
    blanks: int | None = None,
    backtracks: str = "",
) -> Made:
    """A random map of so many regions and borders; `backtracks` as for sudoku, 4 or 3..6.

    Unless said there are colours - 1 borders for each region, and of 3 colours a quarter of the regions is coloured, of
    more colours more of them.
    """
    within("colouring", "colours", colours, 3, len(COLOURS))
    within("colouring", "regions", regions, max(4, colours), 60)
    most = _most_borders(regions, colours)
    usual = min((colours - 1) * regions, most)
    edges = within("colouring", "borders", usual if borders is None else borders, regions - 1, most)
    open_most = regions - colours + 1
    usual_blanks = min(6 * regions // (colours + 5), open_most)
    chosen = within("colouring", "blanks", usual_blanks if blanks is None else blanks, 1, open_most)
    wanted = band("colouring", backtracks)
    dials = f"regions={regions} borders={edges} colours={colours} blanks={chosen}"
    dials += f" backtracks={backtracks}" * bool(backtracks)
    mend = "take fewer blanks" if wanted.is_open else LOOSEN
    return tried("colouring", dials, lambda: _made(rng, regions, edges, colours, chosen, wanted), 300, mend)


def _made(rng: Random, regions: int, edges: int, colours: int, blanks: int, wanted: Band) -> Made | None:
    solution = [i % colours for i in range(regions)]
    rng.shuffle(solution)
    allowed = [pair for pair in combinations(range(regions), 2) if solution[pair[0]] != solution[pair[1]]]
    borders = sorted(rng.sample(allowed, edges))
    cells = dug(_network(borders, regions, colours), solution, blanks, wanted, rng)
    if cells is None:
        return None
    names = [COLOURS[value] for value in solution]
    given = tuple("" if i in cells else name for i, name in enumerate(names))
    puzzle = Colouring(COLOURS[:colours], given, tuple(borders))
    return Made(puzzle, puzzle.answer({f"R{i}": value for i, value in enumerate(solution, 1)}))


def _most_borders(regions: int, colours: int) -> int:
    """How many pairs have two colours where each colour is used as often as any other."""
    return sum(1 for a, b in combinations(range(regions), 2) if a % colours != b % colours)


def _network(borders: Sequence[Sequence[int]], regions: int, colours: int) -> Network:
    return network([(1 << colours) - 1] * regions, all_different(borders, colours))
