"""Errors a user can act on: one line, the value, the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 200
"""Characters of another package's error that are told."""

LISTED = 80
"""Of what there is, so many are named where nothing is near."""


class TrueupError(Exception):
    """Anything the user can mend; the command line prints it and exits with 2."""


class BadInput(TrueupError):
    """A file, setting or value that cannot be used as it stands."""


class BadForm(BadInput):
    """A JSON schema or a grammar that does not compile."""


class UnknownName(BadInput):
    """A name that nothing in the house answers to."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        """Say what was typed, offer the nearest known name and where all are listed."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")
        offer = f"; did you mean {near[0]!r}?" if near else f"; known: {listed or 'none'}"
        super().__init__(f"unknown {kind} {name!r}{offer}{' ' + hint if hint else ''}")


class Unavailable(TrueupError):
    """Something outside the house that cannot be had: weights, an endpoint, a package."""


class AskFailed(TrueupError):
    """One ask that could not be answered; recorded on its problem, fatal to no other.

    `seconds` are what was spent on it, where whoever raises it has measured them.
    """

    seconds: float | None = None


class LedgerError(TrueupError):
    """A ledger that cannot be written, or whose totals do not follow from its rows."""


def one_line(error: object) -> str:
    """The words of another package's error on one line, or its name where it has none."""
    return " ".join(str(error).split())[:SHOWN] or type(error).__name__
