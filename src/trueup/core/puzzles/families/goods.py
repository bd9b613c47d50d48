"""Things with weights, as packing puzzles print them."""

from __future__ import annotations

import re
from dataclasses import dataclass

GOOD = re.compile(r"^(\w+): (\d{1,3}) kg(?:, worth (\d{1,3}))?$", re.MULTILINE)
MOST = 20
"""Things that a puzzle may list: the best must be found at once whenever an answer is checked."""


@dataclass(frozen=True, slots=True)
class Good:
    """A thing, its weight, and what it is worth where that matters."""

    name: str
    weight: int
    worth: int = 0


def printed(goods: tuple[Good, ...]) -> str:
    """A line per thing."""
    return "\n".join(f"{g.name}: {g.weight} kg" + f", worth {g.worth}" * (g.worth > 0) for g in goods)


def read_goods(text: str) -> tuple[Good, ...]:
    """The things that a text lists; none where there are too many."""
    found = tuple(Good(name, int(weight), int(worth or 0)) for name, weight, worth in GOOD.findall(text))
    return found if len(found) <= MOST and all(good.weight for good in found) else ()
