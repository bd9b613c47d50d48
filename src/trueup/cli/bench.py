"""Benchmarks on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from trueup.bench import BENCHMARKS, Result, benchmark
from trueup.cli.screen import screen, table
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
    for chosen in [name] if name else BENCHMARKS:
        measure = benchmark(chosen)
        result = Result.now(chosen, measure(**of_solve if chosen == "solve" else {}))
        if save is not None:
            result.save(save)
        print(result.text(), end="") if as_json else _print(result)


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
