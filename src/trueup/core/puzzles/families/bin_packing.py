"""How to pack things into as few bins as possible."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.goods import Good, printed, read_goods
from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import rows_of, said_rows

HEAD = re.compile(r"Pack these things into as few bins as possible; a bin holds at most (\d{1,4}) kg\.")
BIN = re.compile(r"(bin \d+)")
MOST = 14
"""Things that are packed; the fewest bins must be found at once whenever an answer is checked."""


@dataclass(frozen=True, slots=True)
class BinPacking:
    """A bin holds `capacity` of the goods' weight."""

    goods: tuple[Good, ...]
    capacity: int

    def statement(self) -> str:
        """The capacity, then the things."""
        return (
            f"Pack these things into as few bins as possible; a bin holds at most {self.capacity} kg.\n\n"
            f"{printed(self.goods)}\n\nAnswer with a line per bin that names what it holds, as `Bin 1: name, name`."
        )

    def constraints(self) -> str:
        """The number of a bin per thing; the first thing lies in bin 1, and no bin is begun before the last one was."""
        names, bins = [good.name for good in self.goods], range(1, first_fit(self.goods, self.capacity) + 1)
        lines = [f"int {', '.join(names)} in 1..{len(bins)}"]
        for one in bins:
            load = " + ".join(f"{good.weight} * count({good.name} == {one})" for good in self.goods)
            lines.append(f"con {load} <= {self.capacity} #bin {one} is not too heavy")
        lines.append(f"con {names[0]} == 1 #bins are numbered as they are begun: {names[0]}")
        lines += [
            f"con {name} <= 1 + max({', '.join(names[:i])}) #bins are numbered as they are begun: {name}"
            for i, name in enumerate(names)
            if i
        ]
        return "\n".join([*lines, f"minimize max({', '.join(names)})"])

    def answer(self, values: Values) -> str:
        """A line per bin."""
        bins = range(1, max(values[good.name] for good in self.goods) + 1)
        held = ([good.name for good in self.goods if values[good.name] == one] for one in bins)
        return "\n".join(f"Bin {i}: {', '.join(names)}" for i, names in enumerate(held, 1))

    def values(self, answer: str) -> Values | None:
        """The bin of each thing, where each is named once; bins are numbered in the order of their first things."""
        named = [(name, place) for place, row in enumerate(rows_of(answer).values()) for name in row]
        places = dict(named)
        if len(named) != len(self.goods) or any(good.name not in places for good in self.goods):
            return None
        order = list(dict.fromkeys(places[good.name] for good in self.goods))
        return {good.name: 1 + order.index(places[good.name]) for good in self.goods}

    def optimum(self) -> int | None:
        """The fewest bins."""
        return len(packed(self.goods, self.capacity))


def first_fit(goods: tuple[Good, ...], capacity: int) -> int:
    """The bins that are used where each thing, the heaviest first, goes into the first that still holds it."""
    room: list[int] = []
    for good in sorted(goods, key=lambda one: -one.weight):
        place = next((i for i, left in enumerate(room) if left >= good.weight), None)
        if place is None:
            room.append(capacity - good.weight)
        else:
            room[place] -= good.weight
    return len(room)


def packed(goods: tuple[Good, ...], capacity: int) -> list[list[str]]:
    """The names in each of the fewest bins, by trying one number of bins after another."""
    ordered = sorted(goods, key=lambda one: -one.weight)
    bins = -(-sum(good.weight for good in goods) // capacity)
    while (found := _fitted(ordered, (capacity,) * bins, set())) is None:
        bins += 1
    return [[name for name, place in found.items() if place == one] for one in range(bins)]


def stated_bin_packing(text: str) -> BinPacking | None:
    """The last packing that a text states; None where there is none, or one that cannot be packed or checked."""
    heads = list(HEAD.finditer(text))
    goods = read_goods(text[heads[-1].end() :]) if heads else ()
    capacity = int(heads[-1][1]) if heads else 0
    is_sound = 0 < len(goods) <= MOST and max(good.weight for good in goods) <= capacity
    return BinPacking(goods, capacity) if is_sound else None


def said_bins(text: str) -> str | None:
    """What each bin of the last list of bins holds, in order; their numbers say nothing."""
    rows = said_rows(text, BIN, size=lambda rows: len({name for row in rows.values() for name in row}))
    held = sorted(tuple(sorted(row)) for row in rows.values())
    return "\n".join(f"bin {i}: {', '.join(names)}" for i, names in enumerate(held, 1)) or None


def _fitted(goods: list[Good], room: tuple[int, ...], lost: set[tuple[int, ...]]) -> dict[str, int] | None:
    """A bin for each thing, the heaviest first; None where they do not fit.

    Of bins with equal room one is tried, and what room was left in vain is not tried again.
    """
    if not goods:
        return {}
    heaviest, *rest = goods
    usable = sum(left for left in room if left >= goods[-1].weight)
    if usable < sum(good.weight for good in goods):
        return None
    if (state := (len(goods), *sorted(room))) in lost:
        return None
    for place in {left: i for i, left in enumerate(room) if left >= heaviest.weight}.values():
        found = _fitted(rest, (*room[:place], room[place] - heaviest.weight, *room[place + 1 :]), lost)
        if found is not None:
            return {heaviest.name: place, **found}
    lost.add(state)
    return None
