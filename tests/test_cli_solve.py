"""`trueup solve`: what it prints of each status, and what it refuses."""

from __future__ import annotations

import io
import json
import sys

import pytest

from trueup.cli import main

PROGRAM = "enum Pet: cat, dog\nvar mine, yours in Pet\nint age in 1..9\nbool old\n"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command on a text by standard input, or on a file."""

    def command(text, *words, code=0, by_file=False):
        path = tmp_path / "program.txt"
        path.write_text(text)
        monkeypatch.setattr(sys, "argv", ["trueup", "solve", *([str(path)] if by_file else []), *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        if code:
            with pytest.raises(SystemExit) as stop:
                main()
            assert stop.value.code == code
        else:
            main()
        return capsys.readouterr()

    return command


def test_a_solution_is_printed_in_the_words_of_the_program(run):
    text = PROGRAM + "con mine == dog and yours != mine and age > 8 and old"
    said = run(text, by_file=True)
    assert said.out.startswith("mine = dog\nyours = cat\nage = 9\nold = true\nsolved (")
    told = json.loads(run(text, "--json").out)
    assert told["status"] == "solved"
    assert told["values"] == {"mine": "dog", "yours": "cat", "age": 9, "old": True}


def test_a_second_solution_and_a_conflict_are_told(run):
    assert "not the only solution: also b = 2" in run("int a, b in 1..3\ncon a > b + 0 #1\ncon a == 3").out
    assert (
        "no solution: young, old contradict each other"
        in run("int a in 1..9\ncon a < 3 #young\ncon a > 1\ncon a > 5 #old").out
    )
    told = json.loads(run("int a in 1..9\ncon a < 3 #young\ncon a > 5 #old", "--json").out)
    assert (told["status"], told["conflict"]) == ("unsatisfiable", ["young", "old"])
    assert json.loads(run("int a, b in 1..3", "--any", "--json").out)["status"] == "solved"


def test_a_greatest_value_is_told(run):
    assert "the least or greatest value, objective 6 (" in run("int a in 1..3\nmaximize 2 * a").out


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("int a in 1..3\ncon a <", (), "line 2, column 8"),
        ("int a in 1..3", ("--backend", "abacus"), "there is no back-end 'abacus'"),
        ("int a in 1..3", ("--seconds", "0"), "both must be above 0"),
        ("int a in 1..3", ("--backend", "highs", "--memory-mb", "0"), "both must be above 0"),
        ('{"variables": [{"name": "a", "type": "int", "low": 1}]}', (), "variables[0].high is None"),
    ],
)
def test_what_cannot_be_solved_is_one_line(run, text, words, message):
    said = run(text, *words, code=2)
    assert message in said.err
    assert said.err.count("\n") == 1


def test_a_missing_file_is_named(run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["trueup", "solve", "nowhere.txt"])
    with pytest.raises(SystemExit):
        main()


def test_time_is_limited(run):
    said = run("int g[40] in 1..40\ncon alldifferent(g)", "--seconds", "0.0001")
    assert "not decided in time; give more --seconds" in said.out
