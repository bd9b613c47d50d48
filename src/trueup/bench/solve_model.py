"""LR²Bench's logic puzzles with a model in the place of the rules that read clues.

The model writes one program a puzzle (`formalise_and_solve`), CP-SAT solves it: any model that `--model` can name.
`parse`, `unsatisfiable`, `not_unique` and `undecided` are shares of all that came to such an end, `wrong_decided` those
that were decided by a program that says something else than the puzzle.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from trueup.arms import make_arm
from trueup.bench.bare import figures
from trueup.catalog import open_model
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.roles import Model
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Json
from trueup.run import Clerk, Job, run_job
from trueup.solvers import program
from trueup.verifiers import lr2bench

METHOD = "formalise_and_solve"
END = re.compile(r"of 1 program 1 ([a-z ]+)")
ENDS = {"solved": "decided", "unreadable": "parse", "unsatisfiable": "unsatisfiable", "not unique": "not_unique"}
"""What the note of one program says, and a row's word for it."""


def solve_with_model(items: Sequence[Item], spec: str, *, limit: int | None = None) -> dict[str, Json]:
    """A row of the first `limit` logic puzzles, written down by a model."""
    model = open_model(spec)
    name = model.card.name
    told = asyncio.run(_all(items[:limit], model))
    ends = Counter(_end(outcome) for outcome, _ in told)
    return {
        "family": f"logic, read by {name}",
        "by": f"{METHOD}, cp-sat",
        **figures(
            [outcome.grade.is_right for outcome, _ in told],
            [outcome.answer is not None and outcome.answer.value is not None for outcome, _ in told],
            [seconds for _, seconds in told],
        ),
        **{end: ends[end] / len(told) for end in ("parse", "unsatisfiable", "not_unique", "undecided")},
    }


async def _all(items: Sequence[Item], model: Model) -> list[tuple[Outcome, float]]:
    """Each puzzle's outcome, one behind the other, and its seconds; nothing of it is kept."""
    stratum, arm = Stratum("logic", tuple(items), lr2bench(), solver=program()), make_arm(METHOD)
    told = []
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as book:
        clerk = Clerk(model, book, Prices("bench", Decimal(0)))
        try:
            for item in items:
                started = time.perf_counter()
                outcome = await run_job(Job(stratum, item, arm), clerk)
                assert isinstance(outcome, Outcome)
                told.append((outcome, time.perf_counter() - started))
        finally:
            await stratum.close()
            await model.close()
    return told


def _end(outcome: Outcome) -> str:
    """How the one program ended; `undecided` too where no program came."""
    found = END.search("" if outcome.answer is None else outcome.answer.note)
    return ENDS.get(found[1], "undecided") if found else "undecided"
