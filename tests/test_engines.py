"""Two engines behind one address: on record, counted, warned of, and nothing certified of their mixture."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import terminal
from mock_endpoint import MockEndpoint, error, loopback
from studies import measured, study
from test_ledger import charge, write
from toys import PRICES, item

from trueup.bench.peers import wire
from trueup.bench.toy import Whole
from trueup.core.charge import SCHEMA_VERSION
from trueup.core.ledger import Ledger, read_charges, verify
from trueup.core.outcome import Measured
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Sampling
from trueup.models import OpenAI
from trueup.models.completion import read_completion
from trueup.models.stream import Pieces
from trueup.plan import certify, halves
from trueup.plan.engines import mixtures
from trueup.run.clerk import Clerk
from trueup.run.driver import Job, run_job
from trueup.run.keys import attempt_key, digest, prompt_text

TWO = ("fp_a", "fp_b")
PROMPT = (Message("user", "two words"),)
WORDS = [{"id": f"d{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(12)]
OLD = """
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE charges (
    key BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, source INTEGER NOT NULL REFERENCES sources,
    stratum TEXT NOT NULL, leads INTEGER NOT NULL,
    prompt_tokens INTEGER, cached_tokens INTEGER, completion_tokens INTEGER,
    prefill_micros INTEGER NOT NULL, decode_micros INTEGER NOT NULL,
    megaflops INTEGER, picodollars INTEGER,
    finish TEXT NOT NULL, reply TEXT NOT NULL, logprob REAL, takes_n INTEGER NOT NULL,
    estimated INTEGER NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE totals (
    kind TEXT PRIMARY KEY, charges INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, micros INTEGER NOT NULL,
    megaflops INTEGER NOT NULL, picodollars INTEGER NOT NULL, unknown_tokens INTEGER NOT NULL,
    unpriced INTEGER NOT NULL
) STRICT;
"""
COLUMNS = (
    "key, kind, source, stratum, leads, prompt_tokens, cached_tokens, completion_tokens, prefill_micros, decode_micros,"
    "megaflops, picodollars, finish, reply, logprob, takes_n, estimated, at"
)


class Run:
    """The command line in a folder with a task of twelve items, which any model here answers rightly."""

    def __init__(self, folder: Path, capsys, monkeypatch) -> None:
        self.folder, self._capsys, self._patch = folder, capsys, monkeypatch
        self.mock = MockEndpoint(reply=lambda body: "right")
        self.url = ""
        (folder / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in WORDS))
        monkeypatch.chdir(folder)

    def __call__(self, *words: object, code: int = 0) -> str:
        terminal.trueup(self._patch, *words, code=code)
        return " ".join(self._capsys.readouterr().out.split())

    def study(self, out: str, *engines: str, task: str = "w.jsonl", **options: object) -> str:
        """A study at the endpoint, which is now these engines in turn."""
        self.mock.engines = engines
        words = {"target": 0.5, "samples": 2, "methods": "once", **options}
        flags = [word for name, value in words.items() for word in (f"--{name}", value)]
        return self("study", task, "--model", f"openai:{self.url}/v1#m", "--out", out, "-q", *flags)

    def told(self, out: str) -> dict:
        return json.loads((self.folder / out / "study.json").read_text())

    def rows(self, out: str) -> list:
        return [row for row in read_charges(self.folder / out / "ledger.sqlite") if row.kind == "sampled"]


@contextmanager
def listening(command: Run) -> Iterator[Run]:
    """The command line while its endpoint answers."""
    with loopback(command.mock.app) as url:
        command.url = url
        yield command


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    with listening(Run(tmp_path, capsys, monkeypatch)) as command:
        yield command


def mix(strata: Measured, **attempts: dict[str, int]) -> Measured:
    return Measured(strata.stratum, strata.arms, strata.pools, strata.outcomes, attempts)


# what an endpoint tells


def choices(engine: object) -> dict:
    return {"choices": [{"index": 0, "message": {"content": "a"}}], "system_fingerprint": engine}


@pytest.mark.parametrize(
    ("told", "engine"),
    [("fp_a", "fp_a"), (" a\nb ", "a b"), ("", None), (None, None), (7, None), ("a\ud83d", "a?")],
)
def test_an_engine_is_what_the_reply_calls_it_and_else_unknown(told, engine):
    assert [attempt.engine for attempt in read_completion(choices(told), 1, 0, 1.0).attempts] == [engine]


def test_a_reply_without_the_field_says_nothing():
    reply = choices("fp_a")
    del reply["system_fingerprint"]
    assert read_completion(reply, 1, 0, 1.0).attempts[0].engine is None


def test_a_stream_tells_its_engine_in_any_of_its_pieces():
    pieces = Pieces()
    for event in (
        {"choices": [{"delta": {"content": "a"}}], "system_fingerprint": "fp_a"},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "system_fingerprint": None},
    ):
        pieces.take(f"data: {json.dumps(event)}")
    assert pieces.reply()["system_fingerprint"] == "fp_a"


def test_streamed_attempts_carry_it():
    async def answer(request: wire.Request, line: wire.Line) -> None:
        line.begin_events()
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
        line.send_event(json.dumps({"choices": [choice], "system_fingerprint": "fp_a"}))
        line.send_event("[DONE]")
        line.end_events()

    async def ask(root: str) -> Sampled:
        model = OpenAI(root, "m", stream=True)
        try:
            return await model.sample(PROMPT, 1, 0, Sampling())
        finally:
            await model.close()

    with wire.loopback(answer) as root:
        assert [attempt.engine for attempt in asyncio.run(ask(root)).attempts] == ["fp_a"]


def test_a_cancelled_sample_leaves_the_engines_of_what_had_come_on_the_ledger(tmp_path):
    def refuse(place, body):
        return error(500, "down", headers={"retry-after": "30"}) if place == 2 else None

    mock = MockEndpoint(takes_n="ignores", engines=TWO, refuse=refuse)

    async def leave(root: str) -> None:
        model = OpenAI(root, "m", lanes=1)
        with Ledger(tmp_path / "l") as ledger:
            job = Job(Stratum("s", (), Whole()), item(), 3)
            work = asyncio.create_task(run_job(job, Clerk(model, ledger, PRICES)))
            while len(mock.calls) < 3:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            await model.close()

    with loopback(mock.app) as root:
        asyncio.run(leave(root))
    rows = list(read_charges(tmp_path / "l"))
    assert [row.engine for row in rows if row.kind == "sampled"] == ["fp_a", "fp_b"]
    assert {row.engine for row in rows if row.kind != "sampled"} == {None}


# the ledger


def test_a_row_keeps_its_engine(tmp_path):
    written = [charge(1, engine="fp_a"), charge(2)]
    write(tmp_path / "l", *written)
    assert list(read_charges(tmp_path / "l")) == written


def test_a_choice_that_nobody_asked_for_keeps_its_engine_too(run):
    run.mock.takes_n = "adds one"
    run.study("o", "fp_a")
    rows = read_charges(run.folder / "o" / "ledger.sqlite")
    assert {(row.kind, row.engine) for row in rows if not row.kind.startswith("eval")} == {
        ("sampled", "fp_a"), ("discarded", "fp_a")
    }  # fmt: skip


def test_keys_are_those_of_old():
    base = digest("sample", "openai:http://x/v1:m", prompt_text(PROMPT), repr(Sampling()))
    assert attempt_key(base, 3).hex() == "eface4338895fde69a9d1efd46af3288"


@pytest.mark.parametrize("old", [3, 4])
def test_an_old_ledger_is_read_as_it_is_and_upgraded_by_the_next_run(run, tmp_path, old):
    run.study("o")
    path = tmp_path / "o" / "ledger.sqlite"
    before, calls = list(read_charges(path)), len(run.mock.calls)
    make_old(path, old)
    assert list(read_charges(path)) == before and verify(path).discrepancies == () and version(path) == old
    assert json.loads(run("ledger", "export", "o").split(" {")[0])["engine"] is None
    assert "now 0 new model calls" in run.study("o", "fp_a") and version(path) == SCHEMA_VERSION
    assert list(read_charges(path)) == before and len(run.mock.calls) == calls
    run.study("o", "fp_a", samples=4)
    assert {row.engine for row in run.rows("o")} == {None, "fp_a"}
    assert "engines" not in run.told("o")["strata"]["w"]
    run.study("o", "fp_b", samples=6)
    assert [row["attempts"] for row in run.told("o")["strata"]["w"]["engines"]] == [{"fp_a": 24, "fp_b": 24}]
    assert verify(path).discrepancies == ()


def version(path: Path) -> int:
    with sqlite3.connect(path) as db:
        (found,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return found


def make_old(path: Path, old: int = 3) -> None:
    """The same rows in a file of a version before."""
    new = path.rename(path.with_name("new.sqlite"))
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(OLD)
    db.execute("ATTACH ? AS new", (str(new),))
    for table, columns in (("sources", "*"), ("charges", COLUMNS), ("totals", "*")):
        db.execute(f"INSERT INTO {table} SELECT {columns} FROM new.{table} ORDER BY rowid")
    if old == 4:
        db.execute("ALTER TABLE charges ADD COLUMN engine TEXT")
    db.executescript(f"PRAGMA user_version={old}; PRAGMA application_id=0x74727570;")
    db.close()


# a study


def test_two_engines_are_counted_warned_of_and_nothing_is_certified(run):
    said = run.study("o", *TWO)
    told, model = run.told("o"), f"openai:{run.url}/v1:m"
    assert {(row.source, row.engine) for row in run.rows("o")} == {(model, "fp_a"), (model, "fp_b")}
    (row,) = told["strata"]["w"]["engines"]
    assert (row["model"], row["attempts"]) == (model, {"fp_a": 12, "fp_b": 12})
    line = f"{model} answered as 2 engines that were never seen to agree, fp_a (12 attempts) and fp_b (12 attempts)"
    assert said.count(line) == 1 and "sample anew into another --out" in said
    assert "w: uncertified: its attempts are of several engines" in said
    proof = told["plan"]["certificate"]["w"]
    assert (proof["status"], proof["bound"], proof["needs"]) == ("uncertified", 0.0, None)
    assert line in proof["note"]
    assert line in (run.folder / "o" / "report.html").read_text()
    assert line in (run.folder / "o" / "policy.toml").read_text()
    assert line in run("measure", "o")
    assert "now 0 new model calls" in run.study("o", "fp_a") and run.told("o") == told


@pytest.mark.parametrize("engines", [(), ("fp_a",)])
def test_one_engine_or_none_is_silent_and_certified(run, engines):
    assert "engine" not in run.study("o", *engines)
    told = run.told("o")
    assert "engines" not in told["strata"]["w"] and told["plan"]["certificate"]["w"]["status"] == "certified"
    assert {row.engine for row in run.rows("o")} == set(engines or [None])


def test_the_engine_has_no_part_in_the_keys(run):
    keys = []
    for out, engines in (("o", ()), ("p", ("fp_a",)), ("q", TWO)):
        run.study(out, *engines)
        keys.append({row.key for row in run.rows(out)})
    assert keys[0] == keys[1] == keys[2] and len(keys[0]) == 24


def test_an_engine_that_changes_between_two_runs_is_seen(run):
    run.study("o", "fp_a")
    run.study("o", "fp_b", samples=3)
    (row,) = run.told("o")["strata"]["w"]["engines"]
    assert row["attempts"] == {"fp_a": 24, "fp_b": 12}


def test_a_replayed_recording_tells_its_engines(run):
    run.study("o", *TWO, record="tape.jsonl")
    run("study", "w.jsonl", "--model", "replay:tape.jsonl", "--out", "p", "-q", "--samples", 2, "--methods", "once")
    assert run.told("p")["strata"]["w"]["engines"] == run.told("o")["strata"]["w"]["engines"]


def test_a_recording_that_knows_of_no_engines_is_read(run):
    run.study("o", record="tape.jsonl")
    tape = run.folder / "tape.jsonl"
    tape.write_text(tape.read_text().replace(', "engine": null', ""))
    run("study", "w.jsonl", "--model", "replay:tape.jsonl", "--out", "p", "-q", "--samples", 2, "--methods", "once")
    assert "engines" not in run.told("p")["strata"]["w"]


# the plan


def test_held_out_items_know_of_the_mixture_and_prove_nothing():
    pure = measured(["r"] * 40, {"once": "r" * 40})
    for strata, status in ((pure, "certified"), (mix(pure, m={"a": 3, "b": 1}), "uncertified")):
        _, held_out = halves(strata)
        assert certify(held_out, "once", target=0.5, delta=0.05, seed=0).status == status


def test_a_study_of_one_engine_has_no_row_of_engines():
    assert "engines" not in study(measured(["r"] * 4, {"once": "rrrr"}))["strata"]["s"]


def test_many_engines_are_named_by_the_two_that_answered_most():
    (row,) = mixtures({"m": {"a": 1, "b": 5, "c": 3}})
    assert "answered as 3 engines" in row.note and "b (5 attempts), c (3 attempts) and 1 other" in row.note
    assert row.attempts == {"a": 1, "b": 5, "c": 3}
