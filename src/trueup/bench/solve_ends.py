"""Stored programs and puzzles of reasoning-gym through the solver route, by how they end.

`parse`, `unsatisfiable`, `not_unique` and `undecided` are shares of all that came to such an end, `wrong_decided` those
that were decided wrongly. Programs of our own making, whose end is known before, also tell `end_told`, the share whose
end was told rightly. `bare` is CP-SAT alone on every program that was put to the solver on the way.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trueup.bench.bare import LIMIT_SECONDS, bare, beside, figures
from trueup.bench.stored_orders import WRONG, Order, stored_orders
from trueup.core.asks import Solve
from trueup.core.csp import parse
from trueup.core.errors import Unavailable
from trueup.core.roles import Solver
from trueup.core.types import Answer, Item, Json, Message, Problem, last_asked
from trueup.methods.run_stored import DECIDED, NOT_UNIQUE, UNDECIDED, UNREADABLE, UNSATISFIABLE, run_stored
from trueup.solvers import gym as gym_solver
from trueup.solvers import program as program_solver
from trueup.solvers.gym import READERS
from trueup.tasks.stored_programs import stored_programs
from trueup.verifiers import exact
from trueup.verifiers import gym as gym_verifier

END_OF = {"solved": DECIDED, "unreadable": UNREADABLE, "unsatisfiable": UNSATISFIABLE, "not_unique": NOT_UNIQUE}
DATASETS = (
    "mini_sudoku", "sudoku", "n_queens", "futoshiki", "kakurasu", "survo", "graph_color", "zebra_puzzles",
    "cryptarithm", "knights_knaves",
)  # fmt: skip
AMOUNT, STORED_AMOUNT = 20, 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How one went: its end, whether it is right, its seconds, and those of the solver below alone."""

    end: str
    is_right: bool
    seconds: float
    alone: float


def solve_stored(path: Path | None = None, *, amount: int = STORED_AMOUNT) -> list[dict[str, Json]]:
    """A row of stored programs with faults of every kind, and one of a file in Logic-LM's layout where there is one."""
    rows = [_made(stored_orders(amount))]
    if path is not None:
        rows.append(_row(f"stored-programs:{path.name}", asyncio.run(_stored(stored_programs(str(path), stratum="s")))))
    return rows


def solve_gym(*, amount: int = AMOUNT) -> Iterator[dict[str, Json]]:
    """A row per dataset of constraints; its own scorer says what is right."""
    for name in DATASETS:
        try:
            yield _row(f"gym:{name}", asyncio.run(_gym(_puzzles(name, amount))))
        except Unavailable as error:
            yield {"family": f"gym:{name}", "n": 0, "note": str(error)}


def _made(orders: Sequence[Order]) -> dict[str, Json]:
    items = [
        Item(Problem(f"{place}", "s", (Message("user", one.program),)), one.answer, f"{place}")
        for place, one in enumerate(orders)
    ]
    told = asyncio.run(_stored(items))
    ends = [WRONG if one.end == DECIDED and not one.is_right else one.end for one in told]
    hits = sum(end == order.end for end, order in zip(ends, orders, strict=True))
    return _row("stored programs, a fault in four of five", told) | {"end_told": hits / len(orders)}


def _row(family: str, told: Sequence[Ended]) -> dict[str, Json]:
    ends = Counter(one.end for one in told)
    shares = {
        end.replace(" ", "_"): ends[end] / len(told) for end in (UNREADABLE, UNSATISFIABLE, NOT_UNIQUE, UNDECIDED)
    }
    seconds, alone = [one.seconds for one in told], [one.alone for one in told]
    decided = [one.end == DECIDED for one in told]
    row = {"family": family, **figures([one.is_right for one in told], decided, seconds), **shares}
    return row | (beside(seconds, alone) if any(alone) else {})


async def _stored(items: Sequence[Item]) -> list[Ended]:
    solver = program_solver(limit_seconds=LIMIT_SECONDS)
    try:
        await _run(solver, items[0].problem)  # warm from here on
        told = []
        for item in items:
            started = time.perf_counter()
            answer, texts = await _run(solver, item.problem)
            seconds = time.perf_counter() - started
            is_right = (
                answer.value is not None and exact(case=True).check(answer.value, item.problem, item.reference).is_right
            )
            end = answer.note.partition(":")[0]
            told.append(Ended(end, is_right, seconds, sum(bare(parse(text)) for text in texts)))
        return told
    finally:
        await solver.close()


async def _run(solver: Solver, problem: Problem) -> tuple[Answer, list[str]]:
    """The answer of `run_stored`, and the programs that it had solved."""
    flow, texts = run_stored(problem), []
    try:
        ask = next(flow)
        while True:
            assert isinstance(ask, Solve)
            texts.append(last_asked(ask.problem.prompt))
            ask = flow.send(await solver.solve(ask.problem))
    except StopIteration as end:
        return end.value, texts


async def _gym(items: Sequence[Item]) -> list[Ended]:
    solver, verifier = gym_solver(limit_seconds=LIMIT_SECONDS), gym_verifier()
    try:
        await solver.solve(items[0].problem)  # warm from here on
        told = []
        for item in items:
            started = time.perf_counter()
            solution = await solver.solve(item.problem)
            seconds = time.perf_counter() - started
            is_right = solution.text != "" and verifier.check(solution.text, item.problem, item.reference).is_right
            told.append(Ended(END_OF.get(solution.status, UNDECIDED), is_right, seconds, _alone(item.problem)))
        return told
    finally:
        await solver.close()


def _alone(problem: Problem) -> float:
    """Seconds of CP-SAT on what a question was read as; 0 where it was not read."""
    question = last_asked(problem.prompt)
    posed = next((found for read in READERS if (found := read(question)) is not None), None)
    return 0.0 if posed is None else bare(parse(posed.program), unique=posed.unique)


def _puzzles(name: str, amount: int) -> list[Item]:
    """Puzzles with what their own scorer needs; some datasets are no source of ours, since others' answers harm it."""
    try:
        import reasoning_gym
    except ImportError:
        raise Unavailable("reasoning-gym is not installed; pip install 'trueup[gym]'") from None
    entries = reasoning_gym.create_dataset(name, seed=0, size=amount)
    return [
        Item(
            Problem(f"{name}-{i}", "s", (Message("user", entries[i]["question"]),)),
            {"dataset": name, "entry": entries[i]},
            f"{i}",
        )
        for i in range(amount)
    ]
