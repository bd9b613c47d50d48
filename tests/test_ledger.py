"""The ledger: totals follow from rows, nothing is written twice, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from trueup.core.charge import Charge
from trueup.core.errors import LedgerError
from trueup.core.ledger import Ledger, read_charges, verify


def charge(number: int, **changes) -> Charge:
    values = {
        "key": number.to_bytes(16, "big"), "kind": "sampled", "source": "toy", "stratum": "s",
        "prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 3, "prefill_seconds": 0.5,
        "decode_seconds": 0.25, "flops": 7_000_000, "usd": Decimal("0.000001"), "reply": "text",
    }  # fmt: skip
    return Charge(**(values | changes))


def write(path, *charges):
    async def run():
        with Ledger(path) as ledger:
            await ledger.commit(charges)
            return ledger.totals()

    return asyncio.run(run())


def test_a_prompt_is_counted_once_a_call_and_completions_always(tmp_path):
    (total,) = write(tmp_path / "l", charge(1), charge(2, leads=False), charge(3, leads=False))
    assert (total.charges, total.prompt_tokens, total.cached_tokens, total.completion_tokens) == (3, 10, 4, 9)
    assert total.micros == 500_000 + 3 * 250_000


def test_unknown_tokens_and_prices_are_counted_as_unknown(tmp_path):
    (total,) = write(tmp_path / "l", charge(1), charge(2, completion_tokens=None, usd=None))
    assert (total.completion_tokens, total.unknown_tokens, total.unpriced) == (3, 1, 1)


def test_verify_proves_the_totals_from_the_rows(tmp_path):
    write(tmp_path / "l", *(charge(i, kind=kind) for i, kind in enumerate(["sampled", "check", "failed"] * 50)))
    verdict = verify(tmp_path / "l")
    assert (verdict.charges, verdict.discrepancies) == (150, ())


@pytest.mark.parametrize("tamper", [
    "UPDATE charges SET completion_tokens = completion_tokens + 1 WHERE rowid = 2",
    "DELETE FROM charges WHERE rowid = 1",
    "UPDATE totals SET picodollars = picodollars - 1",
    "DELETE FROM totals",
])  # fmt: skip
def test_verify_finds_a_changed_row_or_total(tmp_path, tamper):
    write(tmp_path / "l", charge(1), charge(2))
    with sqlite3.connect(tmp_path / "l") as db:
        db.execute(tamper)
    db.close()
    assert verify(tmp_path / "l").discrepancies


@pytest.mark.parametrize("name", ["run#1", "run?a", "run%20b", "naïve run"])
def test_a_folder_may_have_any_name_and_reading_leaves_nothing_beside_it(tmp_path, name):
    write(tmp_path / name / "l", charge(1))
    assert verify(tmp_path / name / "l").charges == len(list(read_charges(tmp_path / name / "l"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


@contextmanager
def read_only(folder):
    """The folder as one who may not write there has it: for root that is another user."""
    me = os.getresuid()
    folder.chmod(0o555)
    try:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 0)
        yield
    finally:
        os.setresuid(*me)
        folder.chmod(0o755)


def test_a_ledger_is_read_where_nothing_can_be_written(monkeypatch):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        folder = Path(place)
        write(folder / "l", charge(1))
        monkeypatch.chdir(folder)
        with read_only(folder):
            assert verify(Path("l")).charges == len(list(read_charges(folder / "l"))) == 1
        assert sorted(path.name for path in folder.iterdir()) == ["l", "l.lock"]


def test_a_ledger_is_proved_while_it_is_written(tmp_path):
    write(tmp_path / "l", *(charge(i, kind=f"{i}") for i in range(1000)))
    is_over = threading.Event()

    async def go_on():
        with Ledger(tmp_path / "l") as ledger:
            numbers = count(1000)
            while not is_over.is_set():
                await ledger.commit([charge(next(numbers))])

    writer = threading.Thread(target=lambda: asyncio.run(go_on()))
    writer.start()
    try:
        verdicts = [verify(tmp_path / "l") for _ in range(15)]
    finally:
        is_over.set()
        writer.join()
    assert {verdict.discrepancies for verdict in verdicts} == {()}
    assert verdicts[0].charges < verdicts[-1].charges


@pytest.mark.parametrize("begun", ["", "PRAGMA journal_mode=WAL"])
def test_a_ledger_without_tables_is_empty_and_not_damaged(tmp_path, begun):
    db = sqlite3.connect(tmp_path / "l")
    db.execute(begun)
    (tmp_path / "l").touch()
    for read in (verify, lambda path: list(read_charges(path))):
        with pytest.raises(LedgerError, match="l is empty: its run has only begun, or was stopped there; run it"):
            read(tmp_path / "l")
    db.close()


def test_what_is_read_back_is_what_was_written(tmp_path):
    written = charge(1, reply="naïve \x00 ☃", finish="length")
    write(tmp_path / "l", written)
    assert list(read_charges(tmp_path / "l")) == [written]


def test_a_charge_written_twice_is_refused_and_the_rest_of_its_group_undone(tmp_path):
    write(tmp_path / "l", charge(1))
    with pytest.raises(LedgerError, match="UNIQUE"):
        write(tmp_path / "l", charge(2), charge(1))
    assert len(list(read_charges(tmp_path / "l"))) == 1


@pytest.mark.parametrize("is_awaited", [True, False])
def test_what_cannot_be_written_for_one_who_has_left_is_one_error_without_a_traceback(tmp_path, is_awaited):
    complaints = []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda loop, told: complaints.append(told))
        with Ledger(tmp_path / "l") as ledger:
            await ledger.commit([charge(1)])
            ledger.post([charge(1)])
            await (ledger.commit([charge(1)]) if is_awaited else asyncio.sleep(0.01))

    with pytest.raises(LedgerError, match="UNIQUE"):
        asyncio.run(run())
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("changes", [
    {"usd": Decimal("1e30")}, {"prompt_tokens": 10**19}, {"reply": "half \ud83d"}, {"decode_seconds": float("inf")},
])  # fmt: skip
def test_a_charge_that_cannot_be_booked_is_one_line_and_the_ledger_goes_on(tmp_path, changes):
    async def run():
        with Ledger(tmp_path / "l") as ledger:
            with pytest.raises(LedgerError, match="cannot book a charge in ") as caught:
                await asyncio.wait_for(ledger.commit([charge(1, source="other"), charge(2, **changes)]), 5)
            await asyncio.wait_for(ledger.commit([charge(3, source="other")]), 5)
        return str(caught.value)

    assert "\n" not in asyncio.run(run())
    assert [one.key for one in read_charges(tmp_path / "l")] == [charge(3).key]
    assert verify(tmp_path / "l").discrepancies == ()


def test_a_second_writer_is_refused_in_one_line(tmp_path):
    with Ledger(tmp_path / "l"), pytest.raises(LedgerError, match="being written by another run") as caught:
        Ledger(tmp_path / "l")
    assert "--out" not in str(caught.value)


def test_a_ledger_that_cannot_be_made_names_no_option_of_one_command():
    with pytest.raises(LedgerError, match=r"cannot write '/dev/null/l'.*; choose another place$"):
        Ledger(Path("/dev/null/l"))


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    (tmp_path / "l").write_text("certainly not a database, but long enough to look at" * 10)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(tmp_path / "l")
    with pytest.raises(LedgerError, match="cannot be read as a ledger: file is not a database"):
        list(read_charges(tmp_path / "l"))


@pytest.mark.parametrize("tables", [
    "CREATE TABLE t (a)",
    "CREATE TABLE sources (id, name); CREATE TABLE charges (source); INSERT INTO sources VALUES (1, 's'); "
    "INSERT INTO charges VALUES (1)",
])  # fmt: skip
def test_rows_of_another_database_are_no_charges(tmp_path, tables):
    db = sqlite3.connect(tmp_path / "l")
    db.executescript(tables)
    db.close()
    with pytest.raises(LedgerError, match="cannot be read as a ledger"):
        list(read_charges(tmp_path / "l"))


def test_a_damaged_ledger_is_one_line(tmp_path):
    write(tmp_path / "l", *(charge(i, reply="x" * 500) for i in range(100)))
    whole = (tmp_path / "l").read_bytes()
    (tmp_path / "l").write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    for read in (lambda: list(read_charges(tmp_path / "l")), lambda: Ledger(tmp_path / "l")):
        with pytest.raises(LedgerError, match="malformed"):
            read()


def test_a_full_disk_is_one_clear_line_and_keeps_what_was_committed(tmp_path):
    write(tmp_path / "l", charge(1))
    script = """
        import asyncio, resource, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_ledger import charge, write
        from trueup.core.errors import LedgerError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            write(Path(sys.argv[1]), *(charge(i, reply="x" * 1000) for i in range(2, 2000)))
        except LedgerError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "l"), os.path.dirname(__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout or "disk full" in done.stdout
    assert done.stdout.count("\n") == 1
    assert len(list(read_charges(tmp_path / "l"))) == 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200_000


def test_kill_9_loses_nothing_acknowledged(tmp_path):
    """The child tells each key only after commit() returned; then it is killed without warning."""
    script = """
        import asyncio, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_ledger import charge
        from trueup.core.ledger import Ledger
        async def one(ledger, number):
            await ledger.commit([charge(number)])
            print(number, flush=True)
        async def main():
            with Ledger(Path(sys.argv[1])) as ledger:
                start = int(sys.argv[3])
                for first in range(start, start + 100_000, 8):
                    await asyncio.gather(*(one(ledger, first + i) for i in range(8)))
        asyncio.run(main())
    """
    acknowledged: set[int] = set()
    for kill in range(5):
        command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "l"), os.path.dirname(__file__)]
        child = subprocess.Popen([*command, str(kill * 100_000)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(40 + 13 * kill)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.stdout.close()
        child.wait()
        acknowledged |= {int(line) for line in lines if line.strip().isdigit()}
    kept = [int.from_bytes(c.key, "big") for c in read_charges(tmp_path / "l")]
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept))
    assert verify(tmp_path / "l").discrepancies == ()
