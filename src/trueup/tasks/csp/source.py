"""Generated constraint puzzles: `csp:FAMILY dial=...`, as `csp:sudoku size=9 blanks=50 backtracks=3..6`."""

from __future__ import annotations

import random
from collections.abc import Callable

from trueup.core.errors import UnknownName
from trueup.core.puzzles.families import Puzzle
from trueup.core.settings import fit_settings, split_words
from trueup.core.types import Item, Message, Problem
from trueup.tasks.csp.bin_packing import bin_packing
from trueup.tasks.csp.colouring import colouring
from trueup.tasks.csp.crossword import crossword
from trueup.tasks.csp.cryptarithm import cryptarithm
from trueup.tasks.csp.knapsack import knapsack
from trueup.tasks.csp.made import Made
from trueup.tasks.csp.scheduling import scheduling
from trueup.tasks.csp.seating import seating
from trueup.tasks.csp.sudoku import sudoku
from trueup.tasks.csp.sudoku4 import sudoku4
from trueup.tasks.csp.zebra import zebra

ITEMS_UNLESS_SAID = 100
CONSTRAINTS = "constraints"
FAMILIES: dict[str, Callable[..., Made]] = {
    "sudoku4": sudoku4,
    "sudoku": sudoku,
    "zebra": zebra,
    "scheduling": scheduling,
    "seating": seating,
    "bin_packing": bin_packing,
    "knapsack": knapsack,
    "colouring": colouring,
    "cryptarithm": cryptarithm,
    "crossword": crossword,
}


def csp(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The first `limit` puzzles (100 unless said) of a family; puzzle i depends on the seed, the dials and i alone.

    With `constraints=true` behind the family the prompt states the puzzle as a constraint program too.
    """
    family, settings = split_words(argument)
    shows = fit_settings(f"csp:{family}", prompt, {CONSTRAINTS: settings.pop(CONSTRAINTS, "false")})[CONSTRAINTS]
    dials = " ".join([family, *(f"{key}={value}" for key, value in settings.items())])
    made = puzzles(dials, limit=limit or ITEMS_UNLESS_SAID, seed=seed)
    return tuple(
        Item(Problem(name, stratum, (Message("user", prompt(one.puzzle, constraints=shows)),)), one.answer, name)
        for name, one in ((f"{family}-{seed}-{i}", one) for i, one in enumerate(made))
    )


def puzzles(argument: str, *, limit: int, seed: int = 0) -> tuple[Made, ...]:
    """The same puzzles with all that they know of themselves, their constraints among it."""
    family, settings = split_words(argument)
    if family not in FAMILIES:
        raise UnknownName("csp family", family, FAMILIES)
    make = FAMILIES[family]
    fitted = fit_settings(f"csp:{family}", make, settings)
    return tuple(make(random.Random(f"{family}:{seed}:{i}"), **fitted) for i in range(limit))


def prompt(puzzle: Puzzle, *, constraints: bool = False) -> str:
    """What a model is asked; with `constraints` the puzzle stands there as a constraint program too."""
    program = f"\n\nThe same as a constraint program:\n\n```\n{puzzle.constraints()}\n```"
    return puzzle.statement() + program * constraints
