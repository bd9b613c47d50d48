"""Programs in Logic-LM's layout: read without being run, solved for their options, told apart by how they end.

The programs are of our own writing.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from toys import finish

from trueup.core.csp.program import Node, Ref
from trueup.core.csp.values import value_of
from trueup.core.errors import BadInput
from trueup.core.types import Message, Problem, Solution
from trueup.methods.logic_lm import read_stored
from trueup.methods.run_stored import DECIDED, ENDS, run_stored
from trueup.solvers import program
from trueup.tasks.stored_programs import stored_programs
from trueup.verifiers import exact

SHELF = """Domain:
1: lowest
3: highest
Variables:
jar [IN] [1, 2, 3]
cup [IN] [1, 2, 3]
pan [IN] [1, 2, 3]
Constraints:
jar > cup ::: The jar stands above the cup.
{clue}
AllDifferentConstraint([jar, cup, pan]) ::: Each on a shelf of its own.
Query:
A) jar == 3 ::: The jar is the highest.
B) cup == 3 ::: The cup is the highest.
C) pan == 3 ::: The pan is the highest."""
GOOD = SHELF.format(clue="pan < cup ::: The pan stands below the cup.")
DECIDED_ANSWER = "A"
ENDINGS = {
    "decided": GOOD,
    "parse": SHELF.format(clue="pan below cup ::: The pan stands below the cup."),
    "unsatisfiable": SHELF.format(clue="cup == 3 ::: The cup is the highest."),
    "not unique": SHELF.format(clue="pan != 1 ::: The pan is not the lowest."),
}


def asked(text: str) -> Problem:
    return Problem("p", "s", (Message("user", text),))


def played(text: str, solve):
    """The answer of a flow whose programs a solver is given."""
    flow, reply = run_stored(asked(text)), None
    while True:
        try:
            reply = solve(flow.send(reply).problem)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def solved():
    """Answers of the real solver, each text in one process."""
    loop, solver = asyncio.new_event_loop(), program(limit_seconds=10.0)
    yield lambda problem: loop.run_until_complete(solver.solve(problem))
    loop.run_until_complete(solver.close())
    loop.close()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_ends_in_one_of_four_ways(solved, ending):
    answer = played(ENDINGS[ending], solved)
    assert answer.note.startswith(ending) and ending in ENDS
    assert answer.value == (DECIDED_ANSWER if ending == DECIDED else None)


def test_a_decided_program_can_be_wrong_and_a_contradiction_names_its_clues(solved):
    turned = GOOD.replace("jar > cup", "jar < cup").replace("pan < cup", "pan > cup")
    assert played(turned, solved).value == "C"
    note = played(ENDINGS["unsatisfiable"], solved).note
    assert "The cup is the highest." in note and "The jar stands above the cup." in note


def test_an_option_counts_where_its_contrary_has_no_solution():
    sat, none = Solution("not_unique"), Solution("unsatisfiable")
    asks, answer = finish(run_stored(asked(GOOD)), [Solution("solved"), sat, none, sat])
    assert answer.value == "B" and answer.note == DECIDED and len(asks) == 4
    assert "not " in asks[2].problem.prompt[-1].content and "cup" in asks[2].problem.prompt[-1].content
    _, several = finish(run_stored(asked(GOOD)), [Solution("solved"), none, none, sat])
    assert several.value is None and several.note == "not unique: A, B of A, B, C follows"
    _, late = finish(run_stored(asked(GOOD)), [Solution("solved"), Solution("timeout")])
    assert late.value is None and late.note == "undecided: option A: timeout"


def test_conditions_mean_what_they_mean_in_python():
    lines = {
        "abs(a - b) == 1": lambda a, b: abs(a - b) == 1,
        "a + 1 == b or not a < b": lambda a, b: a + 1 == b or not a < b,
        "1 <= a < b": lambda a, b: 1 <= a < b,
        "a in [1, 3] and b != -2 * a + 5": lambda a, b: a in (1, 3) and b != 5 - 2 * a,
        "(a == 1) != 0 if False else a == 1": None,
    }  # fmt: skip
    for line, means in lines.items():
        text = f"Variables:\na [IN] [1, 2, 3]\nb [IN] [1, 2, 3]\nConstraints:\n{line} ::: so\nQuery:\nA) a == 1"
        if means is None:
            with pytest.raises(BadInput, match="line 5: IfExp is not taken here"):
                read_stored(text)
            continue
        (one,) = read_stored(text).program.constraints
        for a in (1, 2, 3):
            for b in (1, 2, 3):
                assert value_of(one.expr, {"a": a, "b": b}) == means(a, b), line


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('true')", "open('x') == 1", "a.b == 1", "a == 'x'", "a == 1.5", "lambda: 1", "a == z",
        "[a for a in [1]] == a", "a ** 999999 == 1", "a == 10**99999", "exec('1')", "AllDifferentConstraint(a)", "a <",
        "a == 9999999999",
        "(" * 900 + "a" + ")" * 900 + " == 1", "a == " + "-" * 1900 + "1", "a == " + "1 + " * 900 + "1",
        "",
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_its_line_and_never_run(line):
    text = f"Variables:\na [IN] [1, 2]\nConstraints:\n{line or ':::'}\nQuery:\nA) a == 1"
    with pytest.raises(BadInput, match=r"line 4|too large"):
        read_stored(text)


def test_what_declares_nothing_or_no_option_is_refused():
    with pytest.raises(BadInput, match=r"line 2: 'a in 1\.\.3' declares no variable"):
        read_stored("Variables:\na in 1..3\nConstraints:\na == 1")
    with pytest.raises(BadInput, match="no line below `Variables:`"):
        read_stored("say nothing")
    with pytest.raises(BadInput, match="line 4: 'a == 1' is no option"):
        read_stored("Variables:\na [IN] [1]\nQuery:\na == 1")
    with pytest.raises(BadInput, match="declares a variable twice"):
        read_stored("Variables:\na [IN] [1]\na [IN] [2]")
    with pytest.raises(BadInput, match="two options of one letter"):
        read_stored("Variables:\na [IN] [1, 2]\nQuery:\nA) a == 1\nA) a == 2")
    with pytest.raises(BadInput, match="line 2: 'int' is a word of the solver's language"):
        read_stored("Variables:\nint [IN] [1, 2]\nQuery:\nA) int == 1")


def test_a_reader_keeps_clues_and_options():
    stored = read_stored(GOOD)
    assert stored.program.constraints[0].clue == "The jar stands above the cup."
    assert list(stored.options) == ["A", "B", "C"] and stored.options["C"].args[0] == Ref("pan")
    assert isinstance(stored.with_option("A", holds=False).constraints[-1].expr, Node)


def test_a_file_of_programs_is_a_source(tmp_path):
    entries = [
        {
            "id": f"own_{i}",
            "context": "...",
            "question": "?",
            "answer": "A",
            "options": [],
            "raw_logic_programs": [GOOD],
        }
        for i in range(4)
    ]
    path = tmp_path / "programs.json"
    path.write_text(json.dumps(entries))
    items = stored_programs(str(path), stratum="s", limit=2, seed=1)
    graded = exact(case=True).check(DECIDED_ANSWER, items[0].problem, items[0].reference)
    assert graded.is_right and exact(case=True).read(f"#### {DECIDED_ANSWER}") == DECIDED_ANSWER
    assert len(items) == 2 and items[0].reference == "A" and items[0].problem.prompt[0].content == GOOD
    path.write_text(json.dumps([{"id": "x", "answer": "A", "raw_logic_programs": []}]))
    with pytest.raises(BadInput, match="entry 1: 'raw_logic_programs' is"):
        stored_programs(str(path), stratum="s")
    with pytest.raises(BadInput, match="no file"):
        stored_programs(str(tmp_path / "none.json"), stratum="s")
