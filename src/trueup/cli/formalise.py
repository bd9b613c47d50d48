"""A question in plain words: a model writes its constraint program, the solver solves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trueup.catalog import open_model
from trueup.cli.order import split_trainer_sets
from trueup.cli.pipeline import price_list
from trueup.cli.screen import screen
from trueup.core.asks import Ask, Flow, Solve, relayed
from trueup.core.cost import Cost
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger
from trueup.core.settings import fit_settings, settings_of
from trueup.core.stratum import Stratum
from trueup.core.types import Answer, Item, Message, Problem, Solution
from trueup.methods import formalise_and_solve
from trueup.run import Clerk, Tab, answer
from trueup.solvers.program import ProgramSolver
from trueup.verifiers import exact

STRATUM = "question"
OWNER = "formalise_and_solve"


@dataclass(frozen=True, slots=True)
class Formalised:
    """What became of a question: the answer, all that the solver was given with what it said, and what that took."""

    answer: Answer
    programs: int
    runs: Sequence[tuple[str, Solution]]
    cost: Cost

    @property
    def decided(self) -> int:
        """The programs that came to exactly one solution, before a repair or behind one."""
        return sum(solution.status == "solved" for _, solution in self.runs)


def formalise(question: str, spec: str, solver: ProgramSolver, sets: Sequence[str], ledger: Path | None) -> Formalised:
    """Have the model of a specification write programs for a question, and solve them.

    Raises BadInput for an empty question, or for settings that neither the method nor the model has.
    """
    if not question.strip():
        raise BadInput("the question is empty; write it into the file, or pipe it in")
    own, further = split_trainer_sets(sets)
    settings = fit_settings(OWNER, formalise_and_solve, own)
    model = open_model(spec, further.pop("model", {}))
    if further:
        raise BadInput(f"--set {next(iter(further))}.*: write SETTING=value for the method, or model.SETTING=value")
    with ExitStack() as stack:
        folder = ledger or Path(stack.enter_context(TemporaryDirectory())) / "ledger.sqlite"
        clerk = Clerk(model, stack.enter_context(Ledger(folder)), price_list(None))
        return asyncio.run(_answered(question, clerk, solver, settings))


async def _answered(question: str, clerk: Clerk, solver: ProgramSolver, settings: dict[str, Any]) -> Formalised:
    item = Item(Problem(STRATUM, STRATUM, (Message("user", question),)), None, STRATUM)
    tab = Tab(Stratum(STRATUM, (item,), exact(), solver=solver), item)
    runs: list[tuple[str, Solution]] = []
    try:
        said = await answer(_watched(formalise_and_solve(item.problem, **settings), runs), tab, clerk)
    finally:
        await clerk.close()
        await solver.close()
    programs = settings.get("n", settings_of(formalise_and_solve)["n"].default)
    return Formalised(said, programs, runs, tab.cost)


def _watched(flow: Flow[Answer], runs: list[tuple[str, Solution]]) -> Flow[Answer]:
    """The flow; what it has the solver solve, and the replies, are kept."""

    def keep(ask: Ask, reply: Any) -> None:
        if isinstance(ask, Solve):
            runs.append((ask.problem.prompt[-1].content, reply))

    return relayed(flow, heard=keep)


def print_formalised(found: Formalised) -> None:
    """Every program with what the solver said of it, the answer, and how many programs came to one."""
    for program, solution in found.runs:
        print(f"{program}\n-- {_ending(solution)}\n")
    if found.answer.text:
        print(found.answer.text)
    cost = found.cost
    usd = "unknown dollars" if cost.usd is None else f"${cost.usd:.3g}"
    told = (
        f"answer: {found.answer.value if found.answer.value is not None else 'none'} ({found.answer.note})",
        f"coverage: {found.decided} of {found.programs} programs decided; {cost.calls} asks, {usd}",
    )
    for line in told:
        screen().print(line, soft_wrap=True, highlight=False)


def json_of(found: Formalised) -> str:
    """The same for a machine."""
    cost = found.cost
    return json.dumps(
        {
            "answer": found.answer.value,
            "text": found.answer.text,
            "note": found.answer.note,
            "coverage": {"programs": found.programs, "decided": found.decided},
            "runs": [_row(program, solution) for program, solution in found.runs],
            "cost": {
                "calls": cost.calls, "prompt_tokens": cost.prompt_tokens, "completion_tokens": cost.completion_tokens,
                "seconds": cost.seconds, "usd": None if cost.usd is None else float(cost.usd),
            },
        },
        indent=1,
    )  # fmt: skip


def _row(program: str, solution: Solution) -> dict[str, Any]:
    told = {"status": solution.status, "solution": solution.text, "conflict": list(solution.conflict)}
    return {"program": program, **told, "reason": solution.reason, "seconds": solution.seconds}


def _ending(solution: Solution) -> str:
    """What the solver said, in a line."""
    why = solution.reason or (f"{', '.join(solution.conflict)} contradict each other" if solution.conflict else "")
    shown = solution.text.replace("\n", "; ")
    status = solution.status.replace("_", " ")
    return ": ".join(filter(None, [status, why, shown]))
