"""What to take so that it is worth the most and not too heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.goods import Good, printed, read_goods
from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import lists_of

HEAD = re.compile(r"Choose things that are worth the most together and weigh at most (\d{1,4}) kg together\.")
TAKE = "take"


@dataclass(frozen=True, slots=True)
class Best:
    """The greatest worth, in how many ways it is reached, and what is taken in one of them."""

    worth: int
    ways: int
    taken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Knapsack:
    """At most `capacity` of the goods' weight is taken."""

    goods: tuple[Good, ...]
    capacity: int

    def statement(self) -> str:
        """The capacity, then the things."""
        return (
            f"Choose things that are worth the most together and weigh at most {self.capacity} kg together.\n\n"
            f"{printed(self.goods)}\n\nAnswer with one line that names what you take, as `Take: name, name`."
        )

    def constraints(self) -> str:
        """1 for what is taken."""
        names = [good.name for good in self.goods]
        weights = " + ".join(f"{good.weight}*{good.name}" for good in self.goods)
        worth = " + ".join(f"{good.worth}*{good.name}" for good in self.goods)
        return f"int {', '.join(names)} in 0..1\ncon {weights} <= {self.capacity} #the weight\nmaximize {worth}"

    def answer(self, values: Values) -> str:
        """What is taken."""
        return f"Take: {', '.join(good.name for good in self.goods if values[good.name])}"

    def values(self, answer: str) -> Values | None:
        """Which things are taken, where all that is named is there and named once."""
        (*_, taken) = [(), *lists_of(answer, TAKE)]
        names = {good.name for good in self.goods}
        return {name: int(name in taken) for name in names} if len(set(taken) & names) == len(taken) else None

    def optimum(self) -> int | None:
        """The greatest worth."""
        return self.best().worth

    def best(self) -> Best:
        """The best choice, by dynamic programming over the weight."""
        reached = {0: Best(0, 1, ())}
        for good in self.goods:
            for weight, one in list(reached.items()):
                taken = Best(one.worth + good.worth, one.ways, (*one.taken, good.name))
                if weight + good.weight <= self.capacity:
                    reached[weight + good.weight] = _better(taken, reached.get(weight + good.weight))
        most = max(best.worth for best in reached.values())
        found = [best for best in reached.values() if best.worth == most]
        return Best(most, sum(best.ways for best in found), found[0].taken)

    def by_ratio(self) -> int:
        """What is reached where the thing of the most worth per weight that still fits is taken, again and again."""
        room, worth = self.capacity, 0
        for good in sorted(self.goods, key=lambda one: (-one.worth / one.weight, one.name)):
            if good.weight <= room:
                room, worth = room - good.weight, worth + good.worth
        return worth


def _better(one: Best, other: Best | None) -> Best:
    """The one of greater worth; of two that are worth the same, with the ways of both."""
    if other is None or one.worth > other.worth:
        return one
    return Best(other.worth, other.ways + one.ways * (one.worth == other.worth), other.taken)


def stated_knapsack(text: str) -> Knapsack | None:
    """The last such choice that a text states; None where there is none, or one too large to be checked."""
    heads = list(HEAD.finditer(text))
    goods = read_goods(text[heads[-1].end() :]) if heads else ()
    return Knapsack(goods, int(heads[-1][1])) if goods else None


def said_taken(text: str) -> str | None:
    """What the last line that begins with `Take:` names, in order."""
    lists = lists_of(text, TAKE)
    return f"{TAKE}: {', '.join(sorted(lists[-1]))}" if lists else None
