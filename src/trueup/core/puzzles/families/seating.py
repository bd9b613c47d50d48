"""Who sits where, in a row or round a table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.puzzles.families.clues import Clue, Kind, Kinds, conditions, read_clues, sentences
from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import lists_of

ANYWHERE = {
    "at": Kind("{a} sits in seat {k}.", "{a} == {k}"),
    "not_at": Kind("{a} does not sit in seat {k}.", "{a} != {k}"),
}
ROW = ANYWHERE | {
    "next": Kind("{a} sits next to {b}.", "adjacent({a}, {b})"),
    "not_next": Kind("{a} does not sit next to {b}.", "not adjacent({a}, {b})"),
    "left": Kind("{a} sits in the seat directly before {b}.", "{a} + 1 == {b}"),
    "before": Kind("{a} sits in a seat of a lower number than {b}.", "{a} < {b}"),
    "gap": Kind("Exactly one person sits between {a} and {b}.", "abs({a} - {b}) == 2"),
}
ROUND = ANYWHERE | {
    "next": Kind("{a} sits next to {b}.", "adjacent({a}, {b}) or abs({a} - {b}) == {last}"),
    "not_next": Kind("{a} does not sit next to {b}.", "not adjacent({a}, {b}) and abs({a} - {b}) != {last}"),
    "left": Kind("{a} sits in the seat directly before {b}.", "{a} + 1 == {b} or {a} == {b} + {last}"),
    "opposite": Kind("{a} sits opposite {b}.", "abs({a} - {b}) == {half}"),
}
SHAPES = {
    "row": "{n} people sit in a row of seats, numbered 1 to {n} from left to right.",
    "round": "{n} people sit round a table, its seats numbered 1 to {n} clockwise; seat {n} is next to seat 1.",
}
HEADS = {
    shape: re.compile(re.escape(words).replace(r"\{n\}", r"\b([0-9]{1,4})", 1).replace(r"\{n\}", r"\1"))
    for shape, words in SHAPES.items()
}
ENDING = "Answer with one line"
PEOPLE = re.compile(r"^people: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seating:
    """`shape` is row or round."""

    shape: str
    people: tuple[str, ...]
    clues: tuple[Clue, ...] = ()

    def statement(self) -> str:
        """The seats, the people, the clues."""
        return (
            f"{SHAPES[self.shape].format(n=len(self.people))} Find out who sits where.\n\n"
            f"people: {', '.join(self.people)}\n\n"
            f"{sentences(self.clues, kinds(self.shape, len(self.people)), _forms(self.people))}\n\n"
            f"{ENDING}, the names by seat, as `Order: name, name`."
        )

    def constraints(self) -> str:
        """The number of a seat per person."""
        names = ", ".join(self.people)
        lines = [f"int {names} in 1..{len(self.people)}", f"con alldifferent({names}) #one seat each"]
        return "\n".join(lines + conditions(self.clues, kinds(self.shape, len(self.people))))

    def answer(self, values: Values) -> str:
        """The people by seat."""
        return f"Order: {', '.join(sorted(self.people, key=values.__getitem__))}"

    def values(self, answer: str) -> Values | None:
        """The seat of each person, where each is named once."""
        spelt = {name.casefold(): name for name in self.people}
        order = [spelt.get(one) for one in said_names(answer)]
        found = {one: seat for seat, one in enumerate(order, 1) if one is not None}
        return found if len(found) == len(order) == len(self.people) else None

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None


def kinds(shape: str, people: int) -> Kinds:
    """The kinds of clues round a table, or in a row; somebody sits opposite only where the number of seats is even."""
    if shape == "row":
        return ROW
    whole = {
        name: Kind(kind.words, kind.constraint.replace("{last}", str(people - 1)).replace("{half}", str(people // 2)))
        for name, kind in ROUND.items()
    }
    return whole if people % 2 == 0 else {name: kind for name, kind in whole.items() if name != "opposite"}


def stated_seating(text: str) -> Seating | None:
    """The last seating that a text states."""
    heads = [(match.end(), shape) for shape, head in HEADS.items() for match in head.finditer(text)]
    if not heads:
        return None
    end, shape = max(heads)
    named = PEOPLE.search(text, end)
    if named is None:
        return None
    people = tuple(named[1].split(", "))
    clues = read_clues(text[named.end() :].split(ENDING)[0], kinds(shape, len(people)), _forms(people))
    return None if clues is None else Seating(shape, people, clues)


def said_order(text: str) -> str | None:
    """The last of the lines that begin with `Order:` and name the most."""
    order = said_names(text)
    return f"order: {', '.join(order)}" if order else None


def said_names(text: str) -> tuple[str, ...]:
    """The names of that line."""
    return max(reversed(lists_of(text, "order")), key=len, default=())


def _forms(people: tuple[str, ...]) -> dict[str, dict[str, str]]:
    plain = {name: name for name in people}
    return {"a": plain, "b": plain}
