"""Maps to colour whose dial is how many wrong turns a complete search takes.

The generator of `csp:colouring` at one size: so many regions, borders and given colours, one solution. Regions are
named in the order in which a search by propagation and fewest values first meets them, since Shah et al. 2024
(arXiv:2409.10502) found that puzzles are learned in such an order: with no wrong turn to take, each colour is the only
one that its earlier neighbours leave. A prompt tells, for each region that is open, its name and in two marks which of
the eight regions before it are its neighbours, then the given ones with their colours: `c5jd8k...=a1b2`. A step is a
region and its colour, `c3`, or a region that has none left, `d!`: then the region before it is coloured anew.
Axes: B row, P prompt token, T token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, permutations
from random import Random

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.puzzles.families import Colouring
from trueup.core.puzzles.network import all_different, network, search
from trueup.tasks.csp.colouring import COLOURS, colouring
from trueup.train.laboratory.examples import Examples
from trueup.train.laboratory.vocabulary import Tokens, encode_rows

NAMES = "abcdefghi"
MARKS = "456789jklmnopqrs"
"""Which of four regions are neighbours: the nearest is the lowest bit of a mark's place."""
NEAR = 4
SHADES = 3
NONE, END_MARK, GIVEN, STOP = "!", "$", "=", ";"
STATEMENT = re.compile(f"([{NAMES}])(?:([1-{SHADES}])|:([{NAMES}]*))")
Step = tuple[str, str]
"""A region and its colour, or that it has none left."""


@dataclass(frozen=True, slots=True)
class Map:
    """`earlier` has the neighbours before each region, `colours` the solution, counted from 1; `given` come first.

    `undone` is how many wrong turns the whole search takes.
    """

    earlier: tuple[tuple[int, ...], ...]
    colours: tuple[int, ...]
    given: int
    undone: int

    def prompt(self) -> str:
        """The map in the laboratory's characters."""
        shown = "".join(NAMES[i] + self._marks(i) for i in range(self.given, len(self.colours)))
        return shown + GIVEN + "".join(f"{NAMES[i]}{self.colours[i]}" for i in range(self.given))

    def answer(self) -> str:
        """The open regions with their colours."""
        return "".join(f"{NAMES[i]}{self.colours[i]}" for i in range(self.given, len(self.colours)))

    def puzzle(self) -> Colouring:
        """The same as the families of puzzles have it."""
        given = tuple(COLOURS[shade - 1] if i < self.given else "" for i, shade in enumerate(self.colours))
        borders = tuple((j, i) for i, before in enumerate(self.earlier) for j in before)
        return Colouring(COLOURS[:SHADES], given, borders)

    def recoloured(self, shades: Sequence[int]) -> Map:
        """The same map with its colours renamed, colour k to shades[k - 1]."""
        return Map(self.earlier, tuple(shades[shade - 1] for shade in self.colours), self.given, self.undone)

    def key(self) -> str:
        """Equal for maps that differ in the names of colours alone."""
        first: dict[int, int] = {}
        names = "".join(str(first.setdefault(shade, len(first))) for shade in self.colours[: self.given])
        return self.prompt().partition(GIVEN)[0] + names

    def steps(self) -> Iterator[Step]:
        """The search in words: each region takes the least colour that is left to it, and none makes it go back."""
        taken, least = list(self.colours[: self.given]), 1
        while len(taken) < len(self.colours):
            here = len(taken)
            barred = {taken[i] for i in self.earlier[here]}
            fits = next((shade for shade in range(least, SHADES + 1) if shade not in barred), None)
            yield NAMES[here], NONE if fits is None else str(fits)
            if fits is None:
                least = taken.pop() + 1
            else:
                taken.append(fits)
                least = 1

    def statements(self) -> str:
        """The constraints, shortened: `a1;` for a colour that is given, `d:ac;` for a region and its neighbours."""
        given = "".join(f"{NAMES[i]}{self.colours[i]}{STOP}" for i in range(self.given))
        opened = range(self.given, len(self.colours))
        return given + "".join(f"{NAMES[i]}:{''.join(NAMES[j] for j in self.earlier[i])}{STOP}" for i in opened)

    def _marks(self, i: int) -> str:
        bits = sum(1 << (i - j - 1) for j in self.earlier[i])
        return MARKS[bits % (1 << NEAR)] + MARKS[bits >> NEAR]


@dataclass(frozen=True, slots=True)
class Maps:
    """The task at a size: maps of so many `regions` and `borders`, of which `given` are coloured.

    In every naming of the colours the search in words comes to its end within `steps`.
    """

    regions: int = 9
    borders: int = 16
    given: int = 2
    steps: int = 62

    def __post_init__(self) -> None:
        if not 4 <= self.regions <= len(NAMES):
            raise BadInput(f"maps of {self.regions} regions; take 4 to {len(NAMES)}")
        if self.steps < self.regions - self.given:
            raise BadInput(f"searches of {self.steps} steps; {self.regions - self.given} regions take as many at least")

    def draw(self, seed: str, undone: str) -> Map:
        """A map by a seed, whose wrong turns lie in a band such as `1..2`."""
        made = (self._drawn(f"{seed}:{i}", undone) for i in count())
        return next(
            one for one in made if all(len(list(named.steps())) <= self.steps for named in every_shade([one]))
        )  # fmt: skip

    def _drawn(self, seed: str, undone: str) -> Map:
        made = colouring(
            Random(seed), regions=self.regions, borders=self.borders, colours=SHADES,
            blanks=self.regions - self.given, backtracks=undone,
        )  # fmt: skip
        assert isinstance(made.puzzle, Colouring)
        return ordered(made.puzzle)


def ordered(puzzle: Colouring) -> Map:
    """A coloured puzzle with one solution as a map whose regions stand in the order of its search."""
    shades = [puzzle.colours.index(name) if name else None for name in puzzle.given]
    whole = (1 << SHADES) - 1
    domains = [whole if shade is None else 1 << shade for shade in shades]
    found = search(network(domains, all_different(puzzle.borders, SHADES)))
    assert found.is_unique
    neighbours = [[b if a == i else a for a, b in puzzle.borders if i in (a, b)] for i in range(len(shades))]
    visits = _Visits(neighbours)
    visits.below(list(domains), [i for i, shade in enumerate(shades) if shade is not None])
    order = visits.order
    place = {region: i for i, region in enumerate(order)}
    pairs = [sorted((place[a], place[b])) for a, b in puzzle.borders]
    earlier = tuple(tuple(j for j, i in sorted(pairs) if i == here) for here in range(len(order)))
    colours = tuple(found.solutions[0][region] + 1 for region in order)
    return Map(earlier, colours, sum(shade is not None for shade in shades), found.undone)


class _Visits:
    """A search by propagation and fewest colours, the least first, and the order in which it meets the regions.

    It knows no solution: with one in hand the order would betray which colours are right.
    """

    def __init__(self, neighbours: Sequence[Sequence[int]]) -> None:
        self.neighbours = neighbours
        self.order: list[int] = []

    def below(self, domains: list[int], settled: list[int]) -> bool:
        """Search from here on; whether a solution was found. `settled` regions have one colour as of now."""
        while settled:
            here = settled.pop(0)
            self._meet(here)
            for other in self.neighbours[here]:
                left = domains[other] & ~domains[here]
                if left and left != domains[other] and left & (left - 1) == 0:
                    settled.append(other)
                domains[other] = left
                if not left:
                    self._meet(other)
                    return False
        open_ = [(mask.bit_count(), i) for i, mask in enumerate(domains) if mask & (mask - 1)]
        if not open_:
            return True
        here = min(open_)[1]
        shades = [1 << shade for shade in range(SHADES) if domains[here] >> shade & 1]
        return any(self.below([*domains[:here], shade, *domains[here + 1 :]], [here]) for shade in shades)

    def _meet(self, region: int) -> None:
        if region not in self.order:
            self.order.append(region)


def every_shade(maps: Sequence[Map]) -> list[Map]:
    """Each map with its colours renamed in every way."""
    return [one.recoloured(shades) for one in maps for shades in permutations(range(1, SHADES + 1))]


def answer_rows(maps: Sequence[Map]) -> Examples:
    """Prompts with the solution behind them and nothing else."""
    return _rows([(one.prompt(), one.answer() + END_MARK) for one in maps])


def search_rows(maps: Sequence[Map]) -> Examples:
    """Prompts with the whole search behind them: what it takes back stays, and is marked."""
    return _rows([(one.prompt(), text_of(one.steps()) + END_MARK) for one in maps])


def standing_rows(maps: Sequence[Map]) -> Examples:
    """The same searches as a decoder shows them that deletes what is taken back; a row per deletion."""
    return _rows([(one.prompt() + stands, said) for one in maps for stands, said in passages(one)])


def program_rows(maps: Sequence[Map]) -> Examples:
    """Prompts with their constraints behind them."""
    return _rows([(one.prompt(), one.statements() + END_MARK) for one in maps])


def passages(one: Map) -> Iterator[tuple[str, str]]:
    """What stands, and what is written behind it until the next deletion.

    A step behind one that had no colour left replaces that one and the step before it, which are deleted.
    """
    stands: list[Step] = []
    begun = 0
    for step in one.steps():
        stands.append(step)
        if len(stands) > 2 and stands[-2][1] == NONE:
            yield text_of(stands[:begun]), text_of(stands[begun:])
            stands = [*stands[:-3], step]
            begun = len(stands)
    yield text_of(stands[:begun]), text_of(stands[begun:]) + END_MARK


def text_of(steps: Iterable[Step]) -> str:
    """Steps as they are written."""
    return "".join(name + said for name, said in steps)


def colours_said(text: str) -> Mapping[str, str]:
    """The colour that a text says last of each region; empty where it does not come to an end."""
    if not text.endswith(END_MARK):
        return {}
    said = {text[i]: text[i + 1] for i in range(0, len(text) - 1, 2)}
    return {name: shade for name, shade in said.items() if shade != NONE}


def is_right(one: Map, text: str) -> bool:
    """Whether the colours that a text says last are the solution."""
    said = colours_said(text)
    opened = range(one.given, len(one.colours))
    return all(said.get(NAMES[i]) == str(one.colours[i]) for i in opened)


def program_said(text: str) -> str:
    """The constraint program that shortened statements are short for, in the line language.

    Raises BadInput where the text does not end, or holds what is no statement.
    """
    if not text.endswith(STOP + END_MARK):
        raise BadInput(f"the statements {text!r} do not come to an end")
    found = [(one, STATEMENT.fullmatch(one)) for one in text.removesuffix(STOP + END_MARK).split(STOP)]
    lines = []
    for one, match in found:
        if match is None:
            raise BadInput(f"{one!r} is no statement; write a1 or d:ac")
        name, shade, others = match.groups()
        lines += [f"con {name} == {shade}"] if shade else [f"con {name} != {other}" for other in others]
    names = sorted({match[1] for _, match in found if match})
    return "\n".join([f"int {', '.join(names)} in 1..{SHADES}", *lines])


def prompts_of(maps: Sequence[Map]) -> Tokens:
    """The prompts as rows, all of one length."""
    return encode_rows([one.prompt() for one in maps])


def _rows(pairs: Sequence[tuple[str, str]]) -> Examples:
    tokens_BT = encode_rows([prompt + said for prompt, said in pairs])
    begins_B1 = np.array([[len(prompt)] for prompt, _ in pairs])
    ends_B1 = np.array([[len(prompt) + len(said)] for prompt, said in pairs])
    places_T = np.arange(tokens_BT.shape[1])
    return Examples(tokens_BT, (places_T >= begins_B1) & (places_T < ends_B1))
