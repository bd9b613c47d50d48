"""A ledger as it stands at one moment, for commands that only read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from trueup.core.errors import LedgerError
from trueup.core.ledger import Ledger, open_reader


@contextmanager
def snapshot(path: Path) -> Iterator[Ledger]:
    """A copy of a ledger, taken beside its writer; what is booked in it is gone at the end.

    Raises LedgerError where it cannot be read or copied, or is no ledger of ours.
    """
    with TemporaryDirectory() as place:
        copy = Path(place) / path.name
        try:
            with closing(open_reader(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise LedgerError(f"cannot copy {path} to {place}: {error}; check the ledger, or set TMPDIR") from error
        try:
            ledger = Ledger(copy)
        except LedgerError as error:
            raise LedgerError(str(error).replace(str(copy), str(path))) from error
        with ledger:
            yield ledger
