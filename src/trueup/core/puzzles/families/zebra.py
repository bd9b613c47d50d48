"""Logic grids: people in a row of houses, one value of each category for each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.clues import Clue, Forms, Kind, conditions, read_clues, sentences
from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import rows_of, said_rows, table

KINDS = {
    "same": Kind("{a} {does_b}.", "{a} == {b}"),
    "apart": Kind("{a} and {b} are different people.", "{a} != {b}"),
    "at": Kind("{a} lives in house {k}.", "{a} == {k}"),
    "not_at": Kind("{a} does not live in house {k}.", "{a} != {k}"),
    "left": Kind("{a} lives directly to the left of {b}.", "{a} + 1 == {b}"),
    "before": Kind("{a} lives somewhere to the left of {b}.", "{a} < {b}"),
    "next": Kind("{a} lives next door to {b}.", "adjacent({a}, {b})"),
    "gap": Kind("Exactly one house lies between {a} and {b}.", "abs({a} - {b}) == 2"),
    "either": Kind("House {k} belongs to {a} or to {b}.", "{a} == {k} or {b} == {k}"),
}
DOES = {
    "name": "is {}",
    "pet": "keeps the {}",
    "drink": "drinks {}",
    "hat": "wears the {} hat",
    "job": "is the {}",
    "fruit": "grows {}",
    "game": "plays {}",
    "music": "practises the {}",
}
"""What somebody does, by category."""
CALLED = {"name": "{}", "job": "the {}"}
"""What somebody is called by; else it is `whoever` does it."""
LABEL = re.compile(rf"\b(?:{'|'.join(DOES)})\s?[:=]", re.IGNORECASE)
"""A category that is said before its value."""
HEAD = re.compile(
    r"\b(\d{1,4}) houses stand in a row, numbered 1 to \1 from left to right, and one person lives in each\."
)
ENDING = "Answer with a line per house"
HOUSE = re.compile(r"(house \d{1,3})")
CATEGORY = re.compile(r"^(\w+): (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Zebra:
    """`categories` are names with their values, one for each house, no value in two of them."""

    categories: tuple[tuple[str, tuple[str, ...]], ...]
    clues: tuple[Clue, ...] = ()

    @property
    def size(self) -> int:
        """How many houses."""
        return len(self.categories[0][1])

    def statement(self) -> str:
        """The categories with their values, then the clues."""
        form = ", ".join(name for name, _ in self.categories)
        return (
            f"{self.size} houses stand in a row, numbered 1 to {self.size} from left to right, and one person lives in "
            f"each. No two share a value of any line below. Find out who lives where.\n\n"
            + "\n".join(f"{name}: {', '.join(values)}" for name, values in self.categories)
            + f"\n\n{sentences(self.clues, KINDS, _forms(self.categories))}\n\n"
            + f"{ENDING}, as `House 1: {form}` with the values in place of these words."
        )

    def constraints(self) -> str:
        """The number of a house per value."""
        lines = [f"int {', '.join(values)} in 1..{self.size}" for _, values in self.categories]
        lines += [f"con alldifferent({', '.join(values)}) #one {name} each" for name, values in self.categories]
        return "\n".join(lines + conditions(self.clues, KINDS))

    def answer(self, values: Values) -> str:
        """A line per house."""
        return "\n".join(
            f"House {house}: {', '.join(one for _, of in self.categories for one in of if values[one] == house)}"
            for house in range(1, self.size + 1)
        )

    def values(self, answer: str) -> Values | None:
        """The house of each value, where each is named once."""
        spelt = {one.casefold(): one for _, of in self.categories for one in of}
        rows = {name: row for name, row in rows_of(answer).items() if HOUSE.fullmatch(name)}
        said = [(spelt.get(one), int(name.split()[1])) for name, row in rows.items() for one in row]
        found = {one: house for one, house in said if one is not None}
        return found if len(found) == len(spelt) == len(said) else None

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None


def stated_zebra(text: str) -> Zebra | None:
    """The last grid of houses that a text states."""
    heads = list(HEAD.finditer(text))
    if not heads:
        return None
    body = text[heads[-1].end() :].split(ENDING)[0]
    categories = tuple((name, tuple(values.split(", "))) for name, values in CATEGORY.findall(body))
    size = int(heads[-1][1])
    if not categories or any(name not in DOES or len(values) != size for name, values in categories):
        return None
    clues = read_clues(body, KINDS, _forms(categories))
    return None if clues is None else Zebra(categories, clues)


def said_houses(text: str) -> str | None:
    """Who lives in each house of the last list of houses."""
    return table(said_rows(LABEL.sub("", text), HOUSE))


def _forms(categories: tuple[tuple[str, tuple[str, ...]], ...]) -> Forms:
    """A value as somebody who has it, and as what that one does."""
    does = {one: DOES[name].format(one) for name, values in categories for one in values}
    people = {one: f"whoever {what}" for one, what in does.items()}
    people |= {one: CALLED[name].format(one) for name, values in categories if name in CALLED for one in values}
    return {"a": people, "b": people, "does_b": does}
