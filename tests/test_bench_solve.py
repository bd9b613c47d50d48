"""The rows of `trueup bench solve`: what they count, on few puzzles each."""

from __future__ import annotations

import asyncio
import json
import re
from importlib.util import find_spec
from itertools import permutations

import lr2bench_folder as made
import pytest

from trueup.bench.crosswords import acrostics, crosswords
from trueup.bench.solve_ends import _gym, _made, _puzzles, _row
from trueup.bench.solve_model import _end, solve_with_model
from trueup.bench.solve_numerical import solve_numerical
from trueup.bench.stored_orders import FAULTS, stored_orders
from trueup.core.cost import Cost
from trueup.core.outcome import Outcome
from trueup.core.types import Answer, Grade, Item, Message, Problem

HAS_WORDS = all(find_spec(name) for name in ("wordfreq", "symspellpy"))
SPEED = ("per_second", "median_ms", "p99_ms")


def item(family, level, text, answer):
    problem = Problem(f"{family}/{level}/1", "s", (Message("user", text),))
    return Item(problem, {"family": family, "answer": answer}, "1")


def test_a_crossword_is_filled_as_often_as_there_are_seeds():
    text = f"Here is a crossword puzzle:\n{made.CROSSWORD}"
    rows = crosswords([item("crossword", "3_3", text, made.CROSSWORD_GOLD)], seeds=3)
    assert [row["family"].partition(", ")[2] for row in rows] == ["simulated candidates", "simulated candidates alone"]
    for row in rows:
        assert (row["n"], row["fillings"]) == (1, 3)
        assert row["exact_match_low"] <= row["exact_match"] <= row["exact_match_high"]
        assert all(row[key] > 0 for key in SPEED)


@pytest.mark.skipif(not HAS_WORDS, reason="the extra words is not installed")
def test_an_acrostic_is_scored_cell_by_cell():
    (row,) = acrostics([item("acrostic", "easy", made.ACROSTIC, made.ACROSTIC_GOLD)], seeds=2)
    assert (row["family"], row["n"], row["fillings"]) == ("acrostic easy, simulated candidates", 1, 2)
    assert row["exact_match"] <= row["s_acc"] <= 1


def test_a_stored_program_ends_as_its_fault_says():
    for one in stored_orders(4):
        names = re.findall(r"^(\w+) \[IN\]", one.program, re.MULTILINE)
        clues = re.findall(r"^(\w+) ([<>]) (\w+) :::", one.program, re.MULTILINE)
        rows = [
            row for row in permutations(names)
            if all((row.index(a) < row.index(b)) == (sign == "<") for a, sign, b in clues)
        ]  # fmt: skip
        first = {chr(65 + names.index(row[0])) for row in rows}
        ends = {
            "decided": first == {one.answer},
            "wrong": len(first) == 1 and one.answer not in first,
            "unsatisfiable": not rows,
            "not unique": len(first) > 1,
            "parse": " left of " in one.program,
        }
        assert ends[one.end], one


def test_stored_programs_end_in_the_row_as_they_were_made():
    row = _made(stored_orders(1))
    assert row["n"] == len(FAULTS) and row["end_told"] == 1
    ends = ("parse", "unsatisfiable", "not_unique", "undecided", "exact_match", "wrong_decided")
    assert [row[end] for end in ends] == [0.2, 0.2, 0.2, 0, 0.2, 0.2]
    assert 0 < row["bare_median_ms"] < row["median_ms"]


def test_a_power_flow_is_solved_beside_its_back_end_and_its_reference():
    row = next(solve_numerical(amount=1))
    assert (row["family"], row["n"], row["exact_match"], row["wrong_decided"]) == ("power_flow:3 model=ac", 1, 1, 0)
    assert all(row[key] > 0 for key in (*SPEED, "bare_median_ms", "reference_median_ms"))


def test_puzzles_of_reasoning_gym_are_told_by_their_ends():
    pytest.importorskip("reasoning_gym")
    row = _row("gym:mini_sudoku", asyncio.run(_gym(_puzzles("mini_sudoku", 1))))
    assert (row["n"], row["exact_match"], row["parse"]) == (1, 1, 0)


def test_a_model_that_writes_no_program_decides_nothing():
    text = f"Here is a logic puzzle:\n{json.dumps(made.LOGIC, indent=4)}"
    row = solve_with_model([item("logic", "3_3", text, made.LOGIC_GOLD)] * 2, "toy:0.5", limit=1)
    assert (row["n"], row["exact_match"], row["decided"], row["wrong_decided"], row["parse"]) == (1, 0, 0, 0, 1)


def test_an_end_is_read_out_of_what_the_method_notes():
    def end(note):
        answer = None if note is None else Answer("", None, note)
        return _end(Outcome(item("logic", "3_3", "", []), "a", answer, Grade(0.0), Cost()))

    assert end("of 1 program 1 not unique; at first 1 unreadable") == "not_unique"
    assert end("1 of 1 votes; of 1 program 1 solved") == "decided"
    assert end("of 1 program 1 timeout") == end(None) == "undecided"
