"""The constraint solver on the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trueup.cli.formalise import formalise, json_of, print_formalised
from trueup.cli.screen import screen
from trueup.core.csp import Program, read_program
from trueup.core.csp.program import ANSWER
from trueup.core.errors import BadInput
from trueup.solvers import program
from trueup.solvers.backends import AUTO

STDIN = Path("-")
EPILOG = "Example: printf 'int a, b in 1..3\\ncon a > b #1\\ncon b > 1 #2\\n' | trueup solve"

DECIDED = frozenset({"solved", "not_unique", "unsatisfiable"})
UNDECIDED_CODE = 1

File = Annotated[
    Path,
    typer.Argument(
        help="A program in the constraint language or its JSON, with --model a question; - reads standard input."
    ),
]
Model = Annotated[str | None, typer.Option(help="Has this model write the program; see `trueup list models`.")]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="With --model: n=4 or another setting of formalise_and_solve, model.key=value; repeatable."
    ),
]
LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", help="With --model: what was paid for is kept here; default: nowhere.")
]
Backend = Annotated[str, typer.Option(help="auto, cp-sat, highs, scipy or z3.")]
Seconds = Annotated[float, typer.Option(help="Wall-clock limit.")]
Memory = Annotated[
    int, typer.Option(help="Limit of address space in MB, beyond what the solvers take to load; z3 wants 64.")
]
Any_ = Annotated[bool, typer.Option("--any", help="Take the first solution; do not ask whether it is the only one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def add_commands(app: typer.Typer) -> None:
    """Put `trueup solve` on the command line."""
    app.command("solve", epilog=EPILOG)(solve)


def solve(
    file: File = STDIN,
    model: Model = None,
    sets: Sets = None,
    ledger: LedgerFile = None,
    backend: Backend = AUTO,
    seconds: Seconds = 10.0,
    memory_mb: Memory = 1024,
    any_solution: Any_ = False,
    as_json: AsJson = False,
) -> None:
    """Solve a constraint program: a solution, whether it is the only one, or the clues that contradict each other.

    Exit code 0 where that was decided, with --model where there is an answer; 1 where it was not; 2 for an error.
    """
    text = _text(file)
    if model is not None:
        if any_solution:
            raise BadInput("--any takes the first solution of a program; a question with --model has one answer")
        solver = program(backend=backend, limit_seconds=seconds, memory_megabytes=memory_mb)
        found = formalise(text, model, solver, sets or (), ledger)
        print(json_of(found)) if as_json else print_formalised(found)
        is_decided = found.answer.value is not None
    else:
        if sets or ledger is not None:
            raise BadInput("--set and --ledger are for a question that a model formalises; add --model")
        stated = read_program(text)
        reply = asyncio.run(_decide(stated, backend, seconds, memory_mb, unique=not any_solution))
        _refuse(reply, memory_mb)
        print(json.dumps(_result(stated, reply), indent=1)) if as_json else _print(stated, reply)
        is_decided = reply["status"] in DECIDED
    if not is_decided:
        sys.exit(UNDECIDED_CODE)


def _refuse(reply: dict[str, Any], memory_mb: int) -> None:
    """Raise BadInput for a program that could not be put to the solver, or was more than its memory holds."""
    if reply["status"] == "unreadable":
        raise BadInput(reply["reason"])
    if reply["status"] == "crashed":
        raise BadInput(f"the solver ran out of memory or was killed; give more --memory-mb than {memory_mb}")


async def _decide(stated: Program, backend: str, seconds: float, memory_mb: int, *, unique: bool) -> dict[str, Any]:
    solver = program(backend=backend, limit_seconds=seconds, memory_megabytes=memory_mb)
    try:
        return await solver.decide(stated, unique=unique)
    finally:
        await solver.close()


def _text(file: Path) -> str:
    name = "standard input" if file == STDIN else repr(str(file))
    try:
        told = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        return told.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read {name}: {error.strerror}; give another file") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 (byte {error.start + 1}); save it as UTF-8") from None


def _result(stated: Program, reply: dict[str, Any]) -> dict[str, Any]:
    """The reply with every value in the words of the program."""
    shown = {variable.name: variable for variable in stated.variables}
    found = {
        key: reply[key]
        for key in ("status", "conflict", "objective", "only_answer", "reason", "seconds")
        if key in reply
    }
    for key in ("values", "other"):
        if key in reply:
            found[key] = {name: _value(shown[name], value) for name, value in reply[key].items()}
    return found


def _value(variable: Any, value: Any) -> Any:
    if variable.labels or variable.kind == "bool":
        return variable.shown(value) if variable.labels else bool(value)
    return value


def _print(stated: Program, reply: dict[str, Any]) -> None:
    out = screen()
    if reply["text"]:
        print(reply["text"])
    variables = {variable.name: variable for variable in stated.variables}
    others = ", ".join(f"{name} = {variables[name].shown(value)}" for name, value in reply.get("other", {}).items())
    said = {
        "solved": "the least or greatest value" if stated.objective else "solved",
        "not_unique": f"not the only {'best ' if stated.objective else ''}solution: also {others}",
        "unsatisfiable": _contradiction(reply.get("conflict", ())),
        "timeout": "not decided in time; give more --seconds",
        "undecided": reply.get("reason") or "no solution was found, which proves nothing",
    }[reply["status"]]
    best = reply.get("objective")
    worth = "" if best is None else f", objective {best if isinstance(best, int) else format(best, '.10g')}"
    only = f", with no other {ANSWER}" if reply.get("only_answer") else ""
    out.print(f"{said}{worth}{only} ({reply['seconds']:.3f} s)", soft_wrap=True, highlight=False)


def _contradiction(clues: Sequence[str]) -> str:
    if len(clues) == 1:
        return f"no solution: {clues[0]} contradicts itself or the bounds"
    return f"no solution: {', '.join(clues)} contradict each other"
