"""Which clues to give: as few as leave one solution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from trueup.core.csp import Program, parse
from trueup.core.csp.program import Constraint
from trueup.core.csp.values import holds
from trueup.core.puzzles.families import Clue, Puzzle, Values
from trueup.core.puzzles.families.clues import Kinds
from trueup.core.puzzles.network import Searched, Tie, network, network_of, search, ties_of
from trueup.tasks.csp.dials import TRIES, Band, tried
from trueup.tasks.csp.made import Made

CLUE = "clue "
DECISIONS = 300
"""Within which a puzzle must be proved to have one solution; clues are kept until it can be."""
FIRST = 4
STEERED_TRIES, MOVES = 150, 100
"""Puzzles whose clues are exchanged where none was drawn with as many wrong turns, and exchanges in each."""
Ties = list[Tie]


def dialled(family: str, dials: str, make: Callable[[Random | None], Made | None], wanted: Band, rng: Random) -> Made:
    """What a draw makes; where none has as many wrong turns as are wanted, what exchanging its clues makes.

    Raises BadInput where neither finds any.
    """
    ways = [None] * TRIES + [rng] * (0 if wanted.is_open else STEERED_TRIES)
    way = iter(ways)
    return tried(family, dials, lambda: make(next(way)), len(ways))


def clued(
    with_clues: Callable[[Sequence[Clue]], Puzzle],
    offered: Sequence[Clue],
    solution: Values,
    wanted: Band,
    rng: Random | None = None,
) -> Made | None:
    """A puzzle of those of the offered clues that hold for the solution and are needed, the first offered first.

    With `rng` clues are exchanged as long as the search's wrong turns come no further from the band. None where all
    clues together leave other solutions, or the wrong turns are not in the band.
    """
    program = parse(with_clues(offered).constraints())
    rules = [one for one in program.constraints if not one.clue.startswith(CLUE)]
    true = {int(one.clue.removeprefix(CLUE)) - 1: one for one in program.constraints if _is_true_clue(one, solution)}
    chooser = _Chooser(program, rules, true)
    kept = chooser.needed(list(true))
    if kept is not None and rng is not None:
        kept = chooser.steered(kept, wanted, rng)
    if kept is None or not wanted.holds(chooser.searched(kept).undone):
        return None
    puzzle = with_clues([offered[place] for place in sorted(kept)])
    return Made(puzzle, puzzle.answer(solution))


def invented(kinds: Kinds, names: Sequence[str], most: int, amount: int, rng: Random) -> Iterator[Clue]:
    """So many clues of random kinds about random names, true or not, each once; a number in one is 1 to `most`."""
    seen: set[Clue] = set()
    for _ in range(amount):
        name = rng.choice(list(kinds))
        a, b, k = *rng.sample(names, 2), rng.randint(1, most)
        slots = {slot[-1] for slot in kinds[name].slots()}
        clue = Clue(name, a, b if "b" in slots else "", k if "k" in slots else 0)
        if clue not in seen:
            seen.add(clue)
            yield clue


def _is_true_clue(constraint: Constraint, solution: Values) -> bool:
    return constraint.clue.startswith(CLUE) and holds(constraint, solution)


class _Chooser:
    """The rules of a puzzle, and the clues that may be added to them."""

    def __init__(self, program: Program, rules: Sequence[Constraint], clues: Mapping[int, Constraint]) -> None:
        self.domains = network_of(Program(program.variables)).domains
        self.rules = [tie for one in rules for tie in ties_of(one, program.variables)]
        self.ties: dict[int, Ties] = {place: ties_of(one, program.variables) for place, one in clues.items()}

    def searched(self, kept: Sequence[int]) -> Searched:
        """What a search finds with these clues."""
        clues = (tie for place in kept for tie in self.ties[place])
        return search(network(self.domains, [*self.rules, *clues]), decisions=DECISIONS)

    def steered(self, kept: list[int], wanted: Band, rng: Random) -> list[int]:
        """Without one clue and with others for it, again and again."""
        count = self.searched(kept).undone
        for _ in range(MOVES):
            if wanted.holds(count):
                break
            gone = rng.choice(kept)
            others = [place for place in self.ties if place not in kept]
            moved = self.needed([place for place in kept if place != gone] + rng.sample(others, len(others)))
            reached = count if moved is None else self.searched(moved).undone
            if moved is not None and wanted.misses(reached) <= wanted.misses(count):
                kept, count = moved, reached
        return kept

    def needed(self, places: Sequence[int]) -> list[int] | None:
        """Clues of which none can be left out: more and more until they do, then without each that can go."""
        amount = FIRST
        while not self.searched(places[:amount]).is_unique:
            if amount >= len(places):
                return None
            amount = min(2 * amount, len(places))
        kept = list(places[:amount])
        for place in reversed(places[:amount]):
            fewer = [one for one in kept if one != place]
            if self.searched(fewer).is_unique:
                kept = fewer
        return kept
