"""Things with weights, as packing puzzles print them."""

from __future__ import annotations

import re
from dataclasses import dataclass

GOOD = re.compile(r"^(\w+): (\d+) kg(?:, worth (\d+))?$", re.MULTILINE)


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
    """The things that a text lists."""
    return tuple(Good(name, int(weight), int(worth or 0)) for name, weight, worth in GOOD.findall(text))
