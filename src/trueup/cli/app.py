"""The command line: commands, and how an error reaches a person."""

from __future__ import annotations

import os
import sys
from errno import EACCES, EDQUOT, EFBIG, EIO, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS

import typer
from rich.text import Text

from trueup import __version__
from trueup.cli import audit, bench, books, calibrate, claims, learn, names, route, serve, solve, study, train
from trueup.cli.screen import aside
from trueup.cli.start import INTERRUPTED
from trueup.core.errors import TrueupError

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Whatever click calls it in the copy that typer brings along."""
INTERRUPT_CODE = 130
"""What typer makes of Ctrl-C."""
REFUSALS = (EACCES, EDQUOT, EFBIG, EIO, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS)
"""What a disk or a path is to blame for."""

app = typer.Typer(
    name="trueup",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Decide, and then act on, how a language model's wrong answers get fixed: training, inference or a solver.",
    epilog="Start with: trueup study examples/mixed",
)
for room in (study, train, calibrate, learn, route, books, names, serve, audit, solve, claims, bench):
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
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        is_ours = _let_go()
        if is_ours and isinstance(error, BrokenPipeError):
            sys.exit(1)
        if error.errno not in REFUSALS:
            raise
        _fail(_told(error))
    except TrueupError as error:
        _fail(str(error))
    except UsageError as error:
        message = error.format_message()  # type: ignore[attr-defined]
        if not message:  # a command alone has had its help printed
            sys.exit(2)
        _fail(message)


def _told(error: OSError) -> str:
    """What the system refused, in a line."""
    where = "" if error.filename is None else f"{str(error.filename)!r}: "
    return f"{where}{error.strerror or error}; make room or mend the path, and run the same command again"


def _let_go() -> bool:
    """Give up standard output if it takes no more, for the interpreter would else try again as it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return True
    return False


def _fail(message: str) -> None:
    line = " ".join(message.split())
    aside().print(Text.assemble(("error:", "bold red"), " ", line))
    sys.exit(2)
