"""Programs that a model wrote, decided by the solver, and what is wrong with those that fail.

A program is read by the language's own parser. What it comes to is `parse` (it cannot be read), `unsatisfiable`,
`under-constrained` (more solutions than one), `wrong` (one solution, and not the puzzle's) or `undecided`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trueup.core.csp import Program, parse
from trueup.core.errors import BadInput

if TYPE_CHECKING:
    from trueup.train.laboratory.tasks.maps import Map

PARSE, WRONG = "parse", "wrong"
FAULTS = {"unsatisfiable": "unsatisfiable", "not_unique": "under-constrained"}
"""What the solver says of a program that does not have one solution."""
Decided = tuple[str, Mapping[str, int]]
"""The solver's status, and the colour of each region, counted from 1."""


def of_gold(items: Sequence[Map]) -> list[Decided]:
    """What the solver alone makes of each item's own constraints."""
    found = decided([parse(one.puzzle().constraints()) for one in items])
    return [(status, _by_name({name: value + 1 for name, value in values.items()})) for status, values in found]


def of_programs(
    texts: Sequence[str], items: Sequence[Map], gold: Sequence[Decided]
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which items the written constraints solve, and how often the others fail how; what is gold is not solved anew."""
    from trueup.train.laboratory.tasks.maps import END_MARK, program_said

    known = {one.statements() + END_MARK: of for one, of in zip(items, gold, strict=True)}
    written: dict[str, Program] = {}
    for text in dict.fromkeys(texts):
        if text not in known:
            try:
                written[text] = parse(program_said(text))
            except BadInput:
                known[text] = (PARSE, {})
    known |= dict(zip(written, decided(list(written.values())), strict=True))
    right_M = np.array([is_solved(one, known[text]) for one, text in zip(items, texts, strict=True)], bool)
    statuses = [known[text][0] for text, right in zip(texts, right_M, strict=True) if not right]
    return right_M, dict(Counter(fault_of(status) for status in statuses))


def fault_of(status: str) -> str:
    """The fault of a program that did not bring the solution."""
    return status if status == PARSE else WRONG if status == "solved" else FAULTS.get(status, "undecided")


def is_solved(one: Map, found: Decided) -> bool:
    """Whether the solver found one solution, and it is this map's."""
    from trueup.train.laboratory.tasks.maps import NAMES

    status, values = found
    return status == "solved" and all(values.get(NAMES[i]) == shade for i, shade in enumerate(one.colours))


def decided(programs: Sequence[Program]) -> list[Decided]:
    """Each program's status and values by CP-SAT, in a process of its own."""
    from trueup.solvers import program

    async def all_of() -> list[Decided]:
        solver = program()
        try:
            replies = [await solver.decide(one) for one in programs]
        finally:
            await solver.close()
        return [(str(reply["status"]), dict(reply.get("values") or {})) for reply in replies]

    return asyncio.run(all_of())


def _by_name(values: Mapping[str, int]) -> dict[str, int]:
    """Regions R1, R2, ... as a, b, ..."""
    from trueup.train.laboratory.tasks.maps import NAMES

    return {NAMES[int(name[1:]) - 1]: value for name, value in values.items()}
