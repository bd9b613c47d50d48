"""Commands that only read a study: beside its writer, and in a folder that they leave as it is."""

from __future__ import annotations

import json
import sqlite3

import pytest
import terminal

from trueup.cli.snapshot import snapshot
from trueup.core.errors import LedgerError
from trueup.core.ledger import Ledger

READING = [
    "measure o", "diagnose o", "calibrate o", "learn rightness o --out r.json", "learn library o --out l.json",
    "route fit o --costly vote_n=4", "route bins o --pilot 2",
]  # fmt: skip


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line beside a finished study."""
    order = terminal.at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(24)])
    words = ("--model", "toy:0.6", "--samples", "12", "--out", "o", "-q", "--methods", "once,vote n=4")
    order("study", "w.jsonl", *words)
    return order


@pytest.mark.parametrize("words", READING)
def test_what_only_reads_runs_beside_the_writer(run, tmp_path, words):
    order = [word.replace("_", " ") for word in words.split()]
    alone = run(*order)
    with Ledger(tmp_path / "o" / "ledger.sqlite"):
        assert run(*order) == alone


def test_what_books_waits_for_the_writer(run, tmp_path):
    with Ledger(tmp_path / "o" / "ledger.sqlite"):
        assert "is being written by another run" in run("plan", "o", code=2).err


def test_what_only_reads_leaves_the_folder_as_it_is(run, tmp_path):
    (tmp_path / "o" / "ledger.sqlite.lock").unlink()
    before = {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()}
    run("measure", "o")
    after = {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()}
    assert {name: content for name, content in after.items() if not name.endswith(("-wal", "-shm"))} == before


def test_ratings_of_a_pilot_are_read_beside_the_writer_too(run, tmp_path):
    task = '[[stratum]]\nname = "w"\nsource = "jsonl:w.jsonl"\nrater = "head"\n'
    (tmp_path / "t.toml").write_text(task)
    words = ("--model", "toy:0.6", "--samples", "4", "--out", "r", "-q", "--methods", "weighted_best_of_n n=4")
    run("study", "t.toml", *words)
    order = ("route", "bins", "r", "--pilot", "4", "--signal", "rating", "--json")
    alone = json.loads(run(*order).out)
    with Ledger(tmp_path / "r" / "ledger.sqlite"):
        assert json.loads(run(*order).out) == alone


def test_a_copy_complains_of_the_ledger_by_its_own_name(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_text("no database, " * 100)
    with pytest.raises(LedgerError, match=f"cannot copy {path} to"), snapshot(path):
        pass
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 7")
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(LedgerError, match=f"{path} is no ledger of this version"), snapshot(path):
        pass


def test_what_is_booked_in_a_copy_is_gone(run, tmp_path):
    path = tmp_path / "o" / "ledger.sqlite"
    with snapshot(path) as copy, Ledger(path) as ledger:
        assert copy.path != path and copy.totals() == ledger.totals()
    assert not copy.path.exists()
    assert json.loads(run("ledger", "verify", "o", "--json").out)["discrepancies"] == []
