"""Optimisation problems in words, made with their best value and their program.

Whole numbers throughout, few enough unknowns that every choice is tried, so that the best value is exact and rests on
no solver. Dials: how many kinds of goods there are, and of what limits them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from trueup.core.errors import BadInput
from trueup.tasks.csp.dials import within

GOODS = ("lamps", "tables", "chairs", "shelves")
MEANS = ("hours of carpentry", "hours of painting", "metres of timber")
FOODS = ("oats", "beans", "eggs", "rice")
NUTRIENTS = ("protein", "iron", "fibre")
ALLOYS = ("ore A", "ore B", "ore C", "ore D")
METALS = ("copper", "zinc", "tin")
PLANTS, SHOPS = ("North", "South"), ("Ash", "Birch", "Cedar")
MOST, TRIES = 12, 200
"""The most of one thing that can be made or bought; problems that are drawn for one that has a solution."""


@dataclass(frozen=True, slots=True)
class Worded:
    """A problem in words, the same as a program whose `answer` is the objective, and the best value."""

    statement: str
    program: str
    best: str


@dataclass(frozen=True, slots=True)
class Linear:
    """Unknown whole numbers up to `most`; each limit is weights, a sign and what their sum may come to."""

    names: Sequence[str]
    most: int
    gains: Sequence[int]
    sense: str
    limits: Sequence[tuple[Sequence[int], str, int]]

    def best(self, tried: Iterable[Sequence[int]] | None = None) -> int | None:
        """The best value by trying everything, or all of `tried`; None where nothing is allowed."""
        choose = max if self.sense == "maximize" else min
        tried = product(range(self.most + 1), repeat=len(self.names)) if tried is None else tried
        allowed = (_sum(self.gains, amounts) for amounts in tried if self._allows(amounts))
        return choose(allowed, default=None)

    def program(self) -> str:
        """The line language, a clue a limit."""
        highest = sum(abs(gain) for gain in self.gains) * self.most
        lines = [f"int {', '.join(self.names)} in 0..{self.most}", f"int answer in 0..{highest}"]
        lines += [
            f"con {_shown(weights, self.names)} {sign} {limit} #limit {place}"
            for place, (weights, sign, limit) in enumerate(self.limits, 1)
        ]
        return "\n".join([*lines, f"con answer == {_shown(self.gains, self.names)}", f"{self.sense} answer"])

    def _allows(self, amounts: Sequence[int]) -> bool:
        sums = [(_sum(weights, amounts), sign, limit) for weights, sign, limit in self.limits]
        return all(
            total <= limit if sign == "<=" else total >= limit if sign == ">=" else total == limit
            for total, sign, limit in sums
        )


Made = tuple[Linear, str, Iterable[Sequence[int]] | None]
"""A problem, its words, and the amounts that have to be tried where these are fewer than all."""


def production(rng: Random, *, kinds: int = 2, means: int = 2) -> Worded:
    """What to make of goods that share what they are made of, for the most profit."""
    within("word-problems:production", "kinds", kinds, 2, len(GOODS))
    within("word-problems:production", "means", means, 1, len(MEANS))

    def _make() -> Made:
        gains = [rng.randint(8, 60) for _ in range(kinds)]
        needs = [[rng.randint(1, 6) for _ in range(kinds)] for _ in range(means)]
        limits = [rng.randint(2, MOST) * sum(row) // 2 for row in needs]
        words = [
            f"One of the {name} brings {gain} dollars and takes "
            + _listed([f"{row[i]} {what}" for row, what in zip(needs, MEANS, strict=False)])
            + "."
            for i, (name, gain) in enumerate(zip(GOODS, gains, strict=False))
        ]
        has = _listed([f"{limit} {what}" for limit, what in zip(limits, MEANS, strict=False)])
        text = (
            f"A workshop makes {_listed(GOODS[:kinds])}, whole pieces only and at most {MOST} of each a week. "
            f"{' '.join(words)} Each week there are {has}. What is the most that the workshop can earn in a week?"
        )
        return Linear(GOODS[:kinds], MOST, gains, "maximize", _paired(needs, "<=", limits)), text, None

    return _made("production", _make)


def diet(rng: Random, *, kinds: int = 3, means: int = 2) -> Worded:
    """What to eat for the least money, with enough of everything."""
    within("word-problems:diet", "kinds", kinds, 2, len(FOODS))
    within("word-problems:diet", "means", means, 1, len(NUTRIENTS))

    def _make() -> Made:
        costs = [rng.randint(20, 95) for _ in range(kinds)]
        holds = [[rng.randint(0, 9) for _ in range(kinds)] for _ in range(means)]
        least = [rng.randint(15, 45) for _ in range(means)]
        words = [
            f"A portion of {name} costs {cost} cents and has "
            + _listed([f"{row[i]} g of {what}" for row, what in zip(holds, NUTRIENTS, strict=False)])
            + "."
            for i, (name, cost) in enumerate(zip(FOODS, costs, strict=False))
        ]
        needs = _listed([f"{low} g of {what}" for low, what in zip(least, NUTRIENTS, strict=False)])
        text = (
            f"A kitchen plans a dish of {_listed(FOODS[:kinds])}, in whole portions and at most {MOST} of each. "
            f"{' '.join(words)} The dish must have at least {needs}. What is the least that it can cost, in cents?"
        )
        return Linear(FOODS[:kinds], MOST, costs, "minimize", _paired(holds, ">=", least)), text, None

    return _made("diet", _make)


def blending(rng: Random, *, kinds: int = 3, means: int = 2, tonnes: int = 10) -> Worded:
    """What to mix for the least money, with enough of everything in the mixture."""
    within("word-problems:blending", "kinds", kinds, 2, len(ALLOYS))
    within("word-problems:blending", "means", means, 1, len(METALS))
    within("word-problems:blending", "tonnes", tonnes, 2, 20)
    names = [name.replace(" ", "_") for name in ALLOYS[:kinds]]

    def _make() -> Made:
        costs = [rng.randint(30, 120) for _ in range(kinds)]
        shares = [[rng.randint(2, 40) for _ in range(kinds)] for _ in range(means)]
        least = [rng.randint(min(row), max(row)) for row in shares]
        words = [
            f"A tonne of {name} costs {cost} dollars and is "
            + _listed([f"{row[i]} % {metal}" for row, metal in zip(shares, METALS, strict=False)])
            + "."
            for i, (name, cost) in enumerate(zip(ALLOYS, costs, strict=False))
        ]
        needs = _listed([f"{low} % {metal}" for low, metal in zip(least, METALS, strict=False)])
        text = (
            f"A foundry melts {tonnes} tonnes of {_listed(ALLOYS[:kinds])} together, whole tonnes of each. "
            f"{' '.join(words)} The melt must be at least {needs}. What is the least that it can cost, in dollars?"
        )
        limits = _paired(shares, ">=", [low * tonnes for low in least])
        linear = Linear(names, tonnes, costs, "minimize", [([1] * kinds, "==", tonnes), *limits])
        return linear, text, _shares(tonnes, kinds)

    return _made("blending", _make)


def transport(rng: Random, *, kinds: int = 2) -> Worded:
    """What to send from two plants to so many shops for the least money."""
    within("word-problems:transport", "kinds", kinds, 2, len(SHOPS))
    shops = SHOPS[:kinds]
    names = [f"{plant}_{shop}".lower() for plant in PLANTS for shop in shops]

    def _make() -> Made:
        costs = [rng.randint(2, 30) for _ in names]
        wants = [rng.randint(1, 5) for _ in shops]
        total = sum(wants)
        first = rng.randint(1, total)
        has = [first, total - first + rng.randint(0, 2)]
        words = [
            f"From {plant} a load costs "
            + _listed([f"{costs[p * kinds + s]} dollars to {shop}" for s, shop in enumerate(shops)])
            + "."
            for p, plant in enumerate(PLANTS)
        ]
        needs = _listed([f"{shop} wants {want}" for shop, want in zip(shops, wants, strict=True)])
        text = (
            f"Two plants, {_listed(PLANTS)}, send whole loads to the shops {_listed(shops)}. {PLANTS[0]} has {has[0]} "
            f"loads and {PLANTS[1]} {has[1]}; {needs}. {' '.join(words)} Every shop must get what it wants. "
            f"What is the least that the transport can cost, in dollars?"
        )
        gives = [([int(i // kinds == p) for i in range(len(names))], "<=", has[p]) for p in range(len(PLANTS))]
        gets = [([int(i % kinds == s) for i in range(len(names))], "==", wants[s]) for s in range(kinds)]
        # What the first plant does not send the second one must.
        sent = product(*(range(want + 1) for want in wants))
        tried = [(*one, *(want - x for want, x in zip(wants, one, strict=True))) for one in sent]
        return Linear(names, max(wants), costs, "minimize", [*gives, *gets]), text, tried

    return _made("transport", _make)


FAMILIES: Mapping[str, Callable[..., Worded]] = {
    "production": production, "diet": diet, "blending": blending, "transport": transport,
}  # fmt: skip


def _made(family: str, make: Callable[[], Made]) -> Worded:
    """The first drawn that has a solution which is not to do nothing."""
    for _ in range(TRIES):
        linear, text, tried = make()
        best = linear.best(tried)
        if best:
            return Worded(text, linear.program(), str(best))
    raise BadInput(f"word-problems:{family} found none with a solution in {TRIES} tries; change its dials")


def _shares(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to share out a whole number, in order."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in _shares(total - first, parts - 1))


def _paired(rows: Sequence[Sequence[int]], sign: str, limits: Sequence[int]) -> list[tuple[Sequence[int], str, int]]:
    return [(row, sign, limit) for row, limit in zip(rows, limits, strict=True)]


def _sum(weights: Sequence[int], amounts: Sequence[int]) -> int:
    return sum(weight * amount for weight, amount in zip(weights, amounts, strict=True))


def _shown(weights: Sequence[int], names: Sequence[str]) -> str:
    terms = [
        name if weight == 1 else f"{weight} * {name}" for weight, name in zip(weights, names, strict=True) if weight
    ]
    return " + ".join(terms) or "0"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
