"""What methods can learn from the samples of a study, each as a file that a setting names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from trueup.cli.pipeline import gather
from trueup.cli.request import Request
from trueup.cli.screen import screen
from trueup.core.errors import BadInput, UnknownName
from trueup.core.outcome import Measured
from trueup.methods.rightness import leader_frequency
from trueup.plan import fit_rightness, frequencies, halves, save_frequencies
from trueup.raters import learn_head

Folder = Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")]
Only = Annotated[str | None, typer.Option("--stratum", help="The stratum to learn from, where there are several.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; default: in DIR, by stratum and kind.")]

rooms = typer.Typer(no_args_is_help=True, help="Files that methods and raters learn from the choosing half of a study.")


def add_commands(app: typer.Typer) -> None:
    """Put `trueup learn` on the command line."""
    rooms.command("rightness", epilog="Example: trueup learn rightness out/mixed --stratum arithmetic")(rightness)
    rooms.command("library", epilog="Example: trueup learn library out/mixed --stratum arithmetic")(library)
    rooms.command("head", epilog="Example: trueup learn head out/mixed --stratum arithmetic")(head)
    app.add_typer(rooms, name="learn")


def rightness(folder: Folder, stratum: Only = None, out: Out = None) -> None:
    """How likely a leader is right by its share of the votes: `lookahead_vote table=FILE`."""
    measured, path, seed = _open(folder, stratum, out, "rightness")
    found = fit_rightness(measured, leader_frequency, seed=seed)
    _keep(path, found.save)
    _say(path, f"from {found.problems} problems; use it as `lookahead_vote table={path}`")


def library(folder: Folder, stratum: Only = None, out: Out = None) -> None:
    """How answers are spread: `bayes_vote library=FILE`."""
    measured, path, seed = _open(folder, stratum, out, "library")
    vectors = frequencies(measured, seed=seed)
    _keep(path, lambda target: save_frequencies(vectors, target))
    _say(path, f"from {len(vectors)} problems; use it as `bayes_vote library={path}`")


def head(folder: Folder, stratum: Only = None, out: Out = None) -> None:
    """A small reward model of the texts: `rater = "head file=FILE"` in the task."""
    measured, path, _ = _open(folder, stratum, out, "head")
    found = learn_head([pool for pool in measured.pools if pool.attempts], folder.name)
    _keep(path, found.save)
    _say(path, f'{found.about}; use it as rater = "head file={path}"')


def _open(folder: Path, name: str | None, out: Path | None, kind: str) -> tuple[Measured, Path, int]:
    """The stratum to learn from, where to write, and the study's seed.

    Of its items the half that a plan is chosen on; the other half is what it is certified on.
    """
    findings = gather(Request.load(folder), folder, sealed=True, quiet=True)
    known = {measured.stratum.name: measured for measured in findings.measured}
    if name is None and len(known) > 1:
        raise BadInput(f"{folder} has the strata {', '.join(known)}; choose one with --stratum")
    chosen = name or next(iter(known))
    if chosen not in known:
        raise UnknownName("stratum", chosen, known)
    seed = findings.task["seed"]
    return halves(known[chosen], seed=seed)[0], out or folder / f"{chosen}.{kind}.json", seed


def _keep(path: Path, save: Callable[[Path], None]) -> None:
    try:
        save(path)
    except OSError as error:
        raise BadInput(f"cannot write {str(path)!r}: {error.strerror}; choose another --out") from error


def _say(path: Path, words: str) -> None:
    screen().print(f"{path}: {words}", soft_wrap=True)
