"""Puzzles of sums, searched whole: every solution, and the wrong turns.

As `network.py`: the variable with the fewest values next, the first of equals, its values from the least; after each
decision every value goes that no longer fits into a sum, the others at their least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trueup.core.puzzles.network import Searched

DECISIONS = 1_000


@dataclass(frozen=True, slots=True)
class Sum:
    """What each value of each variable adds, and the most that they may come to."""

    added: Sequence[Sequence[int]]
    most: int


def search_sums(domains: Sequence[Sequence[int]], sums: Sequence[Sum], *, in_turn: bool = False) -> Searched:
    """Every solution; values are counted from 0, and `in_turn` none is begun before the one below it was."""
    state = _Search(sums, in_turn)
    start = state.settled(domains)
    if start:
        state.below(start)
    return Searched(tuple(state.found), state.undone, state.left > 0)


@dataclass(slots=True)
class _Search:
    """What a search has found so far, and how many decisions it has left."""

    sums: Sequence[Sum]
    in_turn: bool
    found: list[tuple[int, ...]] = field(default_factory=list)
    undone: int = 0
    left: int = DECISIONS

    def below(self, domains: Sequence[Sequence[int]]) -> bool:
        """Search a settled state to its end; whether it holds a solution."""
        open_ = [(len(values), place) for place, values in enumerate(domains) if len(values) > 1]
        if not open_:
            self.found.append(tuple(values[0] for values in domains))
            return True
        chosen, before = min(open_)[1], len(self.found)
        for value in domains[chosen]:
            if self.left <= 0:
                break
            self.left -= 1
            taken = self.settled([*domains[:chosen], (value,), *domains[chosen + 1 :]])
            if not (taken and self.below(taken)):
                self.undone += 1
        return len(self.found) > before

    def settled(self, domains: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """What is left of domains where nothing more follows; nothing where one is empty."""
        left = domains
        for one in self.sums:
            least = [min(map(added.__getitem__, values)) for added, values in zip(one.added, left, strict=True)]
            room = one.most - sum(least)
            left = [
                [value for value in values if added[value] - low <= room]
                for added, low, values in zip(one.added, least, left, strict=True)
            ]
            if not all(left):
                return ()
        if self.in_turn:
            left = _in_turn(left)
        if not all(left):
            return ()
        return left if sum(map(len, left)) == sum(map(len, domains)) else self.settled(left)


def _in_turn(domains: Sequence[Sequence[int]]) -> list[list[int]]:
    """Without the values that are more than one above all that may come before."""
    top, left = -1, []
    for values in domains:
        left.append([value for value in values if value <= top + 1])
        top = max(top, *left[-1], -1)
    return left
