"""What a family's dials are checked by: bounds, bands and a bounded number of tries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trueup.core.errors import BadInput
from trueup.core.puzzles.network import Searched

T = TypeVar("T")
N = TypeVar("N", int, float)
TRIES = 60
LOOSEN = "loosen one of these"
GREEDY = ANY, RIGHT, WRONG = ("any", "right", "wrong")
"""Whether the rule of thumb finds the best: a dial of what is to be optimised."""


@dataclass(frozen=True, slots=True)
class Band:
    """Counts from `low` to `high`; `is_open` takes any."""

    low: int = 0
    high: int = 0
    is_open: bool = False

    def misses(self, count: int) -> int:
        """How far a count lies outside."""
        return max(self.low - count, count - self.high, 0)

    def holds(self, count: int) -> bool:
        """Whether a count lies inside."""
        return self.is_open or not self.misses(count)

    def takes(self, tree: Searched) -> bool:
        """Whether a search came to its end with as many wrong turns."""
        return tree.is_whole and self.holds(tree.undone)


def band(family: str, counts: str, dial: str = "backtracks", most: int | None = None) -> Band:
    """`4` or `3..6` as a band, of wrong turns unless told otherwise, up to `most`; nothing at all takes any.

    Raises BadInput for anything else.
    """
    if not counts:
        return Band(is_open=True)
    low, _, high = counts.partition("..")
    if not (low.isdecimal() and (high or low).isdecimal()) or int(high or low) < int(low):
        raise BadInput(f"{_source(family)} {dial} is {counts!r}; write a number as 4, or a band as 3..6")
    if most is not None:
        within(family, dial, int(high or low), 0, most)
    return Band(int(low), int(high or low))


def within(family: str, dial: str, value: N, low: float, high: float) -> N:
    """The value, if it lies between these, both included; BadInput names the dial where it does not."""
    if not low <= value <= high:
        raise BadInput(f"{_source(family)} {dial} is {value}; it takes {low} to {high}")
    return value


def one_of(family: str, dial: str, value: str, options: Sequence[str]) -> str:
    """The value, if it is one of these; BadInput names the dial where it is not."""
    if value not in options:
        raise BadInput(f"{_source(family)} {dial} is {value!r}; it takes {', '.join(options)}")
    return value


def tried(family: str, dials: str, make: Callable[[], T | None], tries: int = TRIES, mend: str = LOOSEN) -> T:
    """What the first try makes that makes anything; BadInput names the dials and a mend where none of so many does."""
    for _ in range(tries):
        made = make()
        if made is not None:
            return made
    raise BadInput(f"{_source(family)} found no puzzle with {dials} in {tries} tries; {mend}")


def _source(family: str) -> str:
    """What makes a family: `csp` unless its name says otherwise."""
    return family if ":" in family else f"csp:{family}"
