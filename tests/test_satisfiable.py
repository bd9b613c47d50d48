"""The critic by constraints: what it reads of a beginning, and that it rejects just what no solution continues."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from trueup.core.asks import Check, Rate, Sample
from trueup.core.errors import BadInput, UnknownName
from trueup.core.puzzles.families import Sudoku
from trueup.core.puzzles.families.sudoku import begun_rows, said_grid
from trueup.core.types import Attempt, Message, Problem, Usage
from trueup.methods import retract
from trueup.solvers.beginnings import begun_answer
from trueup.solvers.satisfiable import satisfiable
from trueup.tasks.csp.source import csp

PROGRAM = """enum Colour: red, green, blue
var a, b, c in Colour
bool wet
int n, m in 0..9
con alldifferent(a, b, c) #each
con a != red #one
con wet iff b == green #two
con n + m == 9 #three
con n < m or b == red #four"""
"""The last ties three variables, so that there is no network and the solver is asked."""


def asked(text):
    return Problem("p", "s", (Message("user", text),), ratable=True)


def rated(problem, *texts):
    async def go():
        rater = satisfiable()
        try:
            return list(await rater.rate(problem, texts))
        finally:
            await rater.close()

    return asyncio.run(go())


def beginnings(answer):
    lines = answer.split("\n")
    return ["\n".join(lines[:end]) for end in range(len(lines) + 1)]


@pytest.mark.parametrize(
    ("family", "altered"),
    [
        ("colouring regions=8", [("red", "green"), ("green", "blue"), ("blue", "red")]),
        ("sudoku size=6", [("1", "2"), ("3", "4"), ("5", "6")]),
        ("scheduling", [(": 0", ": 1"), (": 2", ": 3")]),
        ("seating", []),
        ("cryptarithm", [("=3", "=4")]),
    ],
)
def test_every_beginning_of_the_one_solution_may_stand_and_no_other_value_may(family, altered):
    """With one solution whatever differs from it is lost, however far off the contradiction is."""
    for item in csp(family, stratum="s", limit=1 if family == "cryptarithm" else 3):
        problem, answer = replace(item.problem, ratable=True), item.reference
        assert set(rated(problem, *beginnings(answer))) == {1.0}
        wrong = [
            begun.rpartition("\n")[0] + "\n" + begun.rpartition("\n")[2].replace(old, new, 1)
            for begun in beginnings(answer)
            for old, new in altered
            if old in begun.rpartition("\n")[2]
        ]
        assert set(rated(problem, *wrong)) <= {0.0}


def test_a_house_and_a_seat_that_the_one_solution_does_not_have_are_lost():
    (zebra,) = csp("zebra", stratum="s", limit=1)
    (seats,) = csp("seating", stratum="s", limit=1)
    first = zebra.reference.split("\n")[0]
    assert rated(replace(zebra.problem, ratable=True), first, first.replace("House 1", "House 2")) == [1.0, 0.0]
    names = seats.reference.removeprefix("Order: ").split(", ")
    turned = f"Order: {', '.join(reversed(names))}"
    begun = f"Order: {names[0]}, {names[1]}"
    twice = f"Order: {names[0]}, {names[0]}"
    assert rated(replace(seats.problem, ratable=True), begun, turned, twice) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("", 1),
        ("Let me think of a and b.", 1),
        ("a = green", 1),
        ("a = red", 0),
        ("a = pink", 0),
        ("a = green\nb = green", 0),
        ("wet = true\nb = red", 0),
        ("wet = true\na = green", 0),
        ("wet = maybe", 0),
        ("b = blue\nn = 5", 0),
        ("b = blue\nn = 4", 1),
        ("b = red\nn = 5", 1),
        ("n = 5\nm = 5", 0),
        ("a = red\na = blue", 1),
        ("n = 10", 0),
        ("x = 7", 1),
    ],
)
def test_lines_of_a_stated_program_are_read_in_its_own_words(text, rating):
    assert rated(asked(f"Solve it.\n\n```\n{PROGRAM}\n```"), text) == [rating]


def test_what_a_search_here_cannot_decide_the_solver_does():
    problem = asked("```\nint x, y, z in 0..40\ncon x * y + z == 37\ncon x + y + z == 14\n```")
    found = [(x, y, z) for x in range(16) for y in range(16) for z in range(16) if x * y + z == 37 and x + y + z == 14]
    fits = {x for x, _, _ in found}
    ratings = rated(problem, *(f"x = {x}" for x in range(16)))
    assert [rating == 1.0 for rating in ratings] == [x in fits for x in range(16)]
    assert 0 < len(fits) < 16


def test_a_long_constraint_on_two_variables_is_left_to_the_solver_at_once():
    started = time.process_time()
    assert rated(asked("int a, b in 0..63\ncon a + b" + " + 1" * 5_000 + " > 0\ncon a < b"), "a = 1") == [1.0]
    assert time.process_time() - started < 5


def test_the_critic_wants_a_statement_that_it_can_read():
    with pytest.raises(BadInput, match="states no puzzle and no program"):
        rated(asked("2 + 2?"), "4")
    with pytest.raises(BadInput, match="fractions"):
        rated(asked("```\nfloat x in 0..1\ncon x > 0.5\n```"), "x = 0.7")
    (item,) = csp("knapsack", stratum="s", limit=1)
    with pytest.raises(UnknownName, match="knapsack"):
        rated(item.problem, "Take: ")


def test_the_reference_of_an_item_is_out_of_its_sight():
    """It is given a problem, which holds none, and reads nothing of it but what the user said last."""
    (item,) = csp("colouring", stratum="s", limit=1)
    other = Problem("other", "elsewhere", (Message("system", "red"), *item.problem.prompt), ratable=True)
    texts = beginnings(item.reference)
    assert rated(other, *texts) == rated(item.problem, *texts)


def test_rows_of_a_grid_are_read_alike_whole_and_begun():
    whole = "| 1 | 2 | 3 | 4 |\n| 3 | 4 | 1 | 2 |\n2143\n4 3 2 1"
    assert begun_rows(whole, 4) == [tuple(map(int, row.split())) for row in (said_grid(whole) or "").split("\n")]
    assert begun_rows("12\nwell\n34\n1", 4) == [(3, 4), (1,)]
    puzzle = Sudoku(((0,) * 4,) * 4)
    assert begun_answer(puzzle, "12") == {"grid[1,1]": 1, "grid[1,2]": 2}
    assert None in begun_answer(puzzle, "12345").values()
    assert None in begun_answer(puzzle, "12\n34").values()


def test_retraction_by_it_never_goes_a_step_too_far():
    """Each region's colours are offered in turn: no beginning that is lost is ever gone on with, so nothing that stood
    is taken back, and a map of wrong turns takes at most three draws a region."""
    (item,) = csp("colouring regions=9 borders=16 blanks=7 backtracks=3..9", stratum="s", limit=1)
    problem = replace(item.problem, ratable=True)
    rater, flow = satisfiable(), retract(problem, n=64, patience=4)

    async def drive():
        asks, ask, drawn = 0, next(flow), {}
        while True:
            if isinstance(ask, Rate):
                reply = await rater.rate(problem, ask.texts)
            elif isinstance(ask, Sample):
                asks += 1
                stands = ask.prompt[-1].content if ask.prompt[-1].role == "assistant" else ""
                lines = [line for line in stands.split("\n") if line]
                drawn[stands] = drawn.get(stands, -1) + 1
                said = f"R{len(lines) + 1}: {('red', 'green', 'blue')[drawn[stands] % 3]}"
                finish = "eos" if len(lines) == 8 else "stop:\n"
                text = "\n".join([*lines, said])
                reply = (Attempt(ask.start, said, finish, Usage(1, 4), text),)
            else:
                assert not isinstance(ask, Check)
            try:
                ask = flow.send(reply)
            except StopIteration as end:
                return asks, end.value

    async def whole():
        try:
            return await drive()
        finally:
            await rater.close()

    asks, answer = asyncio.run(whole())
    assert answer.text == item.reference
    assert asks <= 27
