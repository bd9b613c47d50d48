"""Programs that a model writes: every turn of the conversation, the vote, and gold programs all the way through."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from hashlib import blake2b
from itertools import product

import pytest
from test_csp_write import allows  # noqa: F401 (a fixture)
from test_diagnose import WRONG, verdict
from toys import PRICES, finish, problem, singly

from trueup import arms
from trueup.core.asks import Sample, Solve
from trueup.core.csp import read_program
from trueup.core.csp.grammar import condition_grammar, grammar
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger
from trueup.core.outcome import Outcome
from trueup.core.puzzles.families import stated as stated_puzzle
from trueup.core.roles import ModelCard, Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Item, Message, Sampling, Solution, Usage
from trueup.methods.formal import PLAINLY, SAY, example, task
from trueup.methods.formalise_and_solve import formalise_and_solve
from trueup.methods.program_text import clues_of, labelled, mended, names_in, scope_of, stated
from trueup.run import Clerk, Job, run_jobs
from trueup.solvers import program, sudoku
from trueup.solvers.decide import decide
from trueup.tasks import csp, gym
from trueup.verifiers import constraint, exact, number
from trueup.verifiers import gym as gym_verifier

READ = exact().read
GOOD = "int a, answer in 1..3\ncon a == 2 #1\ncon answer == a + 1"


def said(*texts, finish="eos"):
    """Attempts with these texts."""
    return tuple(Attempt(i, text, finish, Usage(5, 8), READ(text)) for i, text in enumerate(texts))


def solved(answer):
    return Solution("solved", f"answer = {answer}\n#### {answer}", answer)


def played(flow, *texts):
    """The asks of a flow whose samples are these texts in turn and whose programs are solved, and its answer."""
    asks, waiting, reply, flow = [], list(texts), None, singly(flow)
    while True:
        try:
            asks.append(flow.send(reply))
        except StopIteration as end:
            assert not waiting, f"the flow did not want {waiting}"
            return asks, end.value
        if isinstance(asks[-1], Solve):
            found = decide({"stated": asks[-1].problem.prompt[0].content}, 5.0)
            text = found["text"] if found["status"] == "solved" else ""
            answer = READ(text) if text else None
            reply = Solution(
                found["status"], text, answer, 0.0, tuple(found.get("conflict", ())), found.get("reason", "")
            )
        else:
            got = [waiting.pop(0) for _ in range(asks[-1].n)]
            reply = tuple(
                Attempt(asks[-1].start + i, text, "eos", Usage(5, 8), READ(text)) for i, text in enumerate(got)
            )


def block(text):
    return f"So:\n```\n{text}\n```\nThat is all."


def asked(ask):
    """The last message of an ask."""
    return ask.prompt[-1].content


# what the writer is told


def test_the_example_that_the_writer_sees_has_one_solution_either_way():
    for by_clue in (False, True):
        found = decide({"stated": example(by_clue=by_clue)}, 5.0)
        assert (found["status"], READ(found["text"])) == ("solved", "cy")


def test_the_grammar_allows_the_example(allows):  # noqa: F811
    assert allows(grammar(), example())


def test_the_writer_is_told_every_operation_of_the_language_and_stays_within_a_small_context():
    words = task(PLAINLY)
    assert all(op in words for op in ("alldifferent(x, y, ...)", "adjacent(x, y)", "iff", "element(i, a, b, ...)"))
    assert len(words) < 2400


# one program


def test_a_program_is_asked_for_behind_the_question_and_solved():
    asks, answer = played(formalise_and_solve(problem("q?")), block(GOOD))
    first, second = asks
    assert first.prompt[0].content.startswith("q?\n\nDo not solve this.")
    assert (first.n, first.sampling) == (1, Sampling(max_tokens=512))
    assert second.problem.prompt == (Message("user", f"{GOOD} #L1"),)
    assert (answer.value, answer.text) == ("3", "a = 2\nanswer = 3\n#### 3")
    assert answer.note == "1 of 1 votes; of 1 program 1 solved"


def test_the_stratums_own_shots_stay_and_its_begun_answer_stop_and_schema_go():
    chat = (Message("user", "a?"), Message("assistant", "1"), Message("user", "b?"), Message("assistant", "It is"))
    begun = replace(problem(), prompt=chat, sampling=Sampling(stop=("\n",), schema="{}"))
    (ask, _), _ = played(formalise_and_solve(begun), block(GOOD))
    assert [message.role for message in ask.prompt] == ["user", "assistant", "user"]
    assert ask.sampling == Sampling(max_tokens=512)


def test_reasoning_is_free_and_the_program_behind_it_is_held_to_the_grammar():
    asks, answer = played(formalise_and_solve(problem("q?"), n=2, constrain=True), "One.", "Two.", GOOD, GOOD)
    thoughts, *programs = asks[:3]
    assert (thoughts.n, thoughts.sampling) == (2, Sampling(max_tokens=512, stop=("Program:", "```")))
    assert [ask.start for ask in programs] == [0, 1]
    assert [ask.sampling.grammar for ask in programs] == [grammar()] * 2
    assert asked(programs[1]) == "Two.\n\nProgram:\n"
    assert answer.note == "2 of 2 votes; of 2 programs 2 solved"


def test_without_reasoning_the_grammar_holds_from_the_first_token():
    asks, answer = played(formalise_and_solve(problem("q?"), constrain=True, reason=False), GOOD)
    assert (asks[0].sampling.grammar, answer.value) == (grammar(), "3")


@pytest.mark.parametrize(
    "text",
    [GOOD, block(GOOD), f"```\n{GOOD}", f"Program:\n{GOOD}", f"<think>```\nint\n```</think>```text\n{GOOD}\n```"],
)
def test_a_program_is_found_wherever_it_stands(text):
    assert stated(text) == GOOD


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (f"```\nint z in 1..9\n```\n```\n{GOOD}", GOOD),
        (f"```\n{GOOD}\n```\n```\n", GOOD),
        (f"```\n{GOOD}", GOOD),
        (GOOD, GOOD),
    ],
)
def test_writer_and_solver_read_the_same_program_out_of_a_cut_text(text, program):
    assert stated(text) == program
    assert read_program(text) == read_program(program)


# repair


def test_a_program_that_cannot_be_read_is_written_again_knowing_where():
    asks, answer = played(formalise_and_solve(problem("q?")), block("int a in 1..3\ncon a === 2"), block(GOOD))
    again = asks[2]
    assert again.prompt[1].content == "```\nint a in 1..3\ncon a === 2 #L1\n```"
    assert "cannot be read: line 2, column 9: " in asked(again)
    assert "The line is: con a === 2 #L1\n" in asked(again)
    assert (again.start, answer.value) == (1, "3")
    assert answer.note == "1 of 1 votes; of 1 program 1 solved; at first 1 unreadable"


def test_of_a_contradiction_only_the_clues_in_it_are_shown_and_mended():
    told = problem("1. Ann is before Bob.\n2. Bob is before Ann's cat.\n3. Cy is last.\nWho is first?")
    draft = "int a, b, c, answer in 1..3\ncon a < b #1\ncon c == 3 #3\ncon b < a #2\ncon answer == a"
    asks, answer = played(formalise_and_solve(told), block(draft), block("con b == 2 #2\ncon c == 1 #3"))
    wish = asked(asks[2])
    assert "con a < b #1\ncon b < a #2\n1. Ann is before Bob.\n2. Bob is before Ann's cat.\n" in wish
    assert "#3" not in wish and "Cy" not in wish
    assert "con b == 2 #2" in asks[3].problem.prompt[0].content
    assert "con c == 3 #3" in asks[3].problem.prompt[0].content
    assert (answer.value, answer.note) == ("1", "1 of 1 votes; of 1 program 1 solved; at first 1 unsatisfiable")


def test_where_a_grammar_holds_lines_are_mended_in_declared_names_alone():
    draft = "int a in 1..3\ncon a == 1 #1\ncon a == 2 #2"
    flow = formalise_and_solve(problem(), constrain=True, reason=False, say=False)
    asks, answer = played(flow, draft, "con a != 2 #2\ncon a > 0 #1", "con a == 3 #3")
    assert [ask.sampling.grammar for ask in asks[::2]] == [grammar(), grammar(("a",)), grammar(("a",))]
    assert (answer.value, answer.note) == ("a = 3", "1 of 1 votes; of 1 program 1 solved; at first 1 unsatisfiable")


def test_a_program_begins_with_a_declaration_where_a_grammar_holds(allows):  # noqa: F811
    assert allows(grammar(), "bool p\ncon p") and not allows(grammar(), "con p") and allows(grammar(("p",)), "con p")


def test_a_contradiction_that_no_clue_can_be_blamed_for_is_written_anew():
    replies = [said(block(GOOD)), Solution("unsatisfiable"), said(block(GOOD)), solved("3")]
    asks, answer = finish(formalise_and_solve(problem()), replies)
    assert asked(asks[2]).startswith("That program has no solution.")
    assert answer.value == "3"


def test_where_several_solutions_are_left_the_clues_that_no_line_names_are_asked_for():
    told = problem("1. Ann is before Bob.\n2. Bob is last.\nWhere is Ann?")
    draft = "int a, b, answer in 1..3\ncon a < b #clue 1\ncon answer == a"
    asks, answer = played(formalise_and_solve(told), block(draft), block("con b == 2 #2"))
    assert "No line is for:\n2. Bob is last.\n" in asked(asks[2])
    assert "Ann is before Bob" not in asked(asks[2])
    assert (answer.value, answer.note) == ("1", "1 of 1 votes; of 1 program 1 solved; at first 1 not unique")


def test_it_abstains_where_the_repairs_are_spent_and_says_why():
    asks, answer = played(formalise_and_solve(problem(), repairs=1), block("int a in 1..3"), "I cannot.")
    assert [type(ask) for ask in asks] == [Sample, Solve, Sample, Solve]
    assert (answer.text, answer.value) == ("", None)
    assert answer.note == "of 1 program 1 not unique; at first 1 not unique"


def test_what_takes_too_long_is_not_mended():
    asks, answer = finish(formalise_and_solve(problem()), [said(block(GOOD)), Solution("timeout")])
    assert (len(asks), answer.value, answer.note) == (2, None, "of 1 program 1 timeout")


def test_a_program_that_was_cut_is_never_decided_as_it_stands():
    cut = said("```\nint answer in 1..3\ncon answer == 1", finish="length")
    asks, answer = finish(formalise_and_solve(problem(), tokens=9), [cut, said(block(GOOD)), solved("3")])
    assert [type(ask) for ask in asks] == [Sample, Sample, Solve]
    assert "it is cut at 9 tokens" in asked(asks[1])
    assert answer.value == "3"
    rambling = said(f"{block(GOOD)} And so", finish="length")
    assert len(finish(formalise_and_solve(problem()), [rambling, solved("3")])[0]) == 2


@pytest.mark.parametrize("clues", [False, True])
def test_a_reply_of_millions_of_characters_is_cut_and_refused_at_once(clues):
    started = time.process_time()
    flow = formalise_and_solve(problem(), repairs=1, reason=False, clues=clues, patience=1)
    asks, answer = played(flow, block("int a in 1..3\ncon a > " + "1+" * 2_000_000 + "1"), block(GOOD))
    assert answer.value == "3"
    assert "it is cut at 100,000 characters" in asked(asks[1])
    assert len(asked(asks[1])) < 120_000
    assert time.process_time() - started < 5


def test_names_are_found_without_building_what_a_small_reply_blows_up():
    started = time.process_time()
    many = "int g[9999] in 0..1\nint a in 1..2\n"
    scope = scope_of(many + f"con {'+'.join(['g[a]'] * 400)} > 0\n" + "minimize nowhere\n" * 3_000)
    assert names_in(scope) == ("a", "g")
    assert time.process_time() - started < 5


def test_numbers_never_repeat_over_programs_and_repairs():
    bad = [block("int")] * 6
    asks, answer = played(formalise_and_solve(problem(), n=2), *bad)
    assert [(ask.n, ask.start) for ask in asks if isinstance(ask, Sample)] == [(2, 0), (1, 2), (1, 3), (1, 4), (1, 5)]
    assert answer.note == "of 2 programs 2 unreadable; at first 2 unreadable"


HOSTILE = [
    "__import__('os').system('touch OWNED')",
    "int a in 1..__import__('os').getpid()",
    '(set-option :regular-output-channel "OWNED")',
    'include "/etc/hostname";',
    "#script(python) import os #end.",
    "int a[99999,99999] in 1..9",
    "int a in 1..3\ncon " + "(" * 5000,
    '{"variables": [{"name": "__class__", "type": "eval"}]}',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_unreadable_and_nothing_else(text, tmp_path):
    owned = tmp_path / "owned"
    _, answer = played(formalise_and_solve(problem(), repairs=0), block(text.replace("OWNED", str(owned))))
    assert (answer.value, answer.note, owned.exists()) == (None, "of 1 program 1 unreadable", False)


# the vote


def test_programs_vote_by_their_solutions_and_what_was_not_decided_has_no_vote():
    programs = said(block("int"), *[block(f"int answer in {k}..{k}") for k in (1, 2, 2)])
    replies = [programs, Solution("unreadable"), solved("1"), solved("2"), solved("2")]
    _, answer = finish(formalise_and_solve(problem(), n=4, repairs=0), replies)
    assert (answer.value, answer.text) == ("2", "answer = 2\n#### 2")
    assert answer.note == "2 of 3 votes; of 4 programs 3 solved, 1 unreadable"


class Writer:
    """Implements Model: with probability p the right program, else one of two that are decided and wrong."""

    def __init__(self, p):
        self.p = p
        self.card = ModelCard("writer", f"writer:{p}", "cpu", parameters=1000, layers=1, width=8)

    async def sample(self, prompt, n, start, sampling):
        return Sampled(tuple(self._attempt(prompt, index, index == start) for index in range(start, start + n)))

    async def close(self):
        pass

    def _attempt(self, prompt, index, leads):
        draw = int.from_bytes(blake2b(f"{index}{prompt}".encode(), digest_size=8).digest()) / 2**64
        value = 1 if draw < self.p else 2 if draw < (1 + self.p) / 2 else 3
        return Attempt(index, block(f"int answer in 1..3\ncon answer == {value}"), "eos", Usage(8, 8, 0, leads=leads))


@pytest.fixture(scope="module")
def solver():
    """One solver for all, since its process takes a while to start."""
    made = program()
    yield made
    asyncio.run(made.close())


def ran(tmp_path, model, stratum, items, words="formalise_and_solve"):
    """Outcomes of an arm on items, by the real solver."""
    arm = arms.make_arm(words)

    async def story():
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            jobs = (Job(stratum, one, arm) for one in items)
            clerk = Clerk(model, ledger, PRICES)
            return [outcome async for outcome in run_jobs(jobs, clerk, lanes=256) if isinstance(outcome, Outcome)]

    outcomes = asyncio.run(story())
    assert all(outcome.failure is None for outcome in outcomes), outcomes[0].failure
    return outcomes


def test_the_vote_over_programs_is_as_accurate_as_its_closed_form(tmp_path, solver):
    p, q, items = 0.7, 0.15, 400
    wanted = p**3 + 3 * p**2 * 2 * q + 6 * p * q**2 / 3  # all three, two of them, a third of what is drawn by lot
    stratum = Stratum("s", (), number(), solver=solver)
    asked_items = [Item(problem(f"problem {i}"), "1", str(i)) for i in range(items)]
    outcomes = ran(tmp_path, Writer(p), stratum, asked_items, "formalise_and_solve n=3")
    accuracy = sum(outcome.grade.is_right for outcome in outcomes) / items
    assert accuracy == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / items) ** 0.5)


# clue by clue

TOLD = problem("Ann and Bob sit on chairs 1 to 3.\n1. Ann sits before Bob.\n2. Bob is not on chair 3.\nWho is on 1?")
BEGUN = "int a, b in 1..3\nenum Who: Ann, Bob\nvar answer in Who\ncon answer == Ann iff a == 1\ncon a != b"


def test_clue_by_clue_each_line_stands_behind_its_clue_and_a_rejected_one_is_drawn_again():
    flow = formalise_and_solve(TOLD, clues=True)
    asks, answer = played(flow, f"{BEGUN}\n", " a < c #7", " a < b #9\nint x", " b != 3\n")
    begun, *lines = asks[:4]
    assert (asked(begun), begun.sampling.stop, begun.sampling.grammar) == ("```\n", ("\n#", "```"), None)
    assert asked(lines[0]) == asked(lines[1]) == f"```\n{BEGUN}\n# 1. Ann sits before Bob.\ncon"
    assert [ask.start for ask in lines] == [0, 1, 0]
    assert [(ask.sampling.stop, ask.sampling.max_tokens) for ask in lines] == [(("\n",), 96)] * 3
    assert asked(lines[2]).endswith("con a < b #1\n# 2. Bob is not on chair 3.\ncon")
    assert asks[4].problem.prompt[0].content.endswith("con b != 3 #2")
    assert (answer.value, answer.note) == ("ann", "1 of 1 votes; of 1 program 1 solved")


def test_clue_by_clue_the_grammar_lets_only_declared_names_through(allows):  # noqa: F811
    flow = formalise_and_solve(TOLD, clues=True, constrain=True)
    asks, _ = played(flow, BEGUN, " a < b", " b != 3")
    assert asks[0].sampling.grammar == grammar()
    rules = asks[1].sampling.grammar
    assert rules == condition_grammar(("a", "b", "answer", "Ann", "Bob"), {"Who": ("Ann", "Bob")})
    assert allows(rules, " a + 1 == b or answer == Ann")
    assert not allows(rules, " a < c") and not allows(rules, " a < b #1") and not allows(rules, " a < b\ncon a < b")


def test_a_clue_that_no_line_can_be_had_for_is_left_out_and_asked_for_where_it_is_missed():
    started = (BEGUN, " a < b", " b no 3", "")
    asks, answer = played(formalise_and_solve(TOLD, clues=True, patience=2), *started, block("con b < 3 #2"))
    assert "2. Bob" not in asks[4].problem.prompt[0].content
    assert "No line is for:\n2. Bob is not on chair 3.\n" in asked(asks[5])
    assert (answer.value, answer.note) == ("ann", "1 of 1 votes; of 1 program 1 solved; at first 1 not unique")


def test_a_clue_that_is_left_out_to_the_end_is_told():
    started = (BEGUN, " a < b", " b no 3", "")
    _, answer = played(formalise_and_solve(TOLD, clues=True, patience=2, repairs=0), *started)
    assert (answer.value, answer.note) == (None, "of 1 program 1 not unique; no line for clue 2")


def test_declarations_that_cannot_be_read_come_to_the_ordinary_repair():
    flow = formalise_and_solve(TOLD, clues=True, patience=2, repairs=1)
    asks, answer = played(flow, "int", "int a", block(GOOD))
    assert [ask.start for ask in asks if isinstance(ask, Sample)] == [0, 1, 1]
    assert (answer.value, answer.note) == ("3", "1 of 1 votes; of 1 program 1 solved; at first 1 unreadable")


def test_clues_are_the_numbered_lines_or_the_sentences_before_the_question():
    assert clues_of("Story.\n1. One.\n (2) Two?\n10) Ten.") == {"1": "One.", "2": "Two?", "10": "Ten."}
    assert clues_of("A is red. B is not.\nWhich is blue? A) A B) B") == {"1": "A is red.", "2": "B is not."}
    assert clues_of("Who is it? A is red.") == {"1": "A is red."}
    assert clues_of("Who?") == {}


# the text of a program


def test_unnamed_constraints_get_names_that_no_clue_has():
    assert labelled("int a in 1..3\ncon a > 1\ncon a < 9 #L1\ncon a != 2") == (
        "int a in 1..3\ncon a > 1 #L2\ncon a < 9 #L1\ncon a != 2 #L3"
    )


def test_a_reply_replaces_the_lines_of_its_clues_and_no_others():
    old = 'int a, b in 1..3\ncon a < b #1\ncon a > b #2\ncon b != 1 #2\ncon a == 3 #"x"'
    assert mended(old, "con a == b #2\ncon a == 9 #5", ["1", "2"]) == (
        'int a, b in 1..3\ncon a < b #1\ncon a == b #2\ncon a == 3 #"x"'
    )
    assert mended(old, "con a <= b\ncon a >= b\ncon b != 2", ["1", "2"]).splitlines()[1:4] == [
        "con a <= b #1", "con a >= b #2", "con b != 2 #2",
    ]  # fmt: skip
    assert mended(old, "con a <= b", ["1", "2"]) == old
    assert mended(old, "I would say so.", ["1"]) == old
    assert mended(f"{old}\ncon a != 5 #1", "con a == b #1\ncon a == b #1", ["1"]) == old.replace(
        "con a < b #1", "con a == b #1"
    )
    assert mended(old, "int a in 1..2\ncon a == b #1", ["1"]) == old.replace("con a < b #1", "con a == b #1")


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("con b > 1 #clue 2", "con b > 1 #clue 2"),
        ("con b > 1 #2: Bob sits behind", "con b > 1 #2: Bob sits behind"),
        ("con b > 1 #2.", "con b > 1 #2."),
        ("con b > 1 #2.5 kg", "con b < a #2"),
        ("con b > 1", "con b < a #2"),
        ("enum E: x, y\nint c in 1..2\ncon c == b #2", "enum E: x, y\nint c in 1..2\ncon c == b #2"),
        ("int a in 1..2\nint c in 1..2", "con b < a #2"),
    ],
)
def test_a_mended_line_is_known_by_its_clues_number_and_brings_what_it_declares(reply, wanted):
    old = "enum H: r, g\nint a, b in 1..3\ncon a < b #clue 1\n{}\nvar h in H\ncon h == r #3"
    new = mended(old.format("con b < a #2"), reply, ["clue 1", "2"])
    assert new == old.format(wanted)
    read_program(new)


def test_what_is_missing_comes_behind_the_program_and_nothing_of_it_is_dropped():
    old = "int a in 1..3\ncon a > 1 #1"
    further = "Well\nint a in 1..3\nint b in 1..2\ncon a > 1 #1\ncon a == b"
    assert mended(old, "Well\nint a in 1..3\nint b in 1..2\nint a in 1..9", []) == f"{old}\nint b in 1..2"
    assert mended(old, "int b in 1..2\ncon a == b", []) == f"{old}\nint b in 1..2\ncon a == b"
    assert mended(old, further, []) == further


def test_mending_a_long_program_takes_no_longer_a_line():
    names = [str(place) for place in range(4000)]
    old = "\n".join(["int a in 1..3", *(f"con a > 0 #{name}" for name in names)])
    new = "\n".join(f"con a < 4 #{name}" for name in names)
    started = time.perf_counter()
    assert mended(old, new, names) == f"int a in 1..3\n{new}"
    assert time.perf_counter() - started < 20  # a pass over all lines for each of them would take minutes


def test_names_are_variables_arrays_and_labels():
    scope = scope_of("int a, g[2] in 1..3\nenum E: x, y\nvar e in E\nnonsense here\nint a in 1..2")
    assert names_in(scope) == ("a", "e", "g", "x", "y")


# what is asked for


@pytest.mark.parametrize(
    ("text", "status", "shown"),
    [
        ("int answer, a in 1..3\ncon a == 1\ncon answer == 2", "solved", "a = 1\nanswer = 2\n#### 2"),
        ("int a, answer in 1..3\ncon answer == 2", "solved", "answer = 2\n#### 2"),
        ("int a, answer in 1..3\ncon answer == a", "not_unique", None),
        ("int a in 1..3\nbool answer\ncon answer iff a > 0", "solved", "answer = true\n#### true"),
    ],
)
def test_a_program_is_decided_where_its_answer_is(text, status, shown):
    found = decide({"stated": text}, 5.0)
    assert found["status"] == status
    assert shown in (None, found["text"])
    assert status == "solved" or "answer" in found["other"]


def test_every_verifier_of_one_value_reads_the_answer():
    text = decide({"stated": GOOD}, 5.0)["text"]
    assert [verifier.read(text) for verifier in (exact(), number(), gym_verifier())] == ["3", "3", "3"]


def test_a_solution_without_an_answer_is_said_in_the_form_that_is_asked_for():
    asks, answer = played(formalise_and_solve(problem("Where is a?")), block("int a in 2..2"), "On 2.")
    assert asked(asks[2]) == f"Where is a?\n\n{SAY.format(solution='a = 2')}"
    assert (answer.text, answer.value) == ("On 2.", "on 2")
    asks, answer = played(formalise_and_solve(problem(), say=False), block("int a in 2..2"))
    assert (len(asks), answer.value) == (2, "a = 2")


def test_what_is_solved_but_cannot_be_read_is_no_answer():
    replies = [said(block(GOOD)), Solution("solved", "a = 1")]
    _, answer = finish(formalise_and_solve(problem(), say=False), replies)
    assert (answer.value, answer.note) == (None, "of 1 program 1 solved, and no answer could be read in that")


# gold programs


class Gold:
    """Implements Model: writes the puzzle's own program, and says its solution as the puzzle wants it."""

    card = ModelCard("gold", "gold", "cpu", parameters=1000, layers=1, width=8)

    async def sample(self, prompt, n, start, sampling):
        words = prompt[-1].content
        _, puzzle = stated_puzzle(words.partition("\n\nDo not solve")[0].partition("\n\nA solver has")[0])
        text = f"```\n{puzzle.constraints()}\n```"
        if "A solver has found this:" in words:
            text = puzzle.answer({name: int(value) for name, value in re.findall(r"^(\w+) = (\d+)$", words, re.M)})
        return Sampled(
            tuple(Attempt(i, text, "eos", Usage(8, 8, 0, leads=i == start)) for i in range(start, start + n))
        )

    async def close(self):
        pass


@pytest.mark.parametrize("family", ["zebra", "seating", "cryptarithm", "knapsack"])
def test_gold_programs_of_our_families_are_all_answered_rightly(tmp_path, solver, family):
    verifier = constraint(family=family)
    stratum = Stratum("s", (), verifier, verifier, solver)
    outcomes = ran(tmp_path, Gold(), stratum, csp(family, stratum="s", limit=3, seed=1))
    assert [outcome.grade.is_right for outcome in outcomes] == [True] * 3


def knights(entry):
    """The program of a puzzle of knights and knaves, from the statements of its generator."""
    told = entry["metadata"]
    names, terms = [str(name) for name in told["names"]], told["knight_knave_terms"]
    kinds = {truth: str(terms["a_knight" if truth else "a_knave"]) for truth in (True, False)}
    lines = [f"bool k{i}" for i in range(len(names))]
    forms = {
        "lying": "not k{0}", "telling-truth": "k{0}", "not": "not ({0})", "and": "({0}) and ({1})",
        "or": "({0}) or ({1})", "->": "({0}) implies ({1})", "<=>": "({0}) iff ({1})",
    }  # fmt: skip

    def written(one):
        return forms[one[0]].format(*(written(part) if isinstance(part, tuple) else part for part in one[1:]))

    lines += [f"con k{i} iff ({written(one)}) #{i + 1}" for i, one in enumerate(told["statements"])]
    answers = {
        truths: ", and ".join(f"{name} is {kinds[truth]}" for name, truth in zip(names, truths, strict=True)) + "."
        for truths in product((True, False), repeat=len(names))
    }
    lines += [
        f"enum Said: {', '.join(f'{chr(34)}{words}{chr(34)}' for words in answers.values())}",
        "var answer in Said",
    ]
    for truths, words in answers.items():
        each = " and ".join(f"k{i}" if truth else f"not k{i}" for i, truth in enumerate(truths))
        lines.append(f'con answer == "{words}" iff ({each})')
    return "\n".join(lines)


def zebra(entry):
    """The program of the first zebra puzzle of seed 1, written by hand."""
    assert "5. The Butterscotch smoothie drinker and Carol are next to each other." in entry["question"]
    return """int carol, arnold, bob, alice in 1..4
int iris, carnations, lilies, daffodils in 1..4
int of_bella, of_billy, of_alice, of_timothy in 1..4
int butterscotch, desert, dragonfruit, darkness in 1..4
enum Name: Carol, Arnold, Bob, Alice
var answer in Name
con alldifferent(carol, arnold, bob, alice)
con alldifferent(iris, carnations, lilies, daffodils)
con alldifferent(of_bella, of_billy, of_alice, of_timothy)
con alldifferent(butterscotch, desert, dragonfruit, darkness)
con carnations == 1 #1
con daffodils == desert #2
con dragonfruit == of_alice #3
con darkness == lilies #4
con adjacent(butterscotch, carol) #5
con alice == darkness #6
con desert == 2 #7
con adjacent(darkness, arnold) #8
con adjacent(of_bella, alice) #9
con of_timothy == butterscotch #10
con answer == Carol iff carol == 1
con answer == Arnold iff arnold == 1
con answer == Bob iff bob == 1
con answer == Alice iff alice == 1"""


@pytest.mark.parametrize(
    ("dataset", "written", "items"), [("knights_knaves", knights, 12), ("zebra_puzzles", zebra, 1)]
)
def test_gold_programs_of_reasoning_gym_are_all_answered_rightly(tmp_path, solver, dataset, written, items):
    pytest.importorskip("reasoning_gym")
    asked_items = gym(dataset, stratum="s", limit=items, seed=1)
    programs = {one.problem.prompt[-1].content: written(one.reference["entry"]) for one in asked_items}

    class Told(Gold):
        async def sample(self, prompt, n, start, sampling):
            text = block(programs[prompt[-1].content.partition("\n\nDo not solve this.")[0]])
            return Sampled((Attempt(start, text, "eos", Usage(8, 8)),))

    stratum = Stratum("s", (), gym_verifier(), solver=solver)
    outcomes = ran(tmp_path, Told(), stratum, asked_items, "formalise_and_solve repairs=0")
    assert [outcome.grade.is_right for outcome in outcomes] == [True] * items


# where it applies


def test_what_only_a_formalised_program_gets_right_is_a_structural_failure():
    found = verdict([WRONG] * 24, {"formalise_and_solve n=3": "r" * 24})
    assert (found.cause, found.lever) == ("structural", "solver")
    assert "The solver (formalise_and_solve n=3) gets 100" in found.summary


def test_it_takes_a_solver_that_reads_programs_and_stands_for_solve_where_items_are_prose():
    prose, stated_items = (Item(problem("Who?"), "a", "1"),), (Item(problem(GOOD), "3", "1"),)
    usual = {
        name: [arm.method for arm in arms.arms_of(Stratum("s", items, exact(), solver=solver), 8)][-1]
        for name, items, solver in (
            ("prose", prose, program()), ("programs", stated_items, program()), ("sudoku", prose, sudoku()),
        )
    }  # fmt: skip
    assert usual == {"prose": "formalise_and_solve", "programs": "solve", "sudoku": "solve"}
    with pytest.raises(BadInput, match="it has no solver that reads programs"):
        arms.arms_of(Stratum("s", prose, exact(), solver=sudoku()), 8, ["formalise_and_solve"])


@pytest.mark.parametrize(("setting", "value"), [("n", 0), ("repairs", -1), ("tokens", 0), ("patience", 0)])
def test_it_refuses_settings_out_of_range(setting, value):
    with pytest.raises(BadInput, match=f"{setting} is {value}"):
        next(formalise_and_solve(problem(), **{setting: value}))
