"""People to be seated, in a row or round a table."""

from __future__ import annotations

from random import Random

from trueup.core.puzzles.families import Seating
from trueup.core.puzzles.families.seating import SHAPES, kinds
from trueup.tasks.csp.clued import clued, dialled, invented
from trueup.tasks.csp.dials import band, one_of, within
from trueup.tasks.csp.made import Made

PEOPLE = ("Anna", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ida", "Jon", "Kim", "Leo")
PER_PERSON = 40


def seating(rng: Random, *, people: int = 6, table: str = "row", backtracks: str = "") -> Made:
    """So many people; `table` is row or round; `backtracks` as 4 or 3..6."""
    within("seating", "people", people, 3, len(PEOPLE))
    one_of("seating", "table", table, list(SHAPES))
    wanted, names = band("seating", backtracks), PEOPLE[:people]
    dials = f"people={people} table={table}" + f" backtracks={backtracks}" * bool(backtracks)

    def make(steer: Random | None) -> Made | None:
        solution = dict(zip(names, rng.sample(range(1, people + 1), people), strict=True))
        offered = list(invented(kinds(table, people), names, people, PER_PERSON * people, rng))
        return clued(lambda clues: Seating(table, names, tuple(clues)), offered, solution, wanted, steer)

    return dialled("seating", dials, make, wanted, rng)
