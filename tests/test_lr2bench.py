"""LR²Bench: what is read of it, how replies are scored, and what is solved without a model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from itertools import permutations

import lr2bench_folder as made
import pytest

from trueup.bench.solve import solve
from trueup.core.cost import Cost
from trueup.core.csp.values import holds
from trueup.core.errors import BadInput
from trueup.core.outcome import Measured, Outcome
from trueup.core.puzzles.acrostic import read_acrostic
from trueup.core.puzzles.crossword import read_crossword
from trueup.core.puzzles.cryptogram import read_cryptogram
from trueup.core.puzzles.drop import read_drop
from trueup.core.puzzles.logic import LogicPuzzle
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Grade
from trueup.plan import measure
from trueup.solvers import lr2bench as solver_of
from trueup.solvers.logic_clues import Reader
from trueup.solvers.magnitudes import magnitudes
from trueup.tasks import lr2bench
from trueup.verifiers import lr2bench as verifier_of
from trueup.verifiers.lr2bench_score import extract, score

FAMILIES = ("crossword", "acrostic", "logic", "cryptogram", "sudoku", "drop")
HAS_WORDS = all(importlib.util.find_spec(name) for name in ("wordfreq", "symspellpy"))


@pytest.fixture
def folder(tmp_path):
    return made.write_folder(tmp_path)


@pytest.fixture
def items(folder):
    return {item.reference["family"]: item for item in lr2bench(str(folder), stratum="s")}


def answer_of(item):
    gold = item.reference["answer"]
    return gold["answer"] if item.reference["family"] == "sudoku" else gold


def reply(item, answer):
    tag = "Mapping" if item.reference["family"] == "cryptogram" else "Answer"
    return f"I think that <{tag}>[1]</{tag}> was wrong.\n<{tag}>\n{json.dumps(answer)}\n</{tag}>"


def test_nothing_of_a_row_but_the_printed_text_reaches_a_problem(items):
    assert len(items) == 6
    for item in items.values():
        assert made.SECRET not in repr(item.problem)
        assert "<example>" not in repr(item.problem)
        assert json.dumps(answer_of(item)) not in repr(item.problem)


def test_a_part_of_the_folder_and_its_two_shot_prompts_can_be_read(folder):
    (item,) = lr2bench(f"{folder / '4-sudoku'} shots=2", stratum="s")
    assert [message.role for message in item.problem.prompt] == ["user", "assistant", "user"]
    assert item.problem.id == "sudoku/4_4_easy/7"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("{} shots=1", "shots=0 or shots=2"),
        ("{}/nowhere", "no data.jsonl below"),
        ("{}/2-logic extra", "no data.jsonl"),
    ],
)
def test_what_cannot_be_read_is_said(folder, argument, message):
    with pytest.raises(BadInput, match=message):
        lr2bench(argument.format(folder), stratum="s")


def test_missing_gold_is_said(folder):
    (folder / "answer.json").unlink()
    with pytest.raises(BadInput, match=r"no answer\.json"):
        lr2bench(str(folder), stratum="s")


def test_gold_is_an_exact_match_that_breaks_no_rule(items):
    verifier = verifier_of()
    for item in items.values():
        grade = verifier.check(verifier.read(reply(item, answer_of(item))), item.problem, item.reference)
        assert grade.is_right
        assert grade.note.endswith("sub-answers right")


def one_wrong(family, answer):
    """The gold answer with one sub-answer wrong, and how many there are."""
    if family in ("crossword", "acrostic", "cryptogram"):
        key = next(iter(answer))
        return answer | {key: "Q"}, len(answer)
    if family == "logic":
        return [answer[0] | {"hats": "fez"}, *answer[1:]], 6
    if family == "sudoku":
        return [[*answer[0][:3], 9], *answer[1:]], 10
    return [["O", *answer[0][1:]], *answer[1:]], 7


@pytest.mark.parametrize("family", FAMILIES)
def test_one_wrong_sub_answer_costs_exactly_one(items, family):
    item = items[family]
    answer, total = one_wrong(family, answer_of(item))
    found = score(extract(reply(item, answer), family), family, item.reference["answer"])
    assert (found.answered, found.right, found.total) == (True, total - 1, total)
    assert found.is_half and not found.is_exact
    verifier = verifier_of()
    grade = verifier.check(verifier.read(reply(item, answer)), item.problem, item.reference)
    assert not grade.is_right
    assert f"{total - 1} of {total} sub-answers" in grade.note


def test_a_study_measures_replies_as_the_benchmark_does(items):
    verifier, kinds = verifier_of(), ("sudoku", "drop", "logic", "cryptogram", "acrostic")
    chosen = tuple(items[kind] for kind in kinds)
    said = {
        "sudoku": answer_of(items["sudoku"]), "drop": one_wrong("drop", answer_of(items["drop"]))[0], "logic": None,
        "cryptogram": {"X": "?"}, "acrostic": {"1": "I", "2": "T", "3": "?"},
    }  # fmt: skip
    outcomes = []
    for kind, item in zip(kinds, chosen, strict=True):
        text = "I cannot." if said[kind] is None else reply(item, said[kind])
        value = verifier.read(text)
        grade = Grade(0.0, parsed=False) if value is None else verifier.check(value, item.problem, item.reference)
        outcomes.append(Outcome(item, "once", Answer(text, value), grade, Cost()))
    stratum = Stratum("s", chosen, verifier)
    arm = Arm("once", {}, lambda problem: iter(()))
    (point,) = measure(Measured(stratum, (arm,), (), tuple(outcomes)))
    totals = [verifier.parts(None, item.reference)[1] for item in chosen]
    assert totals == [10, 7, 6, len(answer_of(items["cryptogram"])), 4]
    s_acc, pm_half = point.parts.s_acc, point.parts.pm_half
    assert (s_acc.count, s_acc.n, s_acc.value) == (18, sum(totals), pytest.approx(18 / sum(totals)))
    assert (pm_half.count, pm_half.n, pm_half.value) == (3, 5, 0.6)
    assert (point.decided.value, point.accuracy) == (0.8, 0.2)  # CR, EM
    assert s_acc.ci95[0] < s_acc.value < s_acc.ci95[1]
    # Sub-answers of one reply hang together: nowhere near as many as they are.
    assert s_acc.ci95[1] - s_acc.ci95[0] > 0.5


def scored_cells(family, answer):
    """Where the sub-answers of a gold answer stand, as the benchmark counts them."""
    if family in ("crossword", "acrostic", "cryptogram"):
        return [(key,) for key in answer]
    if family == "logic":
        return [(i, key) for i, row in enumerate(answer) for key in list(row)[1:]]
    kept = made.SUDOKU[0] if family == "sudoku" else answer
    return [
        (r, c)
        for r, row in enumerate(kept)
        for c, cell in enumerate(row)
        if (cell == 0 if family == "sudoku" else cell != "#")
    ]


def with_wrong(answer, places):
    """The answer with what stands at these places changed."""
    changed = json.loads(json.dumps(answer))
    for *row, last in places:
        (changed[row[0]] if row else changed)[last] = "wrong"
    return changed


def measured(items, answers):
    """CR, S-Acc, EM and PM-0.5 of a study with one reply to each item."""
    verifier, outcomes = verifier_of(), []
    for item, answer in zip(items, answers, strict=True):
        value = verifier.read(reply(item, answer))
        grade = Grade(0.0, parsed=False) if value is None else verifier.check(value, item.problem, item.reference)
        outcomes.append(Outcome(item, "once", Answer("", value), grade, Cost()))
    arm = Arm("once", {}, lambda problem: iter(()))
    (point,) = measure(Measured(Stratum("s", items, verifier), (arm,), (), tuple(outcomes)))
    return point.decided.value, point.parts.s_acc.value, point.accuracy, point.parts.pm_half.value


def test_the_gold_answers_are_worth_one_by_every_measure(items):
    chosen = tuple(items[family] for family in FAMILIES)
    assert measured(chosen, [answer_of(item) for item in chosen]) == (1, 1, 1, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_wrong_cell_changes_the_measures_as_they_are_defined(items, family):
    chosen = tuple(items[one] for one in FAMILIES)
    total = sum(len(scored_cells(item.reference["family"], answer_of(item))) for item in chosen)
    for place in scored_cells(family, answer_of(items[family])):
        answers = [with_wrong(answer_of(item), [place] if item is items[family] else []) for item in chosen]
        assert measured(chosen, answers) == (1, pytest.approx(1 - 1 / total), 5 / 6, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_half_of_the_cells_is_where_partial_match_ends(items, family):
    answer = answer_of(items[family])
    cells = scored_cells(family, answer)
    for wrong in range(len(cells) + 1):
        found = score(with_wrong(answer, cells[:wrong]), family, items[family].reference["answer"])
        assert (found.answered, found.right, found.total) == (True, len(cells) - wrong, len(cells))
        assert (found.is_exact, found.is_half) == (wrong == 0, wrong <= len(cells) / 2)


def test_no_answer_is_none_of_its_sub_answers():
    for text in (
        "",
        "<Answer></Answer>",
        "<Answer>{'a': __import__('os')}</Answer>",
        "<Answer>" + "[" * 5000 + "</Answer>",
    ):
        assert extract(text, "crossword") is None
    assert (score(None, "crossword", {"a": "x"}).answered, score(None, "crossword", {"a": "x"}).right) == (False, 0)


@pytest.mark.parametrize(
    "text", ["<Answer>" * 20_000, "<Answer>" + "[[" * 90_000 + "</Answer>", "<Answer>" + "{" * 180_000]
)
def test_hostile_replies_are_read_at_once(text):
    started = time.process_time()
    assert [extract(text, family) for family in ("crossword", "logic", "sudoku")] == [None] * 3
    assert time.process_time() - started < 2


def test_case_and_spaces_count_as_published():
    gold = {"1-ACROSS": "ICE CREAM"}
    assert score({"1-across": "iceCream", "9-DOWN": "X"}, "crossword", gold).is_exact
    assert not score([["i"]], "drop", [["I"]]).is_exact


def test_an_altered_given_is_an_exact_match_as_published_and_noted_here(items):
    item = items["sudoku"]
    answer = [list(row) for row in made.SUDOKU[1]]
    answer[0][0] = 1
    verifier = verifier_of()
    grade = verifier.check(verifier.read(reply(item, answer)), item.problem, item.reference)
    assert (grade.is_right, grade.note) == (True, "10 of 10 sub-answers right, changes a given")


@pytest.mark.parametrize(
    ("family", "answer", "note"),
    [
        ("sudoku", [[4, 4, 3, 1], *made.SUDOKU[1][1:]], "repeats a number"),
        ("drop", [["I", "T", "#", "I", "S"], ["C", "A", "C", "#", "#"]], "uses other letters than a column has"),
        ("crossword", made.CROSSWORD_GOLD | {"1-DOWN": "COW"}, "1-DOWN does not cross"),
        ("cryptogram", made.CRYPTOGRAM_GOLD | {"X": "A"}, "two letters stand for one"),
        ("logic", [row | {"owners": "Ada"} for row in made.LOGIC_GOLD], "does not use each of owners once"),
    ],
)
def test_a_broken_rule_is_named(items, family, answer, note):
    verifier = verifier_of()
    grade = verifier.check(verifier.read(reply(items[family], answer)), items[family].problem, items[family].reference)
    assert note in grade.note


def solutions(items, families):
    async def story():
        solver = solver_of()
        found = {family: await solver.solve(items[family].problem) for family in families}
        await solver.close()
        return found

    return asyncio.run(story())


def test_sudoku_and_logic_are_solved_without_a_model_and_a_crossword_is_not(items):
    found = solutions(items, ["sudoku", "logic", "crossword"])
    for family in ("sudoku", "logic"):
        assert extract(found[family].text, family) == answer_of(items[family])
    assert (found["crossword"].status, found["crossword"].text) == ("unreadable", "")


@pytest.mark.skipif(not HAS_WORDS, reason="the extra words is not installed")
def test_drop_quotes_and_cryptograms_are_solved_from_a_lexicon(items):
    found = solutions(items, ["drop", "cryptogram"])
    assert extract(found["drop"].text, "drop") == answer_of(items["drop"])
    assert extract(found["cryptogram"].text, "cryptogram") == answer_of(items["cryptogram"])


def test_the_benchmark_tells_what_it_solved(folder):
    for name in ("0-crossword", "1-acrostic", "3-cryptogram", "5-drop"):
        (folder / name / "data.jsonl").parent.rename(folder.parent / name)
    rows = {row["family"]: row for row in solve(lr2bench=folder, generated=False)}
    assert (rows["sudoku"]["exact_match"], rows["logic"]["decided"], rows["logic"]["wrong_decided"]) == (1, 1, 0)
    assert rows["mean of families"]["exact_match"] == 1
    assert rows["sudoku"]["median_ms"] <= rows["sudoku"]["p99_ms"]


@pytest.mark.parametrize(
    "text",
    [
        made.ACROSTIC.replace("2 3", "2 3 " + "1" * 40 + "."),
        made.ACROSTIC.replace("To the left", "To" + " " * 40_000 + "left"),
        "decipher the cryptogram:\n" * 4_000,
        "puzzle:\n[[" * 9_000,
        made.DROP.replace("Column 1", "Column " + "1" * 5_000),
        made.DROP.replace("'5'], [", "'5'], 5, ["),
    ],
)
def test_a_strangers_puzzle_is_read_or_refused_at_once(text):
    began = time.process_time()
    for read in (read_acrostic, read_cryptogram, read_drop):
        read(text)
    assert time.process_time() - began < 2


def test_crosswords_and_acrostics_are_read_as_they_are_printed():
    slots = {slot.name: slot for slot in read_crossword(made.CROSSWORD).slots}
    assert slots["4-ACROSS"].cells == ((1, 0), (1, 1), (1, 2))
    assert slots["2-DOWN"].cells == ((0, 1), (1, 1), (2, 1))
    acrostic = read_acrostic(made.ACROSTIC)
    assert acrostic.words == ((1, 2), (3, 4, "."))
    assert [(clue.cells, clue.clue) for clue in acrostic.clues] == [((4, 1), "A note"), ((2, 3), "To the left")]


CATEGORIES = {
    "times": ("8:30am", "9:30am", "12 noon"),
    "people": ("Mr. Drew", "Ms. Eve", "Mx. Fox"),
    "colors": ("pink - white", "red", "blue"),
    "grades": ("A", "B+", "C"),
}


def says(clue):
    """Assignments of people and colours that a clue allows, as the times of Drew, Eve, Fox, pink, red, blue."""
    reader = Reader(LogicPuzzle(CATEGORIES, {"1": clue}))
    program, unread = reader.program()
    if unread:
        return None
    (constraint,) = [one for one in program.constraints if one.clue == "1"]
    grades = {"grades: A": 1, "grades: B+": 2, "grades: C": 3}
    allowed = set()
    for people in permutations((1, 2, 3)):
        for colors in permutations((1, 2, 3)):
            values = dict(zip(["people: Mr. Drew", "people: Ms. Eve", "people: Mx. Fox"], people, strict=True))
            values |= dict(zip(["colors: pink - white", "colors: red", "colors: blue"], colors, strict=True)) | grades
            if holds(constraint, values):
                allowed.add((*people, *colors))
    return allowed


def where(test):
    pairs = [(*p, *c) for p in permutations((1, 2, 3)) for c in permutations((1, 2, 3))]
    return {one for one in pairs if test(*one)}


@pytest.mark.parametrize(
    ("clue", "test"),
    [
        ("Drew wore red.", lambda d, e, f, p, r, b: d == r),
        ("Drew didnt wear the white and pink scarf..", lambda d, e, f, p, r, b: d != p),
        ("Eve isn't the one in red or blue.", lambda d, e, f, p, r, b: e not in (r, b)),
        ("Eve is not the one in red and left at 12 noon.", lambda d, e, f, p, r, b: e != r and e == 3),
        ("Neither Drew nor the one in blue left at 9:30am.", lambda d, e, f, p, r, b: d != b and d != 2 != b),
        ("Fox is either the person in red or the one at 8:30am.",
         lambda d, e, f, p, r, b: (f == r) + (f == 1) == 1 and r != 1),
        ("Either Drew or Eve wore blue.", lambda d, e, f, p, r, b: b in (d, e)),
        ("Of Drew and Eve, one wore red and the other left at 12 noon.",
         lambda d, e, f, p, r, b: (d == r and e == 3) or (e == r and d == 3)),
        ("The three people are Drew, the one in red and the one at 9:30am.",
         lambda d, e, f, p, r, b: len({d, r, 2}) == 3),
        ("Drew left sometime after Eve.", lambda d, e, f, p, r, b: d > e),
        ("Drew left earlier than the person in red.", lambda d, e, f, p, r, b: d < r),
        ("Drew left an hour before Eve.", lambda d, e, f, p, r, b: (d, e) == (1, 2)),
        ("Drew left 150 minutes after Eve.", lambda d, e, f, p, r, b: (d, e) == (3, 2)),
        ("The student who got a B+ wore red.", lambda d, e, f, p, r, b: r == 2),
    ],
)  # fmt: skip
def test_a_clue_says_what_a_reader_would_say(clue, test):
    assert says(clue) == where(test)


def test_a_clue_that_no_rule_reads_is_left_out():
    assert says("Drew loves the sea.") is None


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["$1,200", "$900"], (1200, 900)),
        (["8:30am", "12 noon", "1:00pm"], (510, 720, 780)),
        (["January 28", "March 6"], (28, 66)),
        (["2 min, 30 sec", "3 min, 0 sec"], (2.5, 3)),
        (["third", "sixteenth"], (2, 15)),
        (["May 2012", "January 2013"], (4 + 12 * 2012, 12 * 2013)),
        (["red", "2 blue"], None),
        (["2 pm", "2:00pm"], None),
    ],
)
def test_the_numbers_of_a_category(values, numbers):
    assert magnitudes(values) == (None if numbers is None else pytest.approx(numbers))
