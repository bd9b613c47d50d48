"""The ledger: one SQLite file, one writer, a row per charge, totals that follow from the rows.

A reply is acknowledged only after its rows are committed with `synchronous=FULL`; replies that arrive in
the same turn of the event loop share one commit. Rows are keyed by content, so a run that was killed
finds what it has paid for.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from trueup.core.charge import (
    ADD_TOTAL,
    APPLICATION_ID,
    INSERT,
    SCHEMA,
    SCHEMA_VERSION,
    SUM_ROWS,
    UPGRADES,
    Charge,
    Total,
    discrepancies,
    from_row,
    sums,
    to_row,
)
from trueup.core.errors import LedgerError

CACHE_KIB = 1 << 16
CHECKPOINT_PAGES = 1 << 13
"""Keys are random, so a commit touches the whole index: keep it in memory, and copy it back seldom."""


class Ledger:
    """The one writer of a ledger file; use it as a context."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; one of an older version becomes one of this.

        Raises LedgerError where another process is writing it, or it is no ledger of ours.
        """
        self.path = path
        self._buffer: list[Charge] = []
        self._committed: asyncio.Future[None] | None = None
        self._unwritten: BaseException | None = None
        self._lock = _lock(path)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            _prepare(self._db, path)
            self._sources = self._read_sources()
            self._keys = {row[0] for row in self._db.execute("SELECT key FROM charges")}
        except (sqlite3.Error, LedgerError) as error:
            self._lock.close()
            raise error if isinstance(error, LedgerError) else _mend(error, path) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._buffer:
                self._write()
        finally:
            self._db.close()
            self._lock.close()
        if error is None and self._unwritten is not None:
            raise self._unwritten

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Charge]:
        """The committed charges of these keys."""
        kept = [key for key in keys if key in self._keys]
        if not kept:
            return {}
        marks = ",".join("?" * len(kept))
        rows = self._db.execute(
            f"SELECT c.*, s.name FROM charges c JOIN sources s ON s.id = c.source WHERE key IN ({marks})", kept
        )
        return {charge.key: charge for charge in map(from_row, rows)}

    async def commit(self, charges: Iterable[Charge]) -> None:
        """Return when these charges are on disk; those of one turn of the loop are written together."""
        await asyncio.shield(self._enter(charges))

    def post(self, charges: Iterable[Charge]) -> None:
        """Have these charges written with the others of this turn; where they cannot be, closing raises LedgerError."""
        self._enter(charges).add_done_callback(self._note)

    def _enter(self, charges: Iterable[Charge]) -> asyncio.Future[None]:
        self._buffer.extend(charges)
        if self._committed is None:
            loop = asyncio.get_running_loop()
            self._committed = loop.create_future()
            loop.call_soon(self._flush)
        return self._committed

    def totals(self) -> list[Total]:
        """The sums by kind, as they were kept while writing."""
        return [Total(*row) for row in self._db.execute("SELECT * FROM totals ORDER BY kind")]

    def _note(self, done: asyncio.Future[None]) -> None:
        self._unwritten = done.exception() or self._unwritten

    def _flush(self) -> None:
        done, self._committed = self._committed, None
        assert done is not None
        try:
            self._write()
        except LedgerError as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def _write(self) -> None:
        charges, self._buffer = self._buffer, []
        now = time.time()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            rows = [to_row(charge, self._source(charge.source), now) for charge in charges]
            self._db.executemany(INSERT, rows)
            self._db.executemany(ADD_TOTAL, sums(charges))
            self._db.execute("COMMIT")
        except Exception as error:  # whatever it is, those who wait must hear of it, or they wait for ever
            self._undo()
            raise _mend(error, self.path) from error
        self._keys.update(charge.key for charge in charges)

    def _undo(self) -> None:
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
                self._sources = self._read_sources()

    def _read_sources(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT name, id FROM sources"))

    def _source(self, name: str) -> int:
        if name not in self._sources:
            cursor = self._db.execute("INSERT INTO sources (name) VALUES (?)", (name,))
            assert cursor.lastrowid is not None
            self._sources[name] = cursor.lastrowid
        return self._sources[name]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; no discrepancy means that the totals are proved."""

    charges: int
    totals: tuple[Total, ...]
    discrepancies: tuple[str, ...]


def verify(path: Path) -> Verdict:
    """Recompute every total from the rows, and have SQLite check its own pages.

    Raises LedgerError where the file is no ledger, or has no tables yet.
    """
    db = open_reader(path)
    try:
        _hold(db, path)
        kept = {row[0]: Total(*row) for row in db.execute("SELECT * FROM totals")}
        summed = {row[0]: Total(*row) for row in db.execute(SUM_ROWS)}
        found = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
    except sqlite3.Error as error:
        raise _unreadable(error, path) from error
    finally:
        db.close()
    for kind in sorted(kept.keys() | summed.keys()):
        found.extend(discrepancies(kind, kept.get(kind), summed.get(kind)))
    return Verdict(sum(t.charges for t in summed.values()), tuple(summed.values()), tuple(found))


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection, which may stay open beside the writer.

    SQLite shares memory with a writer through a file beside the ledger. Where we may make none, and no -wal says that
    something is still to be copied back, the file is read as it stands. Raises LedgerError where there is no such file,
    or it cannot be opened.
    """
    if not path.exists():
        raise LedgerError(f"no ledger at {str(path)!r}; name the folder of a study")
    place = path.resolve()
    is_shared = os.access(place.parent, os.W_OK) or place.with_name(place.name + "-wal").exists()
    try:
        return sqlite3.connect(f"{place.as_uri()}?mode=ro{'' if is_shared else '&immutable=1'}", uri=True)
    except sqlite3.Error as error:
        raise _unreadable(error, path) from error


def read_charges(path: Path) -> Iterator[Charge]:
    """Every charge, in the order of writing.

    Raises LedgerError where the file is no ledger, a damaged one, or has no tables yet.
    """
    db = open_reader(path)
    try:
        _hold(db, path)
        query = "SELECT c.*, s.name FROM charges c JOIN sources s ON s.id = c.source ORDER BY c.rowid"
        yield from map(from_row, db.execute(query))
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise _unreadable(error, path) from error
    finally:
        db.close()


def _hold(db: sqlite3.Connection, path: Path) -> None:
    """Read one snapshot from here on, whatever is written meanwhile; raises LedgerError where there are no tables."""
    db.execute("BEGIN")
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise LedgerError(f"{path} is empty: its run has only begun, or was stopped there; run it, then ask again")


def _lock(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path.with_name(path.name + ".lock"), "w")  # noqa: SIM115 - held as long as the ledger
    except OSError as error:
        raise LedgerError(f"cannot write {str(path)!r}: {error.strerror}; choose another place") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise LedgerError(f"{path} is being written by another run; wait for it or choose another place") from None
    return lock


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(
            f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; PRAGMA application_id={APPLICATION_ID}; COMMIT;"
        )
    elif version not in (*UPGRADES, SCHEMA_VERSION) or _is_foreign(db):
        raise LedgerError(f"{path} is no ledger of this version ({version}); choose another place")
    elif version in UPGRADES:
        db.executescript(f"BEGIN; {UPGRADES[version]} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")


def _is_foreign(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID)


def _mend(error: Exception, path: Path) -> LedgerError:
    if not isinstance(error, sqlite3.Error):
        said = " ".join(str(error).split())
        return LedgerError(f"cannot book a charge in {path}: {said}; check the prices and what the model reports")
    if "full" in str(error):
        return LedgerError(f"disk full while writing {path}; free some space and run again: what was paid is kept")
    return LedgerError(f"cannot write {path}: {error}; check the disk and run again")


def _unreadable(error: Exception, path: Path) -> LedgerError:
    return LedgerError(f"{path}: cannot be read as a ledger: {error}")
