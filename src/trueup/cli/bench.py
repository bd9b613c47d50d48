"""Benchmarks on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from trueup.bench import BENCHMARKS, Result, benchmark
from trueup.bench.result import MEND
from trueup.cli.screen import screen, table
from trueup.core.errors import BadInput
from trueup.core.files import make_writable
from trueup.core.types import Json

Name = Annotated[str | None, typer.Argument(help=f"{', '.join(BENCHMARKS)}; none: all of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Lr2Bench = Annotated[Path | None, typer.Option(help="LR²Bench's data folder, for `solve`.", metavar="DIR")]
NoPeers = Annotated[bool, typer.Option("--no-peers", help="Leave other projects' solvers out of `solve`.")]
Stored = Annotated[Path | None, typer.Option(help="Programs in Logic-LM's layout, for `solve`.", metavar="FILE")]
Reader = Annotated[
    str | None,
    typer.Option("--model", help="Reads the clues of LR²Bench's logic puzzles, for `solve`.", metavar="SPEC"),
]
Few = Annotated[int | None, typer.Option("--model-limit", min=1, help="Puzzles that the model reads.", metavar="N")]
Save = Annotated[Path | None, typer.Option(help="Keep NAME.json in this folder.")]

MOST_COLUMNS = 10
SOLVE = "solve"
"""The one benchmark that takes options."""


def add_commands(app: typer.Typer) -> None:
    """Put `trueup bench` on the command line."""
    app.command(epilog="Example: trueup bench engine --save results/bench")(bench)


def bench(
    name: Name = None,
    lr2bench: Lr2Bench = None,
    no_peers: NoPeers = False,
    stored: Stored = None,
    model: Reader = None,
    model_limit: Few = None,
    as_json: AsJson = False,
    save: Save = None,
) -> None:
    """Measure trueup beside what it is built on, in one run; ratios are what to quote."""
    of_solve = {
        "lr2bench": lr2bench, "peers": not no_peers, "stored": stored, "model": model, "model_limit": model_limit
    }  # fmt: skip
    options = _options(of_solve)
    _refuse_misfits(name, options)
    if save is not None:
        make_writable(save, MEND)
    for chosen in [name] if name else BENCHMARKS:
        settings, words = (of_solve, options) if chosen == SOLVE else ({}, [])
        result = Result.now(chosen, benchmark(chosen)(**settings), words)
        print(result.text(), end="") if as_json else _print(result)
        if save is not None:
            result.save(save)


def _options(settings: Mapping[str, Json]) -> list[str]:
    """The options that make these settings of `solve`; files and folders by their names, wherever they lie."""
    options = [] if settings["peers"] else ["--no-peers"]
    for key, value in settings.items():
        if key != "peers" and value is not None:
            told = value.absolute().name if isinstance(value, Path) else str(value)
            options += [f"--{key.replace('_', '-')}", told]
    return options


def _refuse_misfits(name: str | None, options: Sequence[str]) -> None:
    """Raise BadInput, before anything is measured, for options that would do nothing."""
    if name in BENCHMARKS and name != SOLVE and options:
        raise BadInput(f"`trueup bench {name}` takes no {options[0]}; leave it out, or run `trueup bench {SOLVE}`")
    for option, needed in (("--model", "--lr2bench"), ("--model-limit", "--model")):
        if name in (None, SOLVE) and option in options and needed not in options:
            raise BadInput(f"{option} does nothing without {needed}; give that too, or leave it out")


def _print(result: Result) -> None:
    """Rows of the same figures as one table; where they have too many for a screen, a paragraph each."""
    names = [key for key in ("system", "family") if any(key in row for row in result.results)]
    for figures, alike in groupby(result.results, lambda row: tuple(k for k in row if k not in (*names, "rounds"))):
        if len(figures) <= MOST_COLUMNS:
            rows = table(tuple(names), tuple(key.replace("_", " ") for key in figures), title=f"bench {result.name}")
            for row in alike:
                cells = [*(str(row.get(name, "")) for name in names), *(_figure(row, key) for key in figures)]
                rows.add_row(*cells)
            screen().print(rows)
            continue
        for row in alike:
            told = ", ".join(f"{key.replace('_', ' ')} {_figure(row, key)}" for key in figures if _figure(row, key))
            screen().print(f"{' '.join(str(row[name]) for name in names if name in row)}: {told}")


def _figure(row: Mapping[str, Json], key: str) -> str:
    value = row.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return str(len(value))
    return f"{value:,.3g}" if isinstance(value, float) and value < 1000 else f"{value:,.0f}"
