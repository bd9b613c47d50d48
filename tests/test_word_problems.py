"""Optimisation in words: the layouts that are read, families with exact values, the tolerance, the way to a solver."""

from __future__ import annotations

import json
import time
from itertools import product

import pytest
from toys import finish

from trueup.core.errors import BadInput
from trueup.core.types import Attempt, Message, Problem, Solution, Usage
from trueup.methods.formalise_and_solve import formalise_and_solve
from trueup.solvers.decide import decide
from trueup.tasks.word_families import FAMILIES, Linear, _shares
from trueup.tasks.word_problems import word_problems, worded
from trueup.verifiers.objective import objective

OWN = (
    "A baker has 10 kg of flour. A loaf takes 2 kg and earns 3 euros, a cake takes 3 kg and earns 5. What is the most?"
)


@pytest.mark.parametrize(
    "row", [{"question": OWN, "answer": 16}, {"en_question": OWN, "en_answer": "16"}, {"Question": OWN, "Answer": 16.0}]
)
def test_rows_of_every_layout_ask_the_same(tmp_path, row):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(row) + "\n\n")
    (item,) = word_problems(str(path), stratum="s")
    assert item.problem.prompt[-1].content.startswith(OWN) and "####" in item.problem.prompt[-1].content
    assert item.problem.id == "own.jsonl:1" and float(item.reference) == 16
    assert objective().check("16", item.problem, item.reference).is_right


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "1: not valid JSON"), ("[1]", "1: a row must be an object"), ('{"question": "x"}', "1: no 'answer'"),
        ('{"question": " ", "answer": 1}', "1: the question is"),
        ('{"question": "x", "answer": null}', "1: the answer is"),
        ('{"id": 1, "question": "x", "answer": 1}\n{"id": 1, "question": "y", "answer": 1}', "an id comes twice"),
        ("", "no rows"),
        *[
            (json.dumps({"question": "x", "answer": said}), "bad.jsonl:1: the answer is .*a number and nothing")
            for said in ("abc", "", " ", "1;2", "nan", "1 2", "12 or 13", "1,2", "1/0", "1_000", "9" * 301, "x = 3", [])
        ],
        *[
            (f'{{"question": "x", "answer": {no}}}', f"bad.jsonl:1: {no} is no number")
            for no in ("NaN", "Infinity", "1e999")
        ],
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_named(tmp_path, text, told):
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=told):
        word_problems(str(path), stratum="s")


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("1,200", "1200"), (" -3 ", "-3"), ("125/3", "125/3"), ("$41.50", "83/2"), (1e22, str(10**22)), (0, "0"),
        (".5", "1/2"), ("+1.5e3", "1500"), ("50%", "50%"), (-2.5, "-5/2"), ("12,345,678.25", "49382713/4"),
        ("No Best Solution", "no solution"), ("infeasible.", "no solution"), ("Unbounded", "no solution"),
        ("no solution", "no solution"), ("No feasible solution", "no solution"),
    ],
)  # fmt: skip
def test_what_is_taken_for_an_answer_is_read_by_the_verifier_as_the_same_value(tmp_path, said, value):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"question": OWN, "answer": said}))
    (item,) = word_problems(str(path), stratum="s")
    assert objective().read(item.reference) == value


def test_a_row_whose_id_is_null_is_named_by_its_place(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": null, "question": "x", "answer": 1}\n{"id": null, "question": "y", "answer": 2}\n')
    items = word_problems(str(file), stratum="s")
    assert [item.problem.id for item in items] == ["rows.jsonl:1", "rows.jsonl:2"]


def test_a_name_that_is_neither_file_nor_family_offers_the_families():
    with pytest.raises(BadInput, match="no file 'diets'; give the path of a JSONL file, or a family: production, diet"):
        word_problems("diets", stratum="s")
    with pytest.raises(BadInput, match="word-problems:diet kinds is 9; it takes 2 to 4"):
        word_problems("diet kinds=9", stratum="s")


@pytest.mark.parametrize(
    "argument", [*FAMILIES, "production kinds=3 means=3", "transport kinds=3", "blending tonnes=6"]
)
def test_a_solver_finds_the_value_that_trying_everything_found(argument):
    for one in worded(argument, 4, seed=3):
        reply = decide({"stated": one.program}, 10.0)
        assert reply["status"] == "solved" and reply["text"].endswith(f"#### {one.best}"), one.program
        assert all(word in one.statement for word in ("?", "."))


def test_the_same_seed_gives_the_same_problems_whatever_the_limit():
    few, more = (word_problems("diet", stratum="s", limit=limit, seed=5) for limit in (2, 4))
    assert few == more[:2] and few != word_problems("diet", stratum="s", limit=2, seed=6)


def test_trying_everything_knows_what_is_allowed():
    linear = Linear(("a", "b"), 4, (3, 5), "maximize", [((2, 3), "<=", 10), ((1, 0), ">=", 1)])
    assert linear.best() == 16 and linear.best([(0, 3), (4, 0)]) == 12
    assert Linear(("a",), 4, (1,), "minimize", [((1,), "==", 9)]).best() is None


def test_the_largest_mixture_is_made_at_once_and_as_trying_everything_says():
    began = time.process_time()
    worded("blending kinds=4 means=3 tonnes=20", 10, seed=1)
    assert time.process_time() - began < 5  # with every amount of every ore it would be ten times as much
    assert sorted(_shares(3, 3)) == [one for one in product(range(4), repeat=3) if sum(one) == 3]


def test_a_value_counts_up_to_a_ten_thousandth_of_it():
    problem, check = Problem("p", "s", (Message("user", "?"),)), objective()
    for said, right, counts in (
        ("41.667", "125/3", True), ("41.66", "41.666667", False), ("100009", "100000", True),
        ("100011", "100000", False),
        ("0.00009", "0", True), ("0.00011", "0", False), ("-3", "3", False), ("1,000", "1000", True),
    ):  # fmt: skip
        assert check.check(check.read(said), problem, right).is_right == counts, (said, right)
    assert check.read("It is infeasible.") == check.read("No Best Solution") == "no solution"
    assert check.check("no solution", problem, "No Best Solution").is_right
    assert not check.check("3", problem, "No Best Solution").is_right
    assert check.read("nothing was found") is None
    with pytest.raises(BadInput, match="objective tolerance is 1; it takes 0 or more"):
        objective(tolerance=1)
    with pytest.raises(BadInput, match="the reference 'much' is no value"):
        check.check("3", problem, "much")


def test_no_solution_counts_where_it_is_the_answer_and_not_in_passing():
    read = objective().read
    assert read("The plan is not unbounded, so the answer is #### 12.5") == "25/2"
    assert read("The plan is unbounded.") == read("#### no solution") == read("#### infeasible") == "no solution"


def test_a_program_that_a_model_writes_is_solved_to_its_best_value():
    (item,), (one,) = word_problems("production", stratum="s", limit=1), worded("production", 1, 0)
    said = Attempt(0, f"Think.\n```\n{one.program}\n```", "eos", Usage(5, 8))
    reply = decide({"stated": one.program}, 10.0)
    answer = objective().read(reply["text"])
    asks, found = finish(formalise_and_solve(item.problem), [(said,), Solution(reply["status"], reply["text"], answer)])
    assert len(asks) == 2 and "answer" in asks[1].problem.prompt[-1].content
    assert objective().check(found.value, item.problem, item.reference).is_right
