"""Generated puzzles: one solution each, read back from their prompts, checked without a reference, dials that hold."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import operator
import re
import time
from collections import Counter
from itertools import combinations, pairwise, permutations, product
from pathlib import Path

import pytest

from trueup.bench.peers.puzzle_form import form_of
from trueup.bench.peers.puzzle_peers import PeerSolution
from trueup.bench.solve_generated import _case, _own, _told
from trueup.core.csp import parse
from trueup.core.csp.values import broken
from trueup.core.errors import BadInput, UnknownName
from trueup.core.grid import BOXES
from trueup.core.puzzles.families import FAMILIES, BinPacking, Good, Knapsack, first_fit, packed, stated
from trueup.core.puzzles.network import all_different, network, network_of, search
from trueup.core.types import Message, Problem
from trueup.solvers import program as program_solver
from trueup.solvers.csp import csp as solver_of
from trueup.tasks.csp import csp, puzzles
from trueup.verifiers import constraint

HAS_WORDS = importlib.util.find_spec("wordfreq") is not None
GOLDEN = json.loads((Path(__file__).parent / "data" / "csp_prompts.json").read_text(encoding="utf-8"))
SMALL = [
    "sudoku size=4",
    "zebra people=3 categories=3",
    "scheduling jobs=4",
    "seating people=5",
    "seating people=5 table=round",
    "seating people=6 table=round",
    "bin_packing items=6",
    "knapsack items=7",
    "colouring regions=8 borders=14",
    "cryptarithm digits=2 addends=3",
    "crossword size=3 decoys=3",
]
LARGE = [
    "sudoku",
    "sudoku size=6 blanks=20",
    "sudoku size=16 blanks=60",
    "zebra people=6 categories=5",
    "scheduling jobs=8 machines=3",
    "seating people=9",
    "bin_packing items=10 greedy=wrong",
    "knapsack items=12 greedy=right",
    "colouring regions=20 colours=4",
    "cryptarithm digits=3",
    "crossword",
    "crossword size=7",
]
FAMILY_WORDS = pytest.mark.parametrize("words", [*SMALL, *LARGE])
NEXT = {"row": lambda n: lambda a, b: abs(a - b) == 1, "round": lambda n: lambda a, b: (a - b) % n in (1, n - 1)}


def made(words, amount=2, seed=0):
    if words.startswith("crossword") and not HAS_WORDS:
        pytest.skip("crosswords take their words from wordfreq")
    return puzzles(words, limit=amount, seed=seed)


# every puzzle has exactly one solution, found by trying everything under rules written here


def all_solutions(puzzle, family):
    return [values for values in TRY[family](puzzle) if values is not None]


def try_sudoku(puzzle):
    size = len(puzzle.grid)
    height, width = BOXES[size]

    def fill(cells, at):
        if at == size * size:
            yield dict(cells)
            return
        r, c = divmod(at, size)
        for value in [puzzle.grid[r][c]] if puzzle.grid[r][c] else range(1, size + 1):
            seen = {
                v
                for (i, j), v in cells.items()
                if i == r or j == c or (i // height, j // width) == (r // height, c // width)
            }
            if value not in seen:
                yield from fill(cells | {(r, c): value}, at + 1)

    for cells in fill({}, 0):
        yield {f"grid[{r + 1},{c + 1}]": value for (r, c), value in cells.items()}


def try_zebra(puzzle):
    rules = {
        "same": lambda a, b, k: a == b,
        "apart": lambda a, b, k: a != b,
        "at": lambda a, b, k: a == k,
        "not_at": lambda a, b, k: a != k,
        "left": lambda a, b, k: b - a == 1,
        "before": lambda a, b, k: a < b,
        "next": lambda a, b, k: abs(a - b) == 1,
        "gap": lambda a, b, k: abs(a - b) == 2,
        "either": lambda a, b, k: k in (a, b),
    }
    for orders in product(*(permutations(range(1, puzzle.size + 1)) for _ in puzzle.categories)):
        house = {
            v: h
            for (_, of), order in zip(puzzle.categories, orders, strict=True)
            for v, h in zip(of, order, strict=True)
        }
        if all(rules[c.kind](house[c.a], house.get(c.b), c.k) for c in puzzle.clues):
            yield house


def try_seating(puzzle):
    n = len(puzzle.people)
    beside = NEXT[puzzle.shape](n)
    before = {"row": lambda a, b: b - a == 1, "round": lambda a, b: (b - a) % n == 1}[puzzle.shape]
    rules = {
        "at": lambda a, b, k: a == k,
        "not_at": lambda a, b, k: a != k,
        "next": lambda a, b, k: beside(a, b),
        "not_next": lambda a, b, k: not beside(a, b),
        "left": lambda a, b, k: before(a, b),
        "before": lambda a, b, k: a < b,
        "gap": lambda a, b, k: abs(a - b) == 2,
        "opposite": lambda a, b, k: (a - b) % n == n / 2,
    }
    for order in permutations(range(1, n + 1)):
        seat = dict(zip(puzzle.people, order, strict=True))
        if all(rules[c.kind](seat[c.a], seat.get(c.b), c.k) for c in puzzle.clues):
            yield seat


def try_scheduling(puzzle):
    jobs = {job.name: job for job in puzzle.jobs}
    rules = {
        "at": lambda a, b, k, end: a == k,
        "not_before": lambda a, b, k, end: a >= k,
        "by": lambda a, b, k, end: end <= k,
        "before": lambda a, b, k, end: end <= b,
        "right_after": lambda a, b, k, end: b == end,
        "together": lambda a, b, k, end: a == b,
        "later": lambda a, b, k, end: b - a == k,
    }
    for starts in product(*(range(puzzle.horizon - job.hours + 1) for job in puzzle.jobs)):
        hour = dict(zip(jobs, starts, strict=True))
        busy = Counter((job.machine, hour[job.name] + i) for job in puzzle.jobs for i in range(job.hours))
        if max(busy.values()) == 1 and all(
            rules[c.kind](hour[c.a], hour.get(c.b), c.k, hour[c.a] + jobs[c.a].hours) for c in puzzle.clues
        ):
            yield hour


def try_colouring(puzzle):
    for colours in product(range(len(puzzle.colours)), repeat=len(puzzle.given)):
        fits = all(not name or puzzle.colours[c] == name for c, name in zip(colours, puzzle.given, strict=True))
        if fits and all(colours[a] != colours[b] for a, b in puzzle.borders):
            yield {f"R{i}": c for i, c in enumerate(colours, 1)}


def try_cryptarithm(puzzle):
    for digits in permutations(range(10), len(puzzle.letters)):
        of = dict(zip(puzzle.letters, digits, strict=True))
        *addends, total = (int("".join(str(of[x]) for x in word)) for word in (*puzzle.addends, puzzle.total))
        if sum(addends) == total and all(of[word[0]] for word in (*puzzle.addends, puzzle.total)):
            yield of


def try_knapsack(puzzle):
    fits = [
        taken
        for taken in product((0, 1), repeat=len(puzzle.goods))
        if sum(t * g.weight for t, g in zip(taken, puzzle.goods, strict=True)) <= puzzle.capacity
    ]
    worth = {taken: sum(t * g.worth for t, g in zip(taken, puzzle.goods, strict=True)) for taken in fits}
    for taken in fits:
        if worth[taken] == max(worth.values()):
            yield {g.name: t for g, t in zip(puzzle.goods, taken, strict=True)}


def try_crossword(puzzle):
    slots = [cells for _, cells in puzzle.slots()]
    for words in permutations(puzzle.words, len(slots)):
        letters = {}
        if all(
            letters.setdefault(cell, x) == x and puzzle.rows[cell[0]][cell[1]] in ("_", x)
            for word, cells in zip(words, slots, strict=True)
            for cell, x in zip(cells, word, strict=True)
        ):
            yield {f"r{r + 1}c{c + 1}": ord(x) - ord("a") for (r, c), x in letters.items()}


TRY = {
    "sudoku": try_sudoku,
    "zebra": try_zebra,
    "seating": try_seating,
    "scheduling": try_scheduling,
    "colouring": try_colouring,
    "cryptarithm": try_cryptarithm,
    "knapsack": try_knapsack,
    "crossword": try_crossword,
}


@pytest.mark.parametrize("words", [words for words in SMALL if not words.startswith("bin_packing")])
def test_trying_everything_finds_one_solution_and_it_is_the_answer(words):
    for one in made(words):
        (values,) = all_solutions(one.puzzle, words.split()[0])
        assert one.puzzle.answer(values) == one.answer
        assert not list(broken(parse(one.puzzle.constraints()), values))


def test_the_fewest_bins_are_those_that_trying_everything_needs():
    for one in made("bin_packing items=6", 8):
        goods, capacity = one.puzzle.goods, one.puzzle.capacity
        fewest = min(
            len(set(bins))
            for bins in product(range(4), repeat=len(goods))
            if all(sum(g.weight for g, b in zip(goods, bins, strict=True) if b == at) <= capacity for at in range(4))
        )
        assert fewest == one.puzzle.optimum() == len(one.answer.splitlines())


def test_the_best_knapsack_is_counted_as_often_as_it_can_be_packed():
    twins = Knapsack((Good("a", 2, 5), Good("b", 2, 5), Good("c", 3, 6)), 3)
    assert (twins.best().worth, twins.best().ways, twins.by_ratio()) == (6, 1, 5)
    assert Knapsack((*twins.goods, Good("d", 1, 1)), 3).best().ways == 3


def test_first_fit_can_need_a_bin_more_than_is_needed():
    goods = tuple(Good(f"g{i}", weight) for i, weight in enumerate((5, 5, 4, 3, 3)))
    assert (first_fit(goods, 10), len(packed(goods, 10))) == (2, 2)
    goods = tuple(Good(f"g{i}", weight) for i, weight in enumerate((4, 4, 3, 3, 3, 3)))
    assert (first_fit(goods, 10), len(packed(goods, 10))) == (3, 2)


# what is printed is read back


@FAMILY_WORDS
def test_a_statement_is_read_back_as_the_same_puzzle_with_the_same_program(words):
    for one in made(words):
        assert stated(one.puzzle.statement()) == (words.split()[0], one.puzzle)
        program = parse(one.puzzle.constraints())
        assert all(constraint_.clue for constraint_ in program.constraints)


@FAMILY_WORDS
def test_the_last_puzzle_of_a_text_is_the_one_that_is_stated(words):
    first, second = made(words)
    text = f"{first.puzzle.statement()}\n\n{first.answer}\n\nNow this one:\n\n{second.puzzle.statement()}"
    assert stated(text) == (words.split()[0], second.puzzle)


def test_a_text_without_a_puzzle_states_none():
    assert stated("What is 17 times 23?") is None


# verifier


@FAMILY_WORDS
def test_the_verifier_accepts_the_answer_without_a_reference(words):
    made(words, 1)
    verifier = constraint(family=words.split()[0])
    for item in csp(words, stratum="s", limit=2):
        said = f"<think>hm</think>Let me see.\n\n{item.reference}\n"
        assert verifier.check(verifier.read(said), item.problem, None).is_right
        assert not verifier.needs_reference


def changes(family, values):
    """Every assignment that differs in one cell, or where values are places in an order, in two that are swapped."""
    if family in ("zebra", "seating"):
        for a, b in combinations(values, 2):
            if values[a] != values[b]:
                yield {**values, a: values[b], b: values[a]}
    else:
        top = {"sudoku": 9, "crossword": 25, "cryptarithm": 9, "colouring": 2, "knapsack": 1, "scheduling": 12}[family]
        for name, value in values.items():
            yield from ({**values, name: other} for other in range(top + 1) if other != value)


@pytest.mark.parametrize("words", [words for words in [*SMALL, "sudoku"] if not words.startswith("bin_packing")])
def test_the_verifier_rejects_every_change_of_one_cell(words):
    family = words.split()[0]
    (one,) = made(words, 1)
    verifier = constraint(family=family)
    problem = Problem("p", "s", (Message("user", one.puzzle.statement()),))
    values = one.puzzle.values(FAMILIES[family].said(one.answer))
    count = 0
    for changed in changes(family, values):
        answer = verifier.read(one.puzzle.answer(changed))
        grade = verifier.check(answer, problem, None)
        assert not grade.is_right and grade.note
        count += 1
    assert count >= 6


def test_a_thing_may_lie_in_another_bin_only_where_no_more_bins_are_needed():
    goods = (Good("lamp", 6), Good("vase", 5), Good("clock", 4))
    problem = Problem("p", "s", (Message("user", BinPacking(goods, 10).statement()),))
    verifier = constraint(family="bin_packing")

    def note(text):
        grade = verifier.check(verifier.read(text), problem, None)
        return grade.note or grade.value

    assert note("Bin 1: lamp, clock\nBin 2: vase") == 1
    assert note("Bin 7: vase, clock\nBin 2: lamp") == 1
    assert note("Bin 1: lamp, vase\nBin 2: clock") == "bin 1 is not too heavy"
    assert note("Bin 1: lamp\nBin 2: vase\nBin 3: clock").startswith("clock = 3 is outside")
    assert note("Bin 1: lamp, clock") == "does not say exactly what is asked"
    assert note("Bin 1: lamp, clock\nBin 2: vase, clock") == "does not say exactly what is asked"
    assert note("Bin 1: lamp, clock\nBin 2: vase, sofa") == "does not say exactly what is asked"


def test_what_could_be_better_is_said():
    problem = Problem("p", "s", (Message("user", Knapsack((Good("a", 2, 5), Good("b", 3, 6)), 3).statement()),))
    verifier = constraint(family="knapsack")
    assert verifier.check(verifier.read("Take: a"), problem, None).note == "comes to 5; 6 can be had"
    assert verifier.check(verifier.read("Take: a, b"), problem, None).note == "the weight"
    assert verifier.check(verifier.read("Take: b, b"), problem, None).note == "does not say exactly what is asked"


@pytest.mark.parametrize(
    ("family", "same", "other"),
    [
        ("zebra", ["House 1: Anna, cat\nHouse 2: Ben", "- **House 2**: ben\n- **House 1**: Anna, Cat"], "House 1: Ben"),
        ("colouring", ["R1: red\nR2: blue", "So:\n\n* R2 = Blue.\n* R1 = red"], "R1: blue\nR2: red"),
        ("seating", ["Order: Anna, Ben", "I think.\n**Order:** Anna, Ben."], "Order: Ben, Anna"),
        ("knapsack", ["Take: lamp, vase", "take: Vase, lamp"], "Take: lamp"),
        ("bin_packing", ["Bin 1: lamp, vase\nBin 2: clock", "Bin 1: clock\nBin 2: vase, lamp"], "Bin 1: clock, lamp"),
        ("cryptarithm", ["A=1 B=2", "B = 2, A = 1", "B: 2\nA: 1"], "A=2 B=1"),
        ("crossword", ["t a p\ne # i\nd e c", "Grid:\n\ntap\ne#i\ndec\n", "|T|A|P|\n|E|#|I|\n|D|E|C|"], "tap"),
        ("scheduling", ["cut: 3\npaint: 0", "1. paint: 0\n2. cut: 3"], "cut: 3\npaint: 1"),
    ],
)  # fmt: skip
def test_an_answer_is_the_same_however_it_is_set_out(family, same, other):
    read = constraint(family=family).read
    assert len({read(text) for text in same}) == 1
    assert read(same[0]) is not None
    assert read(other) != read(same[0])
    assert read("I cannot tell") is None
    assert read("<think>" + same[0]) is None


ANSWERED = [
    ("zebra", "House 1: Anna, cat, tea\nHouse 2: Ben, dog, milk"),
    ("scheduling", "cut: 3\npaint: 0"),
    ("colouring", "R1: red\nR2: blue\nR3: red"),
    ("bin_packing", "Bin 1: lamp, vase\nBin 2: clock, sofa"),
    ("seating", "Order: Anna, Ben, Cleo"),
    ("knapsack", "Take: lamp, vase, sofa"),
    ("cryptarithm", "A=1 B=2"),
    ("sudoku", "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1"),
]
"""An answer of each family in the form that it asks for."""


def remarked(answer):
    """The answer with remarks round it, blank lines, frames, or a draft before it."""
    first, *rest = answer.splitlines()
    draft = answer.translate(str.maketrans("0123456789abcd", "1023546789bacd"))
    yield from (f"{answer}\n\n{remark}" for remark in ("Note: all clues hold.", "It fits.", "Check:\nClue 1: ok"))
    yield from (f"{answer}\r\n", f"\\boxed{{{answer}}}", f"Answer:\n```\n{answer}\n```\nDone: yes", f"{answer}.")
    yield "\n\n".join([first, *rest])
    yield f"Notes: none\n{draft}\n\nNo, that breaks a clue.\n\n{answer}\n\nRemark: unique."


@pytest.mark.parametrize(("family", "answer"), ANSWERED)
def test_remarks_and_blank_lines_change_no_answer(family, answer):
    read = constraint(family=family).read
    wrong = [text for text in remarked(answer) if read(text) != read(answer)]
    assert read(answer) and wrong == []


@pytest.mark.parametrize(
    ("family", "answer", "other"),
    [
        ("zebra", 0, "House 1: Anna, cat, and tea\nHouse 2: Ben, dog and milk"),
        ("zebra", 0, "House 1: name: Anna, pet: cat, drink: tea\nHouse 2: name=Ben, pet=dog, drink=milk"),
        ("zebra", 0, "| House | Name | Pet |\n|:--|---|---|---|\n| 1 | Anna | cat | tea |\n| 2 | Ben | dog | milk |"),
        ("zebra", 0, "House 1: name, pet, drink\n\nHouse 1: Anna, cat, tea\nHouse 2: Ben, dog, milk"),
        ("zebra", 0, "House 1: Anna, cat, tea\nHouse 2: Ben, dog, milk\n\nWhy?\nHouse 2: the milk, by clue 4"),
        ("scheduling", 1, "| job | hour |\n|---|---|\n| cut | 3 |\n| paint | 0 |"),
        ("scheduling", 1, "Job cut: starts at hour 3\nJob paint: 0 h\nTotal time: long"),
        ("colouring", 2, "Region R1: red, Region R2: blue; Region R3: red"),
        ("colouring", 2, "| R1 | red |\n| R2 | blue |\n| R3 | red |"),
        ("bin_packing", 3, "Bin 1: lamp + vase\nTotal: 9 kg\nBin 2: clock + sofa\nTotal: 8 kg"),
        ("bin_packing", 3, "Bin 1: lamp\nBin 2: vase\nBin 3: clock, sofa\n\nBin 1: sofa, clock\nBin 2: vase, lamp"),
        ("seating", 4, "Order: Anna -> Ben -> Cleo"),
        ("seating", 4, "Order: 1. Anna, 2. Ben and 3. Cleo\nOrder: verified"),
        ("knapsack", 5, "Take: lamp, vase and sofa"),
        ("cryptarithm", 6, "| A | 1 |\n| B | 2 |"),
        ("cryptarithm", 6, "A -> 1, B -> 2\nCheck: A != 0, A + B = 3, B - A = 1"),
        ("sudoku", 7, "1 & 2 & 3 & 4 \\\\\n3 & 4 & 1 & 2 \\\\\n2 & 1 & 4 & 3 \\\\\n4 & 3 & 2 & 1"),
        ("sudoku", 7, "\u2502 1 2 \u2502 3 4 \u2502\n\u2502 3 4 \u2502 1 2 \u2502\n\u2502 2 1 4 3 \u2502\n4 3 2 1"),
    ],
)  # fmt: skip
def test_an_answer_may_be_set_out_as_models_do(family, answer, other):
    read = constraint(family=family).read
    assert read(other) == read(ANSWERED[answer][1])


def test_the_last_of_several_choices_counts():
    assert constraint(family="knapsack").read("Take: lamp, vase, sofa\nToo heavy.\nTake: lamp") == "take: lamp"


@pytest.mark.parametrize(
    "words", ["zebra people=3", "scheduling jobs=4", "seating people=5", "bin_packing", "knapsack"]
)
def test_a_list_behind_the_statement_is_none_of_its_clues(words):
    (one,) = puzzles(words, limit=1)
    assert stated(f"{one.puzzle.statement()}\n\nProceed like this:\n1. Read every clue.\n2. Deduce.") == (
        words.split()[0], one.puzzle,
    )  # fmt: skip


def test_a_prompt_of_another_family_is_bad_input():
    item = csp("seating", stratum="s", limit=1)[0]
    with pytest.raises(BadInput, match="states no zebra puzzle; take items of csp:zebra"):
        constraint(family="zebra").check("house 1: a", item.problem, None)
    with pytest.raises(UnknownName, match="did you mean 'zebra'"):
        constraint(family="zebras")


def test_what_a_stranger_states_is_refused_or_answered_at_once():
    many = tuple(Good(f"g{i}", 10 + i % 7, 1 + i) for i in range(21))
    assert stated(Knapsack(many, 9_999).statement()) is None
    assert stated(BinPacking(many, 9_999).statement()) is None
    assert stated(BinPacking((Good("a", 5),), 4).statement()) is None
    assert Knapsack(many[:20], 9_999).best().ways == 1
    assert stated(BinPacking(many[:15], 100).statement()) is None
    assert len(packed(tuple(Good(f"g{i}", 31 + 7 * i % 19) for i in range(14)), 100)) == 7
    for family in FAMILIES.values():
        assert family.said("a" + " " * 100_000 + "b") is None
        assert family.said("a:" * 20_000 + "\n" * 20_000 + "#" * 20_000) is None or family is not FAMILIES["sudoku"]


@pytest.mark.parametrize("text", ["7" * 20_000, "7 houses stand in a row, numbered 1 to 7" + "7" * 20_000])
def test_a_long_run_of_digits_is_passed_over_at_once(text):
    puzzle = made("seating people=3", 1)[0].puzzle
    began = time.process_time()
    assert stated(f"{puzzle.statement()}\n{text}") == ("seating", puzzle)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("scheduling jobs=3", "by hour (\\d+)"), ("scheduling jobs=3", "job cut: (\\d+)"),
        ("scheduling jobs=3", "machine (\\d+)"), ("scheduling jobs=3", "starts at hour (\\d+)"),
        ("seating people=5", "seat (\\d+)"), ("colouring", "R\\d+-R(\\d+)"),
    ],
)  # fmt: skip
def test_a_number_too_long_to_read_states_no_such_puzzle(words, number):
    texts = [one.puzzle.statement() for one in made(words, 20)]
    text, place = next((text, found.span(1)) for text in texts if (found := re.search(number, text)))
    assert stated(text[: place[0]] + "7" * 5_000 + text[place[1] :]) is None


def test_a_statement_that_makes_no_program_is_unreadable():
    text = made("colouring", 1)[0].puzzle.statement().replace("R1-", "R99-")

    async def story():
        solver = solver_of()
        found = await solver.solve(Problem("p", "s", (Message("user", text),)))
        await solver.close()
        return found

    assert (asyncio.run(story())).status == "unreadable"


# dials


def wrong_turns(neighbours, domains):
    """The decisions below which there is no solution, in a search that takes decided values from their neighbours."""
    domains = [set(one) for one in domains]
    while True:
        decided = [(i, j) for i, one in enumerate(domains) if len(one) == 1 for j in neighbours[i] if one & domains[j]]
        if not decided:
            break
        for i, j in decided:
            domains[j] -= domains[i]
            if not domains[j]:
                return False, 0
    open_ = [(len(one), i) for i, one in enumerate(domains) if len(one) > 1]
    if not open_:
        return True, 0
    place, found, wrong = min(open_)[1], False, 0
    for value in sorted(domains[place]):
        below, more = wrong_turns(neighbours, [*domains[:place], {value}, *domains[place + 1 :]])
        found, wrong = found or below, wrong + more + (not below)
    return found, wrong


def turns_of_sudoku(puzzle):
    size = len(puzzle.grid)
    height, width = BOXES[size]
    cells = list(product(range(size), repeat=2))
    units = [{(0, r), (1, c), (2, r // height, c // width)} for r, c in cells]
    near = [[j for j, other in enumerate(units) if unit != other and unit & other] for unit in units]
    given = [puzzle.grid[r][c] for r, c in cells]
    return wrong_turns(near, [{one} if one else set(range(1, size + 1)) for one in given])


def turns_of_colouring(puzzle):
    near = [[b if a == i else a for a, b in puzzle.borders if i in (a, b)] for i in range(len(puzzle.given))]
    return wrong_turns(near, [{one} if one else set(puzzle.colours) for one in puzzle.given])


@pytest.mark.parametrize(
    ("words", "blanks", "low", "high"),
    [
        ("sudoku size=4 blanks=11 backtracks=0", 11, 0, 0),
        ("sudoku size=6 blanks=22 backtracks=0", 22, 0, 0),
        ("sudoku size=6 blanks=22 backtracks=3..6", 22, 3, 6),
        ("sudoku size=9 blanks=50 backtracks=0", 50, 0, 0),
        ("sudoku size=9 blanks=50 backtracks=7", 50, 7, 7),
        ("sudoku size=9 blanks=50 backtracks=20..40", 50, 20, 40),
        ("colouring backtracks=0", 9, 0, 0),
        ("colouring backtracks=3", 9, 3, 3),
        ("colouring regions=16 backtracks=4..8", 12, 4, 8),
    ],
)
def test_wrong_turns_are_dialled_at_a_fixed_size(words, blanks, low, high):
    for one in made(words):
        count = turns_of_sudoku if words.startswith("sudoku") else turns_of_colouring
        found, wrong = count(one.puzzle)
        assert found and low <= wrong <= high
        assert one.puzzle.statement().count("_") - words.startswith("sudoku") == blanks


def test_wrong_turns_do_not_depend_on_what_values_are_called():
    (one,) = made("sudoku size=6 blanks=22 backtracks=4", 1)
    renamed = [[(7 - n) % 7 for n in row] for row in one.puzzle.grid]
    assert turns_of_sudoku(type(one.puzzle)(tuple(map(tuple, renamed)))) == (True, 4)


@pytest.mark.parametrize(
    "words", ["zebra people=4 backtracks=2..4", "seating people=7 backtracks=2..4", "scheduling backtracks=1..3"]
)
def test_wrong_turns_are_dialled_for_puzzles_of_clues_too(words):
    for one in made(words):
        searched = search(network_of(parse(one.puzzle.constraints())))
        low, high = map(int, words.split("backtracks=")[1].split(".."))
        assert searched.is_unique and low <= searched.undone <= high


def turns_of_pairs(ties, domains):
    """As `wrong_turns`, for variables tied in pairs (first, second, what must hold of their values)."""
    domains, before = [list(one) for one in domains], None
    while domains != before:
        before = [list(one) for one in domains]
        for i, j, holds in ties:
            domains[i] = [a for a in domains[i] if any(holds(a, b) for b in domains[j])]
            domains[j] = [b for b in domains[j] if any(holds(a, b) for a in domains[i])]
    if not all(domains):
        return 0, 0
    open_ = [(len(one), i) for i, one in enumerate(domains) if len(one) > 1]
    if not open_:
        return 1, 0
    place, found, wrong = min(open_)[1], 0, 0
    for value in domains[place]:
        below, more = turns_of_pairs(ties, [*domains[:place], [value], *domains[place + 1 :]])
        found, wrong = found + below, wrong + more + (not below)
    return found, wrong


def turns_of_crossword(puzzle):
    slots = [cells for _, cells in puzzle.slots()]
    ties = [(i, j, operator.ne) for i, j in combinations(range(len(slots)), 2)]
    for (i, one), (j, other) in combinations(enumerate(slots), 2):
        for a, b in [(one.index(cell), other.index(cell)) for cell in {*one} & {*other}]:
            ties.append((i, j, lambda x, y, a=a, b=b: x[a] == y[b]))

    def fits(word, cells):
        return all(puzzle.rows[r][c] in ("_", x) for (r, c), x in zip(cells, word, strict=True))

    return turns_of_pairs(ties, [[word for word in puzzle.words if fits(word, cells)] for cells in slots])


def turns_of_cryptarithm(puzzle):
    letters, numbers = puzzle.letters, (*puzzle.addends, puzzle.total)
    domains = [range(10) for _ in letters]
    ties = [(i, j, operator.ne) for i, j in combinations(range(len(letters)), 2)]
    for place in range(len(puzzle.total)):
        names = [word[-1 - place] if place < len(word) else "" for word in numbers]
        own = sorted({*names} - {""})
        cases = []
        for digits, carry in product(permutations(range(10), len(own)), range(len(puzzle.addends) if place else 1)):
            of = dict(zip(own, digits, strict=True)) | {"": 0}
            out, left = divmod(carry + sum(of[name] for name in names[:-1]), 10)
            is_last = place + 1 == len(puzzle.total)
            if (
                left == of[names[-1]]
                and all(of[word[0]] for word in numbers if word[0] in own)
                and not (is_last and out)
            ):
                cases.append((digits, carry, out))
        here = len(domains)
        domains.append(cases)
        ties += [(letters.index(name), here, lambda d, c, at=at: c[0][at] == d) for at, name in enumerate(own)]
        if place:
            ties.append((here - 1, here, lambda below, c: below[2] == c[1]))
    return turns_of_pairs(ties, domains)


@pytest.mark.parametrize(
    "words",
    [
        "cryptarithm digits=3 backtracks=0",
        "cryptarithm digits=3 backtracks=3..9",
        "cryptarithm digits=2 addends=3 backtracks=1..20",
        "crossword size=3 decoys=12 backtracks=0",
        "crossword size=3 decoys=12 backtracks=2..9",
        "crossword backtracks=1..3",
    ],
)
def test_wrong_turns_are_dialled_for_words_and_sums(words):
    if words.startswith("crossword") and not HAS_WORDS:
        pytest.skip("crosswords take their words from wordfreq")
    count = turns_of_cryptarithm if words.startswith("cryptarithm") else turns_of_crossword
    low, _, high = words.split("backtracks=")[1].partition("..")
    for one in made(words, 4):
        assert (found := count(one.puzzle))[0] == 1 and int(low) <= found[1] <= int(high or low)


def turns_of_sums(domains, sums, order=()):
    """As `wrong_turns`, for sums (what each value of each variable adds, the most); `order` are variables in turn."""
    domains, before = [list(one) for one in domains], None
    while domains != before:
        before = [list(one) for one in domains]
        for added, most in sums:
            for i, one in enumerate(domains):
                rest = sum(min(added(j, v) for v in other) for j, other in enumerate(domains) if j != i)
                domains[i] = [value for value in one if added(i, value) + rest <= most]
                if not domains[i]:
                    return 0, 0
        for i in order:
            top = max((max(one) for one in domains[:i]), default=-1)
            domains[i] = [value for value in domains[i] if value <= top + 1]
            if not domains[i]:
                return 0, 0
    open_ = [(len(one), i) for i, one in enumerate(domains) if len(one) > 1]
    if not open_:
        return 1, 0
    place, found, wrong = min(open_)[1], 0, 0
    for value in domains[place]:
        below, more = turns_of_sums([*domains[:place], [value], *domains[place + 1 :]], sums, order)
        found, wrong = found + below, wrong + more + (not below)
    return found, wrong


def turns_of_knapsack(puzzle):
    goods, best = puzzle.goods, puzzle.optimum()
    sums = [(lambda i, v: v * goods[i].weight, puzzle.capacity), (lambda i, v: -v * goods[i].worth, -best)]
    return turns_of_sums([(0, 1)] * len(goods), sums)


def turns_of_bin_packing(puzzle):
    goods, bins = puzzle.goods, puzzle.optimum()
    sums = [(lambda i, v, at=at: goods[i].weight * (v == at), puzzle.capacity) for at in range(bins)]
    return turns_of_sums([range(bins)] * len(goods), sums, range(len(goods)))


@pytest.mark.parametrize(
    "words",
    [
        "knapsack backtracks=0", "knapsack backtracks=20..30", "knapsack items=12 backtracks=60..90",
        "knapsack greedy=wrong backtracks=5..9", "bin_packing backtracks=0", "bin_packing backtracks=4..9",
        "bin_packing items=7 capacity=15 backtracks=2", "bin_packing greedy=wrong backtracks=1..20",
    ],
)  # fmt: skip
def test_wrong_turns_are_dialled_for_what_is_packed(words):
    count = turns_of_knapsack if words.startswith("knapsack") else turns_of_bin_packing
    low, _, high = words.split("backtracks=")[1].partition("..")
    for one in made(words):
        found, wrong = count(one.puzzle)
        assert found and int(low) <= wrong <= int(high or low)


@pytest.mark.parametrize("words", ["scheduling backtracks=4..9", "scheduling jobs=12 machines=3 backtracks=3..20"])
def test_wrong_turns_that_no_draw_has_come_of_other_clues(words):
    (one,) = made(words, 1)
    searched = search(network_of(parse(one.puzzle.constraints())))
    low, high = map(int, words.split("backtracks=")[1].split(".."))
    assert searched.is_unique and low <= searched.undone <= high


@pytest.mark.parametrize("greedy", ["right", "wrong"])
def test_greed_is_dialled(greedy):
    for one in made(f"knapsack greedy={greedy}", 4):
        assert (one.puzzle.by_ratio() == one.puzzle.optimum()) == (greedy == "right")
    for one in made(f"bin_packing greedy={greedy}", 4):
        assert (first_fit(one.puzzle.goods, one.puzzle.capacity) == one.puzzle.optimum()) == (greedy == "right")


def test_the_number_of_letters_is_dialled():
    assert [len(one.puzzle.letters) for one in made("cryptarithm letters=6", 3)] == [6, 6, 6]


def test_only_the_chosen_kinds_of_clues_are_given():
    kinds = {clue.kind for one in made("zebra kinds=same,left,at", 4) for clue in one.puzzle.clues}
    assert kinds == {"same", "left", "at"}


def test_no_clue_can_be_left_out():
    for words in ("zebra people=3 categories=3", "seating people=5", "scheduling jobs=4"):
        for one in made(words):
            puzzle = one.puzzle
            for clue in puzzle.clues:
                fewer = type(puzzle)(**{**fields(puzzle), "clues": tuple(c for c in puzzle.clues if c != clue)})
                assert len(all_solutions(fewer, words.split()[0])) > 1


def fields(puzzle):
    return {name: getattr(puzzle, name) for name in puzzle.__dataclass_fields__}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sudoku size=5", "csp:sudoku size is 5; it takes 4, 6, 9, 16"),
        ("sudoku size=4 blanks=13", "csp:sudoku blanks is 13; it takes 1 to 12"),
        ("sudoku backtracks=few", "csp:sudoku backtracks is 'few'; write a number as 4, or a band as 3..6"),
        ("sudoku backtracks=6..3", "csp:sudoku backtracks is '6..3'"),
        ("sudoku size=4 blanks=2 backtracks=9", "found no puzzle with size=4 blanks=2 backtracks=9 in 20 tries"),
        ("zebra people=9", "csp:zebra people is 9; it takes 2 to 8"),
        ("zebra kinds=same,beside", "unknown kind of csp:zebra 'beside'"),
        ("zebra people=4 kinds=same", "found no puzzle with people=4 categories=4 kinds=same in 60 tries"),
        ("seating table=square", "csp:seating table is 'square'; it takes row, round"),
        ("scheduling machines=9", "csp:scheduling machines is 9; it takes 1 to 6"),
        ("colouring colours=7", "csp:colouring colours is 7; it takes 3 to 5"),
        ("colouring regions=4 colours=5", "csp:colouring regions is 4; it takes 5 to 60"),
        ("colouring regions=60 colours=5 blanks=50", "blanks=50 in 300 tries; take fewer blanks"),
        ("colouring blanks=11", "csp:colouring blanks is 11; it takes 1 to 10"),
        ("knapsack greedy=maybe", "csp:knapsack greedy is 'maybe'; it takes any, right, wrong"),
        ("bin_packing capacity=9", "csp:bin_packing capacity is 9; it takes 15 to 100"),
        ("cryptarithm digits=1", "csp:cryptarithm digits is 1; it takes 2 to 7"),
        ("cryptarithm addends=4 backtracks=2", "csp:cryptarithm addends is 4; it takes 2 to 3"),
        ("knapsack items=17 backtracks=2", "csp:knapsack items is 17; it takes 3 to 16"),
        ("bin_packing items=11 backtracks=2", "csp:bin_packing items is 11; it takes 3 to 10"),
        ("crossword size=4", "csp:crossword size is 4; it takes 3, 5, 7"),
    ],
)
def test_a_dial_that_cannot_be_set_so_is_named(words, message):
    with pytest.raises(BadInput, match=message.replace("(", r"\(")) as caught:
        puzzles(words, limit=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("colours", [3, 4, 5])
@pytest.mark.parametrize("regions", [4, 5, 8, 12, 20, 40, 60])
def test_maps_of_every_size_and_number_of_colours_are_made_without_another_dial(colours, regions):
    if colours <= regions:
        (one,) = puzzles(f"colouring regions={regions} colours={colours}", limit=1)
        assert "" in one.puzzle.given and len(set(one.puzzle.colours)) == colours


# the same seed gives the same items


@pytest.mark.parametrize("words", SMALL)
def test_a_puzzle_depends_on_the_seed_and_its_place_alone(words):
    few, many = made(words, 1, seed=3), made(words, 3, seed=3)
    assert few == many[:1]
    assert len({one.puzzle.statement() for one in many}) == 3
    assert made(words, 1, seed=4) != few


@pytest.mark.parametrize("family", sorted(GOLDEN))
def test_the_prompt_is_as_recorded(family):
    made(family, 1)
    item = csp(family, stratum="s", limit=1)[0]
    assert item.problem.prompt[-1].content == GOLDEN[family]["prompt"]
    assert item.reference == GOLDEN[family]["answer"]


# the exact search


def test_an_odd_ring_of_two_colours_takes_two_wrong_turns_to_refute():
    ring = network([3] * 3, all_different([(0, 1), (1, 2), (0, 2)], 2))
    found = search(ring)
    assert (found.solutions, found.undone, found.is_whole) == ((), 2, True)


def test_a_search_that_runs_out_of_decisions_says_so():
    free = network([7] * 6, all_different([(0, 1)], 3))
    assert not search(free, solutions=10_000, decisions=50).is_whole
    found = search(free, solutions=10_000)
    assert found.is_whole and len(found.solutions) == 6 * 3**4


def test_a_network_has_the_solutions_of_its_program():
    program = parse(
        "int a, b in 1..4\nint c in {1, 3}\ncon a + 1 == b\ncon b != c and a < c\ncon alldifferent(a, b, c)"
    )
    found = search(network_of(program), solutions=99).solutions
    values = [(a, b, c) for a in range(1, 5) for b in range(1, 5) for c in (1, 3) if a + 1 == b and b != c and a < c]
    assert sorted((a + 1, b + 1, c + 1) for a, b, c in found) == values
    with pytest.raises(BadInput, match="holds 3 variables"):
        network_of(parse("int a, b, c in 1..4\ncon a + b == c"))


# solvers


def test_the_solver_finds_every_answer_from_the_prompt_alone():
    words = [one for one in SMALL if HAS_WORDS or not one.startswith("crossword")]
    items = {one: csp(one, stratum="s", limit=2) for one in words}

    async def story():
        solver = solver_of()
        found = {one: [await solver.solve(item.problem) for item in items[one]] for one in words}
        lost = await solver.solve(Problem("p", "s", (Message("user", "Hello."),)))
        await solver.close()
        return found, lost

    found, lost = asyncio.run(story())
    assert lost.status == "unreadable" and "states no puzzle" in lost.reason
    for one in words:
        verifier = constraint(family=one.split()[0])
        for item, solution in zip(items[one], found[one], strict=True):
            assert solution.status == "solved"
            assert verifier.check(solution.answer, item.problem, None).is_right
            assert solution.text == item.reference or one.startswith("bin_packing")


def test_a_prompt_shows_the_gold_constraints_on_demand():
    item = csp("seating people=4 constraints=true", stratum="s", limit=1)[0]
    (one,) = made("seating people=4", 1)
    assert item.problem.prompt[-1].content.startswith(one.puzzle.statement())
    assert stated(item.problem.prompt[-1].content) == ("seating", one.puzzle)

    async def story():
        solver = program_solver()
        found = await solver.solve(item.problem)
        await solver.close()
        return found

    found = asyncio.run(story())
    seats = {name: int(seat) for name, seat in (line.split(" = ") for line in found.text.splitlines())}
    assert one.puzzle.answer(seats) == one.answer


# the benchmark


def test_the_benchmark_tells_what_our_solver_adds_to_the_one_below():
    row, seconds = asyncio.run(_own(_case("sudoku size=4", 2)))
    assert len(seconds) == row["n"]
    assert (row["family"], row["n"], row["exact_match"], row["decided"]) == ("csp:sudoku size=4", 2, 1, 1)
    assert 0 < row["bare_median_ms"] < row["median_ms"] <= row["p99_ms"]
    assert row["ratio"] == pytest.approx(row["median_ms"] / row["bare_median_ms"])


@pytest.mark.parametrize(
    "words",
    [
        "zebra people=3 categories=2",
        "seating people=4 table=round",
        "scheduling jobs=3",
        "knapsack items=6",
        "colouring regions=6 borders=8",
        "sudoku size=4",
        "bin_packing items=6",
        "crossword size=3",
    ],
)
def test_a_peers_form_of_a_program_has_its_solutions(words):
    (one,) = made(words, 1)
    program = parse(one.puzzle.constraints())
    form = form_of(program)
    values = one.puzzle.values(FAMILIES[words.split()[0]].said(one.answer))
    tried = [values, *({**values, a: values[b], b: values[a]} for a, b in pairwise(values))]
    tried += [{**values, name: other} for name in values for other in form["domains"][name]]
    for assignment in tried:
        assert holds_in(form, with_own(form, assignment)) == (not list(broken(program, assignment)))


def with_own(form, values):
    """A form's own variables beside a program's: truths and maxima, as the rows that tie them say."""
    whole = dict(values)
    for one in form["constraints"]:
        if one["kind"] == "rows" and one["vars"][-1] not in whole:
            known = [whole[name] for name in one["vars"][:-1]]
            whole[one["vars"][-1]] = next((row[-1] for row in one["rows"] if row[:-1] == known), -1)
    return whole


def test_a_peer_is_given_the_same_thing_to_optimise():
    (one,) = made("bin_packing items=6", 1)
    form = form_of(parse(one.puzzle.constraints()))
    values = one.puzzle.values(FAMILIES["bin_packing"].said(one.answer))
    whole = with_own(form, values)
    (goal,) = form["objective"]["terms"]
    assert form["objective"] == {"sense": "minimize", "terms": {goal: 1}} and whole[goal] == one.puzzle.optimum()


def holds_in(form, values):
    def holds(one):
        row = [values[name] for name in one.get("vars", ())]
        if one["kind"] == "different":
            return len(set(row)) == len(row)
        if one["kind"] == "rows":
            return row in one["rows"]
        total = sum(factor * values[name] for name, factor in one["terms"].items())
        return {"<=": total <= one["bound"], "==": total == one["bound"], ">=": total >= one["bound"]}[one["sense"]]

    return all(values[name] in of for name, of in form["domains"].items()) and all(map(holds, form["constraints"]))


def test_what_a_peer_cannot_be_given_is_said():
    with pytest.raises(BadInput, match="a constraint on 3 variables is neither linear nor a table"):
        form_of(parse("int a, b, c in 1..50\ncon a * b == c"))


def test_a_row_of_a_peer_tells_how_many_times_its_time_we_take():
    case = _case("seating people=4", 3)
    found = [search(network_of(program)).solutions[0] for program in case.programs]
    names = [[variable.name for variable in program.variables] for program in case.programs]
    seats = [{name: 1 + seat for name, seat in zip(of, one, strict=True)} for of, one in zip(names, found, strict=True)]
    row = _told(case, [PeerSolution(seats[0], 1.0), PeerSolution(seats[1], 2.0)], [6.0, 12.0, 99.0])
    assert (row["n"], row["exact_match"], row["ratio"]) == (2, 1, 6)
