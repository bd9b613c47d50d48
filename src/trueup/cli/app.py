"""The command line: commands, and how an error reaches a person."""

from __future__ import annotations

import sys

import click
import typer
from rich.console import Console

from trueup import __version__
from trueup.cli import bench, books, names, serve, study
from trueup.core.errors import TrueupError

INTERRUPTED = "interrupted; what was paid is kept: run the same command again to go on"

app = typer.Typer(
    name="trueup",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Decide, and then act on, how a language model's wrong answers get fixed: training, inference or a solver.",
    epilog="Start with: trueup study examples/mixed",
)
for room in (study, books, names, serve, bench):
    room.add_commands(app)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; a mendable error is one line and exit code 2, never a traceback."""
    try:
        app(standalone_mode=False)
    except TrueupError as error:
        _fail(str(error))
    except click.ClickException as error:
        _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        _fail(INTERRUPTED)


def _fail(message: str) -> None:
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {line}", highlight=False) if (
        sys.stderr.isatty()
    ) else print(f"error: {line}", file=sys.stderr)
    sys.exit(2)
