"""The command line: commands, and how an error reaches a person."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from trueup import __version__
from trueup.cli import bench, books, calibrate, claims, learn, names, route, serve, solve, study, train
from trueup.core.errors import TrueupError

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Whatever click calls it in the copy that typer brings along."""
INTERRUPT_CODE = 130
"""What typer makes of Ctrl-C."""
INTERRUPTED = "interrupted; what was paid is kept: run the same command again to go on"

app = typer.Typer(
    name="trueup",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Decide, and then act on, how a language model's wrong answers get fixed: training, inference or a solver.",
    epilog="Start with: trueup study examples/mixed",
)
for room in (study, train, calibrate, learn, route, books, names, serve, solve, claims, bench):
    room.add_commands(app)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; a mendable error is one line and exit code 2, never a traceback."""
    try:
        if app(standalone_mode=False) == INTERRUPT_CODE:
            _fail(INTERRUPTED)
    except TrueupError as error:
        _fail(str(error))
    except UsageError as error:
        _fail(error.format_message())  # type: ignore[attr-defined]


def _fail(message: str) -> None:
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {escape(line)}")
    sys.exit(2)
