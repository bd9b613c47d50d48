"""What methods can learn from the samples of a study, as a file or as numbers that a setting takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from trueup.cli import judges
from trueup.cli.half import Half, open_half
from trueup.cli.screen import screen, warn
from trueup.core.errors import BadInput
from trueup.core.settings import in_quotes, join_words, one_word
from trueup.methods.rightness import leader_frequency
from trueup.plan import fit_rightness, save_frequencies, shares, tallies
from trueup.plan.engines import mixtures
from trueup.plan.frequencies import USUAL_ATTEMPTS
from trueup.raters import learn_head

Folder = Annotated[Path, typer.Argument(help="The folder of a study.", metavar="DIR")]
Only = Annotated[str | None, typer.Option("--stratum", help="The stratum to learn from, where there are several.")]
Out = Annotated[Path | None, typer.Option(help="The file to write; default: in DIR, by stratum and kind.")]

rooms = typer.Typer(no_args_is_help=True, help="What methods and raters learn from the choosing half of a study.")


def add_commands(app: typer.Typer) -> None:
    """Put `trueup learn` on the command line."""
    rooms.command("rightness", epilog="Example: trueup learn rightness out/mixed --stratum arithmetic")(rightness)
    rooms.command("library", epilog="Example: trueup learn library out/mixed --stratum arithmetic")(library)
    rooms.command("head", epilog="Example: trueup learn head out/mixed --stratum arithmetic")(head)
    judges.add_commands(rooms)
    app.add_typer(rooms, name="learn")


def rightness(folder: Folder, stratum: Only = None, out: Out = None) -> None:
    """How likely a leader is right by its share of the votes: `lookahead_vote table=FILE`."""
    half, path = _open(folder, stratum, out, "rightness")
    found = fit_rightness(half.measured, leader_frequency, seed=half.seed)
    _keep(path, found.save)
    _say(path, f"from {found.problems} problems; use it as `lookahead_vote table={in_quotes(str(path))}`")


def library(folder: Folder, stratum: Only = None, out: Out = None) -> None:
    """How answers are spread: `bayes_vote library=FILE`."""
    half, path = _open(folder, stratum, out, "library")
    counts = tallies(half.measured, seed=half.seed)
    vectors, sizes = [shares(votes) for votes in counts], [sum(votes) for votes in counts]
    _keep(path, lambda target: save_frequencies(vectors, target, mixtures(half.measured.engines), sizes))
    _warn_of_few(half.measured.stratum.name, sizes)
    each = " to ".join(dict.fromkeys(map(str, (min(sizes), max(sizes)))))
    told = f"from {len(sizes)} of {len(half.measured.pools)} problems, each of {each} readable attempts"
    _say(path, f"{told}; use it as `bayes_vote library={in_quotes(str(path))}`")


def head(folder: Folder, stratum: Only = None, out: Out = None) -> None:
    """A small reward model of the texts: `rater = "head file=FILE"` in the task."""
    half, path = _open(folder, stratum, out, "head")
    found = learn_head([pool for pool in half.measured.pools if pool.attempts], folder.name)
    notes = [row.note for row in mixtures(half.measured.engines)]
    _keep(path, replace(found, about="; ".join([found.about, *notes])).save)
    words = json.dumps(join_words("head", {"file": path}), ensure_ascii=False)
    _say(path, f"{found.about}; use it as rater = {words}")


def _open(folder: Path, name: str | None, out: Path | None, kind: str) -> tuple[Half, Path]:
    """The stratum's half to learn from, and where to write."""
    half = open_half(folder, name)
    return half, out or folder / f"{one_word(half.measured.stratum.name)}.{kind}.json"


def _warn_of_few(name: str, sizes: Sequence[int]) -> None:
    """A warning where most problems of a library have fewer attempts than keep the confidence that is asked."""
    if (middle := median(sizes)) < USUAL_ATTEMPTS:
        told = f"half of these problems have {middle:g} readable attempts or fewer, of which `bayes_vote` is a little"
        warn([f"{name}: {told} surer than it should be; sample {USUAL_ATTEMPTS}"])


def _keep(path: Path, save: Callable[[Path], None]) -> None:
    try:
        save(path)
    except OSError as error:
        raise BadInput(f"cannot write {str(path)!r}: {error.strerror}; choose another --out") from error


def _say(path: Path, words: str) -> None:
    screen().print(f"{path}: {words}", soft_wrap=True)
