"""Programs in Logic-LM's layout whose end is known, since the fault was put in by hand of a rule.

Things stand in a row, clues say which stands where, options ask for the leftmost. An intact program is decided; one of
each other kind has a clue in words, two clues that contradict each other, too few clues, or every comparison the wrong
way round, which is decided and wrong.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from trueup.methods.run_stored import DECIDED, NOT_UNIQUE, UNREADABLE, UNSATISFIABLE

WRONG = "wrong"
FAULTS = (DECIDED, UNREADABLE, UNSATISFIABLE, NOT_UNIQUE, WRONG)
THINGS = ("jar", "cup", "pan", "pot", "mug", "jug", "tin")


@dataclass(frozen=True, slots=True)
class Order:
    """A stored program, the option that is right, and the end that its fault makes."""

    program: str
    answer: str
    end: str


def stored_orders(amount: int, seed: int = 0) -> list[Order]:
    """So many programs of each end; program i depends on the seed and i alone."""
    return [_order(random.Random(f"{end}-{seed}-{i}"), end) for end in FAULTS for i in range(amount)]


def _order(rng: random.Random, end: str) -> Order:
    things = rng.sample(THINGS, rng.randint(3, 6))
    places = {thing: place for place, thing in enumerate(things, 1)}
    pairs = [(a, b) for a, b in combinations(things, 2)]
    rng.shuffle(pairs)
    kept = _enough(things, pairs)
    lines = [_line(a, b, "<") for a, b in kept]
    if end == UNREADABLE:
        lines[0] = f"{kept[0][0]} left of {kept[0][1]} ::: In words."
    elif end == UNSATISFIABLE:
        lines.append(_line(*kept[0], ">"))
    elif end == NOT_UNIQUE:
        first = things[0]
        lines = [line for (a, b), line in zip(kept, lines, strict=True) if (a, b) != (first, things[1])]
    elif end == WRONG:
        lines = [_line(a, b, ">") for a, b in kept]
    rng.shuffle(lines)
    names = sorted(things)
    return Order(_program(names, lines), chr(ord("A") + names.index(min(places, key=lambda one: places[one]))), end)


def _enough(things: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of true comparisons as many as leave one order; neighbours are always among them."""
    kept: list[tuple[str, str]] = []
    for pair in pairs:
        kept.append(pair)
        left = sum(all(row.index(a) < row.index(b) for a, b in kept) for row in permutations(things))
        if left == 1:
            break
    return kept


def _line(a: str, b: str, sign: str) -> str:
    return f"{a} {sign} {b} ::: The {a} stands {'left' if sign == '<' else 'right'} of the {b}."


def _program(names: Sequence[str], lines: Sequence[str]) -> str:
    places = list(range(1, len(names) + 1))
    variables = [f"{name} [IN] {places}" for name in names]
    apart = f"AllDifferentConstraint([{', '.join(names)}]) ::: Each at a place of its own."
    options = [f"{chr(ord('A') + i)}) {name} == 1 ::: The {name} is the leftmost." for i, name in enumerate(names)]
    head = ["Domain:", "1: leftmost", f"{len(names)}: rightmost"]
    return "\n".join([*head, "Variables:", *variables, "Constraints:", *lines, apart, "Query:", *options])
