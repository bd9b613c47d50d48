"""Benchmarks from the command line: options that apply, a command that says them, results that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import terminal

from trueup.bench.result import MEND, Result
from trueup.core.errors import BadInput
from trueup.core.files import make_writable

RESULTS = Path(__file__).parent.parent / "results" / "bench"
ROWS = [{"family": "f", "n": 2}]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in a folder of its own, with every benchmark measured at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trueup.cli.bench.benchmark", lambda name: lambda **settings: ROWS)

    def order(*words, code=0):
        terminal.trueup(monkeypatch, "bench", *words, code=code)
        return capsys.readouterr()

    return order


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ledger --lr2bench x", "`trueup bench ledger` takes no --lr2bench; leave it out"),
        ("engine --no-peers", "`trueup bench engine` takes no --no-peers"),
        ("train --stored nofile --model nosuch:x", "`trueup bench train` takes no --stored"),
        ("solve --model smollm2", "--model does nothing without --lr2bench"),
        ("solve --lr2bench x --model-limit 3", "--model-limit does nothing without --model"),
        ("--model smollm2", "--model does nothing without --lr2bench"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(run, words, told):
    said = run(*words.split(), code=2)
    assert told in said.err and said.err.count("\n") == 1 and not said.out


def test_the_command_says_its_options_and_no_place_on_this_machine(run, tmp_path):
    place = tmp_path / "puzzles"
    words = ("--no-peers", "--stored", tmp_path / "p.json", "--model", "openai:http://h/v1#m", "--model-limit", "3")
    told = json.loads(run("solve", "--lr2bench", place, *words, "--json").out)
    options = "--no-peers --lr2bench puzzles --stored p.json --model 'openai:http://h/v1#m' --model-limit 3"
    assert told["command"] == f"trueup bench solve {options}"
    assert json.loads(run("engine", "--json").out)["command"] == "trueup bench engine"


def test_all_benchmarks_are_run_with_the_options_of_the_one_that_takes_some(run):
    run("--no-peers", "--save", "kept")
    commands = {path.stem: json.loads(path.read_text())["command"] for path in Path("kept").iterdir()}
    assert commands["solve"] == "trueup bench solve --no-peers" and commands["ledger"] == "trueup bench ledger"


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(run, monkeypatch):
    measured = []
    monkeypatch.setattr("trueup.cli.bench.benchmark", measured.append)
    Path("afile").write_text("")
    said = run("engine", "--save", "afile", code=2)
    assert said.err == "error: cannot write 'afile': File exists; choose another --save\n"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(BadInput, match="cannot write 'here': Permission denied"):
        make_writable(Path("here"), MEND)
    assert not measured


def test_a_result_that_cannot_be_kept_is_printed_all_the_same(run):
    Path("kept/engine.json/x").mkdir(parents=True)
    said = run("engine", "--save", "kept", "--json", code=2)
    assert json.loads(said.out)["results"] == ROWS
    assert "cannot write 'kept/engine.json'" in said.err and said.err.count("\n") == 1
    assert [path.name for path in Path("kept").iterdir()] == ["engine.json"]


def test_kept_results_say_the_options_that_their_rows_need():
    table = json.loads((RESULTS / "solve.json").read_text())
    families = " ".join(row["family"] for row in table["results"])
    for rows, option in (
        ("cryptogram", "--lr2bench"),
        ("stored-programs:", "--stored"),
        ("read by smollm2", "--model"),
    ):
        assert rows in families and option in table["command"].split()
    assert Result.now("solve", []).command == "trueup bench solve"
