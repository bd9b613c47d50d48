"""The structural detector: counts of a stated program, and whether failures rise with them."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom, spearmanr
from studies import measured

from trueup.core.csp import parse
from trueup.core.puzzles.network import network_of, search
from trueup.core.puzzles.structure import Structure, structure_of, structure_stated
from trueup.core.types import Item, Message
from trueup.methods.prompt_features import features
from trueup.plan import diagnose, lay_out
from trueup.plan.permutation import DRAWN, rises_by_chance
from trueup.plan.structure import trend_of
from trueup.tasks.csp import prompt, puzzles

HALF = ["r" * 8 + "a" * 8] * 2


def chain(length):
    """A row of numbers, each below the next, among as many as there are: one solution, by propagation alone."""
    names = [f"v{i}" for i in range(length)]
    links = [f"con {a} < {b}" for a, b in pairwise(names)]
    return "\n".join([f"int {', '.join(names)} in 1..{length}", *links])


def clique(size):
    """So many variables in two colours, no two alike: every decision is undone."""
    names = ", ".join(f"v{i}" for i in range(size))
    return f"int {names} in 1..2\ncon alldifferent({names})"


def test_propagation_and_search_come_to_what_they_come_to_by_hand():
    # a < b < c in 1..3, in this order: the first round leaves b = 2 and c = 3, the second a = 1.
    assert structure_of(parse(chain(3))) == Structure(3, np.log2(3), 2, 2.0, 2, rounds=2, undone=0)
    # Three in two colours: either colour of the first leaves nothing for the third.
    assert structure_of(parse(clique(3))) == Structure(3, 1.0, 1, 3.0, 3, rounds=0, undone=2)
    # 27 cases, of which one is left.
    nine = structure_of(parse("int a, b, c in 1..3\ncon a + b + c == 9"))
    assert (nine.rounds, nine.undone, nine.widest) == (1, 0, 3)
    # Two solutions and no wrong turn.
    assert structure_of(parse("int a, b in 1..2\ncon a != b")).undone == 0
    assert structure_of(parse("int a in 1..2\ncon a > 2")).undone == 0


@pytest.mark.parametrize("words", ["sudoku backtracks=10..30", "zebra", "seating", "colouring backtracks=3..6"])
def test_decisions_undone_are_those_of_the_exact_counter(words):
    for one in puzzles(words, limit=3):
        found = structure_stated(prompt(one.puzzle))
        assert found.undone == search(network_of(parse(one.puzzle.constraints()))).undone


def test_a_search_is_cut_off_and_what_cannot_be_searched_has_its_counts_alone():
    (hard,) = puzzles("cryptarithm", limit=1)
    program = parse(hard.puzzle.constraints())
    assert structure_of(program, decisions=20).undone <= 20
    for text in ("float a in 0..1\ncon a > 0.5", "int a in 1..100\ncon a > 5"):
        found = structure_of(parse(text))
        assert (found.variables, found.rounds, found.undone) == (1, None, None)


def test_a_text_without_a_program_or_with_a_vast_one_has_no_structure():
    assert structure_stated("What is 12 + 7?") is None
    assert structure_stated("int a[600] in 1..2\ncon a[1] > 1\n") is None
    assert structure_stated("int a in 1..2\n" + "con a > 1\n" * 20_000) is None
    assert structure_stated("int a in 1..2\ncon a > 1\n").variables == 1


@pytest.mark.parametrize(
    "constraint",
    [
        "a + b" + " + 1" * 4_000 + " > 0", "a + b + c" + " + 1" * 4_000 + " > 0",
        f"table((a, b), {', '.join(['(99, 9)'] * 9_000)})", "g[a] + " * 500 + "b > 0", "alldifferent(g, a, b, c)",
    ],
    ids=["two", "three", "table", "element", "pairs"],
)  # fmt: skip
def test_a_large_constraint_is_not_tried_case_by_case(constraint):
    started = time.process_time()
    structure_stated(f"int a, b in 0..63\nint c in 0..3\nint g[500] in 0..9\ncon {constraint}\n")
    assert time.process_time() - started < 8


def asked(pools, texts, arms=None, reference="r"):
    """Made-up results of these pools, whose items ask these texts."""
    found = measured(pools, arms or {})
    items = tuple(
        Item(replace(one.problem, prompt=(Message("user", text),)), reference, one.cluster)
        for one, text in zip(found.stratum.items, texts, strict=True)
    )
    pools = tuple(replace(pool, item=item) for pool, item in zip(found.pools, items, strict=True))
    by_id = {item.problem.id: item for item in items}
    outcomes = tuple(replace(one, item=by_id[one.item.problem.id]) for one in found.outcomes)
    return replace(found, stratum=replace(found.stratum, items=items), pools=pools, outcomes=outcomes)


def pool(right):
    return "r" * right + "a" * (16 - right)


def test_failures_that_rise_with_a_count_are_told_with_their_rank_correlation():
    rights = [16, 15, 13, 12, 9, 9, 6, 4, 3, 1, 0, 0]
    sheet = lay_out(asked([pool(right) for right in rights], [chain(n) for n in range(2, 14)]), seed=0)
    trend = trend_of(sheet)
    assert trend.value == pytest.approx(spearmanr(range(12), [16 - right for right in rights]).statistic)
    assert (trend.count, trend.n, trend.rises) == ("rounds of propagation", 12, True)
    assert trend.ci95[0] <= trend.value <= trend.ci95[1] + 1e-9
    assert str(trend).startswith("failures rise with the rounds of propagation (rank correlation 1.00")


def test_without_a_trend_or_enough_programs_nothing_is_claimed():
    flat = lay_out(asked([pool(4 + 8 * (n % 2)) for n in range(12)], [chain(n) for n in range(2, 14)]), seed=0)
    assert not trend_of(flat).rises
    assert "are not seen to rise" in str(trend_of(flat))
    few = lay_out(asked([pool(n) for n in range(4)], [chain(n) for n in range(2, 6)]), seed=0)
    alike = lay_out(asked([pool(n) for n in range(12)], [chain(5)] * 12), seed=0)
    always = lay_out(asked([pool(0)] * 12, [chain(n) for n in range(2, 14)]), seed=0)
    assert trend_of(few) is trend_of(alike) is trend_of(always) is None
    assert trend_of(lay_out(measured([pool(n) for n in range(12)], {}), seed=0)) is None


def test_five_items_can_show_a_rise_and_their_p_is_that_of_all_orders():
    found = lay_out(asked([pool(16 - 3 * n) for n in range(5)], [chain(n) for n in range(2, 7)]), seed=0)
    trend = trend_of(found)
    assert (trend.n, trend.p, trend.rises) == (5, pytest.approx(1 / 120), True)
    assert (
        trend_of(lay_out(asked([pool(16 - 3 * n) for n in (1, 0, 2, 4, 3)], [chain(n) for n in range(2, 7)]), seed=0)).p
        > 0.025
    )


def test_a_count_by_which_no_order_could_show_a_rise_is_passed_over():
    # Rounds differ on two items alone, variables on all.
    texts = [f"int {', '.join(f'v{i}' for i in range(n))} in 1..100\ncon v0 > 5" for n in range(1, 7)]
    texts += [chain(2), chain(3)]
    trend = trend_of(lay_out(asked([pool(16 - 2 * n) for n in range(8)], texts), seed=0))
    assert (trend.count, trend.n) == ("variables", 8)


def p_of(first, second, clusters=None, seed=0):
    """A rise's p, and the least there could be."""
    codes = np.arange(len(first)) if clusters is None else np.array(clusters)
    found = rises_by_chance(np.array(first, float), np.array(second, float), codes, np.random.default_rng(seed))
    return found.p, found.least


def test_the_share_of_rearrangements_is_what_it_is_by_hand():
    assert p_of([1, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx((1 / 24, 1 / 24))
    assert p_of([1, 2, 3, 4], [2, 1, 3, 4]) == pytest.approx((4 / 24, 1 / 24))
    assert p_of(range(6), [0, 0, 0, 1, 1, 1]) == pytest.approx((1 / 20, 1 / 20))
    assert p_of([1, 2, 3], [3, 2, 1]) == pytest.approx((1, 1 / 6))
    # Two clusters of two change places, and the items in each: eight orders. One of three cannot with one of one.
    assert p_of([1, 2, 3, 4], [1, 2, 3, 4], [0, 0, 1, 1]) == pytest.approx((1 / 8, 1 / 8))
    assert p_of([1, 2, 3, 4], [1, 2, 3, 4], [0, 0, 0, 1]) == pytest.approx((1 / 6, 1 / 6))
    assert p_of([1, 2, 3, 4], [4, 1, 2, 3], [1, 0, 0, 0]) == pytest.approx((1 / 6, 1 / 6))
    # What is drawn holds what was seen, so that p is never 0.
    assert p_of(range(12), range(12)) == pytest.approx((1 / DRAWN, 1 / DRAWN))


@pytest.mark.parametrize("items", [6, 10])
def test_without_a_connection_a_rise_is_told_as_often_as_the_level_says(items):
    rng, trials = np.random.default_rng(items), 1000
    told = sum(p_of(range(items), rng.binomial(16, 0.5, items), seed=i)[0] <= 0.025 for i in range(trials))
    assert binom.ppf(0.0005, trials, 0.025) <= told <= binom.ppf(0.9995, trials, 0.025)


def test_items_of_a_cluster_are_not_taken_for_independent_ones():
    rng, trials = np.random.default_rng(1), 200
    clusters, alike, apart = np.repeat(np.arange(6), 3), 0, 0
    for i in range(trials):
        first, second = (np.repeat(rng.normal(size=6), 3) for _ in range(2))
        second = second + 0.1 * rng.normal(size=18)
        alike += p_of(first, second, clusters, i)[0] <= 0.025
        apart += p_of(first, second, seed=i)[0] <= 0.025
    assert alike <= binom.ppf(0.9995, trials, 0.025) < apart


@pytest.mark.parametrize(("items", "least"), [(6, 0.4), (8, 0.6), (12, 0.8)])
def test_a_planted_rise_is_told(items, least):
    rng, trials = np.random.default_rng(items), 200
    chances = np.linspace(0.25, 0.75, items)
    told = sum(p_of(range(items), rng.binomial(16, chances), seed=i)[0] <= 0.025 for i in range(trials))
    assert told / trials > least


def structural(texts):
    """The structural row where the solver wins four points: less than a gap worth a call by itself."""
    rights = [16] * 10 + [15, 14, 13, 13, 12, 12, 11, 11, 10, 10]
    found = asked([pool(right) for right in rights], texts, {"once": "r" * 20, "solve": "r" * 20})
    return next(row for row in diagnose(lay_out(found, seed=0), 0.99).evidence if row.test == "structural")


def test_where_failures_rise_with_structure_a_solver_that_wins_anything_calls_it():
    rising, plain = structural([chain(n) for n in range(2, 22)]), structural(["What is 1 + 1?"] * 20)
    assert (rising.threshold, plain.threshold) == (0.0, 0.05)
    assert rising.value == plain.value and rising.ci95 == plain.ci95
    assert "failures rise with the rounds of propagation" in rising.note
    assert "failures" not in plain.note


def test_the_gold_answer_reaches_neither_the_detector_nor_the_router():
    texts, pools = [chain(n) for n in range(2, 14)], [pool(12 - n) for n in range(12)]
    told, other = (asked(pools, texts, reference=gold) for gold in ("r", "another answer"))
    assert trend_of(lay_out(told, seed=0)) == trend_of(lay_out(other, seed=0))
    for one, two in zip(told.stratum.items, other.stratum.items, strict=True):
        assert one.reference != two.reference
        assert features(one.problem.prompt) == features(two.problem.prompt)


def test_a_router_sees_the_structure_of_a_stated_program():
    short, long = (features((Message("user", chain(n)),)) for n in (3, 9))
    assert short["program rounds"] < long["program rounds"]
    assert short["program variables"] == pytest.approx(np.log1p(3))
    assert not any(name.startswith("program") for name in features((Message("user", "What is 1 + 1?"),)))
