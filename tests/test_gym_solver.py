"""reasoning-gym's constraint puzzles through the solver route: its own scorer, and what is read of a question.

The questions below are of our own making, in its layouts; where reasoning-gym is installed its own are solved too.
"""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise

import pytest

from trueup.core.types import Message, Problem
from trueup.solvers.gym import READERS, gym
from trueup.solvers.gym_grids import futoshiki
from trueup.solvers.gym_knights import knights
from trueup.solvers.gym_words import zebra

DATASETS = (
    "mini_sudoku", "sudoku", "n_queens", "futoshiki", "kakurasu", "survo", "graph_color", "zebra_puzzles",
    "cryptarithm", "knights_knaves",
)  # fmt: skip
QUEENS = """Given the below board of size 4 x 4 your job is to place 3 queen(s) on the board such that no two attack.
_ Q _ _
_ _ _ _
_ _ _ _
_ _ _ _
"""
HOUSES = """This is a logic puzzle. There are 3 houses (numbered 1 on the left, 3 on the right).
 - Each person has a unique name: alice, bob, carol
 - Each mother is accompanied by their child: bella, alice, fred
 - Each person has a favorite drink: tea, boba tea, milk

1. {clue}
2. The person's child is named Alice is the boba tea drinker.
3. The tea drinker is in the third house.
4. Bob is directly left of the person who is the mother of Fred.
5. Alice is not in the third house.

What is Name of the person who lives in House 1?? Provide only the name of the person as your final answer."""
KNIGHTS = """Sages always tell the truth, and fools always lie. You meet 3 inhabitants: Ann, Bob, and Cy. \
Ann said that if Bob is a sage then (Ann is a fool or Cy is a fool). \
As Bob put it, "it is not the case that (Ann is a sage and Cy is a sage)". \
"Ann is a fool and Bob is a sage" - Cy. So who is a sage and who is a fool? (Format your answer like: ...)"""
CASES = {
    KNIGHTS: "Ann is a sage, Bob is a sage, and Cy is a fool.",
    QUEENS: "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q _",
    "In 4x4 Mini Sudoku:\nSolve this 4x4 Mini Sudoku puzzle:\n1 _ _ _\n_ _ _ _\n4 _ _ 2\n_ 1 4 _\nFormat":
        "1 2 3 4\n3 4 2 1\n4 3 1 2\n2 1 4 3",
    "Solve the following 2x2 Futoshiki puzzle:\n\n_ < _\n     \n_   _\n\nEnsure your answer": "1 < 2\n     \n2   1",
    "Solve the following 2x2 Futoshiki puzzle:\n\n_   _\n\u2228    \n_   _\n\nEnsure": "2   1\n\u2228    \n1   2",
    "A 2 x 2 Kukurasu puzzle. Row sums: [2, 1]. Column sums: [2, 1].\n1. Rules": "0 1\n1 0",
    "In this 3*3 Survo matrix puzzle:\n0 2 6\n3 0 4\n7 3 10\nthe 0 cells take the set [1, 4]. The last element in each "
    "row and column is the sum of all other elements in that row or column.": "4 2 6\n3 1 4\n7 3 10",
    "Vertices: [0, 1]\nEdges: [(0, 1)]\nPossible colors: [1, 2]\n": None,
    "Solve this cryptarithm:\n\n  AB\n+ AB\n----\n  BC\n\nNo leading letter can be zero.\n": None,
    HOUSES.format(clue="The person who likes milk is Bob."): "alice",
}  # fmt: skip


def solved(*questions):
    """What the solver says of each, in one process."""

    async def run():
        solver = gym()
        try:
            return [await solver.solve(Problem("p", "s", (Message("user", text),))) for text in questions]
        finally:
            await solver.close()

    return asyncio.run(run())


def test_puzzles_of_every_layout_are_solved_in_the_form_that_is_asked_for():
    for (question, wanted), found in zip(CASES.items(), solved(*CASES), strict=True):
        assert found.status == "solved" and (wanted is None or found.text == wanted), (question, found)


def test_a_number_of_thousands_of_digits_leaves_the_puzzle_unread():
    (found,) = solved(HOUSES.format(clue="The person who likes milk is Bob.").replace("are 3", f"are {'3' * 5000}"))
    assert found.status == "unreadable"


def test_any_colouring_or_key_that_fits_is_an_answer():
    colours, key = solved(*[question for question, wanted in CASES.items() if wanted is None])
    assert colours.text in ('{"0": 1, "1": 2}', '{"0": 2, "1": 1}')
    values = dict(pair.split("=") for pair in key.text.split(","))
    number = lambda word: int("".join(values[letter] for letter in word))  # noqa: E731
    assert 2 * number("AB") == number("BC") and len(set(values.values())) == 3 and values["A"] != "0" != values["B"]


def test_a_contradiction_is_told_and_an_unread_clue_leaves_the_puzzle_unread():
    torn, unread, nothing = solved(
        HOUSES.format(clue="The tea drinker is in the first house."), HOUSES.format(clue="Bob hums."), "What is 2 + 2?"
    )
    assert torn.status == "unsatisfiable" and {"1", "3"} <= set(torn.conflict)
    assert unread.status == nothing.status == "unreadable" and unread.reason


def futoshiki_board(square, shown, right, below):
    """As reasoning-gym prints it: some cells, and the signs to the right of and below some."""
    size, lines = len(square), []
    for r, row in enumerate(square):
        cells = [str(value) if (r, c) in shown else "_" for c, value in enumerate(row)]
        gaps = ["<>"[a > b] if (r, c) in right else " " for c, (a, b) in enumerate(pairwise(row))]
        lines.append(" ".join(part for pair in zip(cells, [*gaps, ""], strict=True) for part in pair).rstrip())
        if r < size - 1:
            lines.append(
                "   ".join("\u2227\u2228"[a > square[r + 1][c]] if (r, c) in below else " " for c, a in enumerate(row))
            )
    return "\n".join(lines)


@pytest.mark.parametrize("size", [6, 10, 12])
@pytest.mark.parametrize("side", ["right", "below"])
def test_a_futoshiki_of_numbers_with_two_digits_is_read_by_number(size, side):
    # Of a cyclic square four cells are left out that two numbers can fill both ways round: one sign decides.
    half, square = size // 2, [[(r + c) % size + 1 for c in range(size)] for r in range(size)]
    cells = {(r, c) for r in range(size) for c in range(size)}
    shown, sign = cells - {(r, c) for r in (0, half) for c in (0, half)}, {side: {(half, half)}}
    none = {"right": set(), "below": set()}
    board, told = (futoshiki_board(square, shown, **none | signs) for signs in (none, sign))
    asked = "Solve the following {0}x{0} Futoshiki puzzle:\n\n{1}\n\nEnsure your answer"
    open_, closed = solved(asked.format(size, board), asked.format(size, told))
    assert open_.status == "not_unique"
    assert (closed.status, closed.text) == ("solved", futoshiki_board(square, cells, **none | sign))


def test_a_futoshiki_whose_signs_or_cells_stand_elsewhere_is_unread():
    board = "10 < _\n     \n_   _"
    question = "Solve the following 2x2 Futoshiki puzzle:\n\n{}\n\nEnsure"
    assert futoshiki(question.format(board)) is not None
    torn = (
        board.replace("     ", "  \u2228  "), board.replace("     ", "v    "), board.replace("10 < _", "10 <  _"),
        board.replace("10 < _", "a < _"), board.replace("10 < _", "123 < _"), board.replace("10 < _", "1 < _   _"),
        board.replace("\n     ", ""), board.replace("     ", "        \u2227"),
    )  # fmt: skip
    assert [futoshiki(question.format(one)) for one in torn] == [None] * len(torn)


def test_half_an_edge_or_a_house_that_is_not_there_leaves_the_puzzle_unread():
    graph = "Vertices: [0, 1]\nEdges: [(0, 1), (1]\nPossible colors: [1, 2]"
    assert all(read(graph) is None for read in READERS)
    question = HOUSES.format(clue="Alice is in the first house.")
    assert zebra(question) is not None and zebra(re.sub(r"House \d+\?", "House 9?", question)) is None


def test_a_name_that_a_child_has_too_is_told_apart():
    posed = zebra(HOUSES.format(clue="Alice and the person's child is named Alice are next to each other."))
    assert posed is not None and "con adjacent(c0_0, c1_1) #1" in posed.program
    assert "con c1_1 == c2_1 #2" in posed.program and "con c2_0 == 3 #3" in posed.program


@pytest.mark.parametrize(
    "text", ["", "Edges: [(", "x" * 20_000, "Solve this cryptarithm:\n\n" + "A" * 500, "7x7 Futoshiki"]
)
def test_no_text_makes_a_reader_fail(text):
    assert all(read(text) is None for read in READERS)


def test_what_somebody_says_is_read_whole_or_the_puzzle_is_left():
    assert knights(KNIGHTS) is not None
    changed = (
        ("Sages always", "Fools always"),
        ("Cy is a sage)", "Di is a sage)"),
        ("put it", "sings"),
        ("if Bob", "Bob"),
    )
    for old, new in changed:
        assert knights(KNIGHTS.replace(old, new, 1)) is None


def test_fifty_islands_of_reasoning_gym_are_solved_as_it_says():
    reasoning_gym = pytest.importorskip("reasoning_gym")
    data = reasoning_gym.create_dataset("knights_knaves", seed=3, size=50, n_people=4, depth_constraint=3)
    assert [one.text for one in solved(*[entry["question"] for entry in data])] == [entry["answer"] for entry in data]


@pytest.mark.parametrize("name", DATASETS)
def test_reasoning_gym_gives_full_marks(name):
    reasoning_gym = pytest.importorskip("reasoning_gym")
    data = reasoning_gym.create_dataset(name, seed=7, size=8)
    found = solved(*[entry["question"] for entry in data])
    decided = [(one, entry) for one, entry in zip(found, data, strict=True) if one.status == "solved"]
    assert all(data.score_answer(one.text, entry) == 1.0 for one, entry in decided)
    assert len(decided) >= 7, [one.status for one in found]
