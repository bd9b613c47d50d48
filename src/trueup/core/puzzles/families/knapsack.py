"""What to take so that it is worth the most and not too heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.goods import Good, printed, read_goods
from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import line_of

HEAD = re.compile(r"Choose things that are worth the most together and weigh at most (\d+) kg together\.")


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
        taken = line_of(answer, "take") or ()
        names = {good.name for good in self.goods}
        return {name: int(name in taken) for name in names} if len(set(taken) & names) == len(taken) else None

    def optimum(self) -> int | None:
        """The greatest worth."""
        return self.best()[0]

    def best(self) -> tuple[int, int]:
        """The greatest worth, and how many choices come to it; by weight, one thing after another."""
        reached: dict[int, dict[int, int]] = {0: {0: 1}}
        for good in self.goods:
            longer = {
                weight + good.weight: {worth + good.worth: ways for worth, ways in of.items()}
                for weight, of in reached.items()
                if weight + good.weight <= self.capacity
            }
            for weight, of in longer.items():
                known = reached.setdefault(weight, {})
                for worth, ways in of.items():
                    known[worth] = known.get(worth, 0) + ways
        most = max(worth for of in reached.values() for worth in of)
        return most, sum(of.get(most, 0) for of in reached.values())


def stated_knapsack(text: str) -> Knapsack | None:
    """The last such choice that a text states."""
    heads = list(HEAD.finditer(text))
    goods = read_goods(text[heads[-1].end() :]) if heads else ()
    return Knapsack(goods, int(heads[-1][1])) if goods else None


def said_taken(text: str) -> str | None:
    """What the last line that begins with `Take:` names, in order."""
    taken = line_of(text, "take")
    return None if taken is None else f"take: {', '.join(sorted(taken))}"
