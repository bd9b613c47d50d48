"""Logic grids of people and categories."""

from __future__ import annotations

from random import Random

from trueup.core.errors import UnknownName
from trueup.core.puzzles.families import Clue, Kinds, Zebra
from trueup.core.puzzles.families.zebra import KINDS
from trueup.tasks.csp.clued import clued, dialled, invented
from trueup.tasks.csp.dials import band, within
from trueup.tasks.csp.made import Made

VALUES = {
    "name": ("Anna", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo"),
    "pet": ("cat", "dog", "parrot", "owl", "pony", "crow", "newt", "goat"),
    "drink": ("tea", "coffee", "milk", "juice", "water", "cocoa", "cider", "wine"),
    "hat": ("red", "blue", "green", "white", "black", "yellow", "pink", "grey"),
    "job": ("baker", "tailor", "nurse", "pilot", "judge", "farmer", "painter", "miner"),
    "fruit": ("plums", "pears", "figs", "limes", "dates", "grapes", "cherries", "apples"),
    "game": ("chess", "golf", "tennis", "darts", "poker", "bridge", "hockey", "rugby"),
    "music": ("flute", "harp", "cello", "drum", "banjo", "organ", "tuba", "lute"),
}
PER_VALUE = 40
"""Clues invented for each value; about one in four is true."""


def zebra(rng: Random, *, people: int = 4, categories: int = 4, kinds: str | None = None, backtracks: str = "") -> Made:
    """People in a row of houses; `kinds` limits the clues, as same,left,next; `backtracks` as 4 or 3..6."""
    within("zebra", "people", people, 2, 8)
    within("zebra", "categories", categories, 1, len(VALUES))
    wanted, allowed = band("zebra", backtracks), _kinds(kinds)
    dials = f"people={people} categories={categories} kinds={','.join(allowed)}"
    dials += f" backtracks={backtracks}" * bool(backtracks)
    chosen = list(VALUES)[:categories]

    def make(steer: Random | None) -> Made | None:
        columns = tuple((name, tuple(rng.sample(VALUES[name], people))) for name in chosen)
        solution = {value: house for _, values in columns for house, value in enumerate(values, 1)}
        shown = tuple((name, tuple(sorted(values))) for name, values in columns)
        offered = _offered(shown, allowed, people, rng)
        return clued(lambda clues: Zebra(shown, tuple(clues)), offered, solution, wanted, steer)

    return dialled("zebra", dials, make, wanted, rng)


def _kinds(kinds: str | None) -> Kinds:
    names = list(KINDS) if kinds is None else kinds.split(",")
    for name in names:
        if name not in KINDS:
            raise UnknownName("kind of csp:zebra", name, KINDS)
    return {name: KINDS[name] for name in names}


def _offered(shown: tuple[tuple[str, tuple[str, ...]], ...], kinds: Kinds, people: int, rng: Random) -> list[Clue]:
    """Clues that say something: who is the same as another is of another category, and a name comes first."""
    category = {value: name for name, values in shown for value in values}
    ordered = []
    for clue in invented(kinds, list(category), people, PER_VALUE * len(category), rng):
        if clue.kind in ("same", "apart") and category[clue.a] == category[clue.b]:
            continue
        is_turned = clue.kind == "same" and category[clue.b] == "name"
        ordered.append(Clue(clue.kind, clue.b, clue.a) if is_turned else clue)
    return list(dict.fromkeys(ordered))
