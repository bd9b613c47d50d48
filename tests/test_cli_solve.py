"""`trueup solve`: what it prints of each status, and what it refuses."""

from __future__ import annotations

import io
import json
import sys

import pytest
from mock_endpoint import MockEndpoint, loopback
from terminal import trueup

from trueup.cli import main

PROGRAM = "enum Pet: cat, dog\nvar mine, yours in Pet\nint age in 1..9\nbool old\n"


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command on a text by standard input, or on a file."""

    def command(text, *words, code=0, by_file=False):
        path = tmp_path / "program.txt"
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(data)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        trueup(monkeypatch, "solve", *([path] if by_file else []), *words, code=code)
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
    large = "int a in 0..999999999\nmaximize a * 4000000001"
    assert ", objective 3999999996999999999 (" in run(large).out


def test_a_best_solution_says_whether_its_answer_is_the_only_one(run):
    text = "int answer, x in 1..3\ncon answer == x\nmaximize x"
    assert "the least or greatest value, objective 3, with no other answer (" in run(text).out
    assert json.loads(run(text, "--json").out)["only_answer"] is True
    assert "not the only best solution: also answer = 2, objective 3 (" in run(text.replace("==", "<=")).out


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("int a in 1..3\ncon a <", (), "line 2, column 8"),
        ("int a in 1..3", ("--backend", "abacus"), "there is no back-end 'abacus'"),
        ("int a in 1..3", ("--seconds", "0"), "both must be above 0"),
        ("int a in 1..3", ("--backend", "highs", "--memory-mb", "0"), "both must be above 0"),
        ("int a in 1..3", ("--seconds", "inf"), "at most 604,800 s"),
        ("int a in 1..3", ("--memory-mb", "99999999999"), "at most 604,800 s and 67,108,864 MB"),
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
    said = run("int g[40] in 1..40\ncon alldifferent(g)", "--seconds", "0.0001", code=1)
    assert "not decided in time; give more --seconds" in said.out


def test_too_little_memory_is_one_line_that_says_which_setting_to_raise(run):
    text = "int g[3000] in 1..3000\ncon alldifferent(g)"
    said = run(text, "--memory-mb", "1", "--json", code=2)
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "give more --memory-mb than 1" in said.err


@pytest.mark.parametrize("by_file", [False, True])
def test_bytes_that_are_no_text_are_told_by_their_place(run, by_file):
    said = run(b"int a\xff in 1..3", code=2, by_file=by_file)
    assert "is not UTF-8 (byte 6); save it as UTF-8" in said.err
    assert said.err.count("\n") == 1
    assert run(b"\xef\xbb\xbfint a in 2..2", by_file=by_file).out.startswith("a = 2\n")


QUESTION = "1. Ann is older than Bob. 2. Ann is 2. Both are 1, 2 or 3. How old is Bob?"
WRITTEN = "I think.\n```\nint ann, answer in 1..3\ncon ann > answer #1\ncon ann == 2 #2\n```"
OPEN = "```\nint ann, answer in 1..3\ncon ann > answer #1\n```"


@pytest.fixture
def writer():
    """An endpoint that writes these texts in turn, the last again and again."""
    texts = [OPEN, WRITTEN]
    endpoint = MockEndpoint(reply=lambda body: texts.pop(0) if len(texts) > 1 else texts[0])
    with loopback(endpoint.app) as url:
        yield endpoint, f"openai:{url}/v1#writer"


def test_a_model_writes_the_program_of_a_question(run, writer):
    endpoint, model = writer
    said = run(QUESTION, "--model", model, by_file=True).out
    assert "con ann > answer #1\n-- not unique" in said
    assert "con ann == 2 #2\n-- solved: ann = 2; answer = 1; #### 1\n" in said
    assert "answer: 1 (1 of 1 votes; of 1 program 1 solved; at first 1 not unique)" in said
    assert "coverage: 1 of 1 programs decided; 4 asks, unknown dollars" in said
    assert endpoint.calls[0].body["messages"][0]["content"].startswith(QUESTION)


def test_what_a_model_wrote_is_told_as_json_and_kept_on_a_ledger(run, writer, tmp_path):
    endpoint, model = writer
    words = (
        "--model",
        model,
        "--set",
        "n=2",
        "--set",
        "repairs=0",
        "--ledger",
        str(tmp_path / "kept.sqlite"),
        "--json",
    )
    told = json.loads(run(QUESTION, *words).out)
    assert (told["answer"], told["coverage"]) == ("1", {"programs": 2, "decided": 1})
    assert [row["status"] for row in told["runs"]] == ["not_unique", "solved"]
    paid = len(endpoint.calls)
    assert json.loads(run(QUESTION, *words).out)["answer"] == "1"
    assert len(endpoint.calls) == paid
    assert told["cost"]["completion_tokens"] == endpoint.truth()[1]


def test_a_question_that_no_program_decides_is_told_by_the_exit_code(run, writer):
    _, model = writer
    said = run(QUESTION, "--model", model, "--set", "repairs=0", code=1).out
    assert "answer: none (of 1 program 1 not unique)\ncoverage: 0 of 1 programs decided" in said


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (" \n", (), "the question is empty"),
        (QUESTION, ("--any",), "--any takes the first solution of a program"),
        (QUESTION, ("--set", "m=2"), "unknown setting of formalise_and_solve 'm'"),
        (QUESTION, ("--set", "solver.n=2"), "--set solver.*: write SETTING=value"),
        (QUESTION, ("--set", "n=0"), "formalise_and_solve n is 0; give at least 1"),
        (QUESTION, ("--model", "abacus"), "unknown model 'abacus'"),
    ],
)
def test_a_question_that_cannot_be_put_is_one_line(run, text, words, message):
    said = run(text, "--model", "toy:0.5", *words, code=2)
    assert message in said.err
    assert said.err.count("\n") == 1


def test_settings_of_a_writer_want_a_writer(run):
    assert "add --model" in run("int a in 1..3", "--set", "n=2", code=2).err
