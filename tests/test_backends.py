"""The back-ends against counting every assignment, and against numbers worked out by hand."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import re
import sys
from itertools import product
from math import sqrt

import pytest

from trueup.core.csp import Node, parse
from trueup.core.csp.program import nodes
from trueup.core.csp.values import broken, holds, value_of
from trueup.core.csp.wire import to_json
from trueup.core.types import Message, Problem
from trueup.solvers import program, smt
from trueup.solvers.backends import UNREACHED
from trueup.solvers.conflict import smallest_conflict
from trueup.solvers.decide import decide
from trueup.solvers.gradient import value_and_slopes
from trueup.solvers.intervals import bounds_and_slopes

HAS_Z3 = importlib.util.find_spec("z3") is not None
DECLARED = "int a, b, c in -2..3\nbool p, q\nint g[3] in {1, 2, 4}"


def solved(text, **settings):
    return decide({"program": to_json(parse(text)), **settings}, 10.0)


def assignments(parsed):
    domains = [v.values or range(int(v.low), int(v.high) + 1) for v in parsed.variables]
    names = [v.name for v in parsed.variables]
    return (dict(zip(names, values, strict=True)) for values in product(*domains))


def number(rng, depth=0):
    if depth > 1 or rng.random() < 0.4:
        return rng.choice(["a", "b", "c", "g[1]", "g[2]", str(rng.randint(-2, 4))])
    x, y = number(rng, depth + 1), number(rng, depth + 1)
    return rng.choice(
        [f"({x} + {y})", f"({x} - {y})", f"({x} * {y})", f"abs({x})", f"min({x}, {y})", f"max({x}, {y})", f"-{x}",
         f"sum({x}, {y}, 1)", f"count({truth(rng, 2)}, p)", f"{x} ^ 2", f"element({x}, {y}, a, 2)", "g[c]"]
    )  # fmt: skip


def truth(rng, depth=0):
    if depth > 1 or rng.random() < 0.35:
        op = rng.choice(["==", "!=", "<", "<=", ">", ">="])
        return rng.choice(["p", "q", f"{number(rng, depth)} {op} {number(rng, depth)}"])
    x, y = truth(rng, depth + 1), truth(rng, depth + 1)
    m, n = number(rng, depth + 1), number(rng, depth + 1)
    return rng.choice(
        [f"({x} and {y})", f"({x} or {y})", f"(not {x})", f"({x} implies {y})", f"({x} iff {y})",
         f"alldifferent({m}, {n}, a)", f"increasing({m}, {n})", f"adjacent({m}, {n})", f"oneof({m}, {n}, 2)",
         f"table(({m}, b), (1, 2), (0, 0), (3, 1))"]
    )  # fmt: skip


def kept(constraint, values):
    """Whether a constraint holds, and no place in it is outside of its array."""
    return holds(constraint, values) and is_inside(constraint.expr, values)


def is_inside(expr, values):
    chosen = (one.args for one in nodes(expr) if isinstance(one, Node) and one.op == "element")
    return all(1 <= value_of(args[0], values) < len(args) for args in chosen)


@pytest.mark.parametrize("seed", range(40))
def test_cp_sat_says_what_counting_says(seed):
    rng = random.Random(seed)
    text = DECLARED + "".join(f"\ncon {truth(rng)} #{i}" for i in range(5))
    parsed = parse(text)
    right = [one for one in assignments(parsed) if all(kept(c, one) for c in parsed.constraints)]
    reply = solved(text)
    assert reply["status"] == ["unsatisfiable", "solved", "not_unique"][min(2, len(right))]
    if right:
        assert reply["values"] in right
        assert not list(broken(parsed, reply["values"]))
    else:
        blamed = [c for c in parsed.constraints if c.clue in reply["conflict"]]
        every = list(assignments(parsed))
        assert not any(all(kept(c, one) for c in blamed) for one in every)
        for spared in blamed:
            assert any(all(kept(c, one) for c in blamed if c is not spared) for one in every)


@pytest.mark.parametrize("seed", range(8))
def test_cp_sat_finds_the_least_value(seed):
    rng = random.Random(1000 + seed)
    goal = number(rng)
    text = f"{DECLARED}\ncon {truth(rng)}\nminimize {goal}"
    parsed = parse(text)
    worth = parse(f"{DECLARED}\ncon {goal} == 0").constraints[0].expr.args[0]
    right = [
        value_of(worth, one)
        for one in assignments(parsed)
        if kept(parsed.constraints[0], one) and is_inside(worth, one)
    ]
    reply = solved(text)
    assert reply.get("objective") == (min(right) if right else None)


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
@pytest.mark.parametrize("seed", range(20))
def test_z3_agrees_with_cp_sat(seed):
    rng = random.Random(2000 + seed)
    text = DECLARED + "".join(f"\ncon {truth(rng)} #{i}" for i in range(5))
    ours, theirs = solved(text), solved(text, backend="z3")
    assert theirs["status"] == ours["status"]
    if "values" in theirs:
        assert not list(broken(parse(text), theirs["values"]))


@pytest.mark.parametrize("place", [-2, -1, 0, 3, 5])
def test_a_place_that_is_a_number_outside_breaks_its_constraint_alone(place):
    reply = solved(f"int a, b in 1..3\ncon element({place}, a, b) >= 1 #1\ncon a >= 1 #2")
    assert (reply["status"], reply["conflict"]) == ("unsatisfiable", ["1"])


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
def test_a_place_outside_its_array_is_no_solution_to_z3_either():
    text = "int v, i in 1..9\nint r[3] in 1..3\ncon v == r[i] #e\ncon i == 5 #f"
    for backend in ("cp-sat", "z3"):
        reply = solved(text, backend=backend)
        assert (reply["status"], sorted(reply["conflict"])) == ("unsatisfiable", ["e", "f"])
    least = "int i in 1..9\nint r[3] in 1..3\nmaximize i + 0 * r[i]"
    assert solved(least)["objective"] == solved(least, backend="z3")["objective"] == 3


def linear(rng):
    """A linear program with strict comparisons, whose numbers leave no room for rounding."""
    terms = " + ".join(f"{rng.randint(-2, 2)} * {name}" for name in ("x", "y", "n"))
    return f"{terms} {rng.choice(['<', '>', '<', '>', '<=', '>=', '=='])} {rng.choice([-1, -0.5, 0, 0.5, 1, 2])}"


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
@pytest.mark.parametrize("seed", range(40))
def test_z3_agrees_with_highs_on_strict_comparisons(seed):
    rng = random.Random(3000 + seed)
    text = "float x, y in 0..1\nint n in 0..2" + "".join(f"\ncon {linear(rng)} #{i}" for i in range(rng.randint(2, 6)))
    ours, theirs = solved(text), solved(text, backend="z3")
    assert ours["status"] == theirs["status"]
    for values in [ours["values"], ours["values"] | ours.get("other", {})] if "values" in ours else []:
        assert not list(broken(parse(text), values))
    if ours["status"] == "unsatisfiable":
        blamed = [line for line in text.splitlines() if line.rpartition("#")[2] in ours["conflict"]]
        for spared in blamed:
            rest = "\n".join([*text.splitlines()[:2], *(line for line in blamed if line != spared)])
            assert solved("\n".join([*text.splitlines()[:2], *blamed]), backend="z3")["status"] == "unsatisfiable"
            assert solved(rest, backend="z3")["status"] != "unsatisfiable"


def test_strict_comparisons_of_fractions_that_contradict_are_named():
    reply = solved("float x, y in 0..1\ncon x < y #a\ncon y < x #b\ncon x >= 0 #c")
    assert (reply["status"], reply["conflict"]) == ("unsatisfiable", ["a", "b"])
    reply = solved("float x in 0..1\ncon x > 1 #a")
    assert (reply["status"], reply["conflict"]) == ("unsatisfiable", ["a"])
    assert solved("float x in 0..1\ncon x > 0 and x < 0.00000001")["status"] == "undecided"
    assert solved("float x in 0..10000000\ncon x > 0.25 and x < 0.5\ncon 2 * x == 0.75")["values"] == {"x": 0.375}


@pytest.mark.parametrize("backend", ["auto", "scipy", *(["z3"] if HAS_Z3 else [])])
def test_a_best_value_that_is_approached_and_not_reached_is_not_called_solved(backend):
    reply = solved("float x in 0..1\ncon x > 0.5\nminimize x", backend=backend)
    assert (reply["status"], "not reached" in reply["reason"], reply.get("values")) == ("undecided", True, None)
    reply = solved("float x in 0..1\ncon x > 0.5\nmaximize x", backend=backend)
    assert (reply["status"], reply["objective"]) == ("solved", pytest.approx(1))


@pytest.mark.parametrize(
    "text",
    [
        "float x in 0..1000000\nfloat k in 0..10\ncon 2 * k < 2.5\nmaximize 0.5 * x + 0.5 * k",
        "float x, k in 0..10\ncon 2 * k < 2.5\nmaximize x + 0.00001 * k",
        "float x, k in 0..10\ncon 2 * k < 2.5\nmaximize x + 0.00000001 * k",
    ],
)
def test_room_that_rounding_has_bought_is_none(text):
    reply = solved(text)
    assert (reply["status"], reply["reason"], "values" in reply) == ("undecided", UNREACHED, False)
    kept = solved(text.replace("<", "<=") + "\nfloat j in 0..9\ncon j < 3")
    assert (kept["status"], kept["values"]["k"]) == ("solved", pytest.approx(1.25))


SMALL = "float x, y in 0..0.0000001\n"


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        (SMALL + "con x >= 0.00000005\nminimize x + y", "solved", {"x": 5e-8, "y": 0}),
        (SMALL + "con x + y <= 0.00000015\ncon x - y <= 0.00000002\nmaximize 2*x + y", "solved", {"x": 8.5e-8}),
        (SMALL + "con x >= 0.0000002", "unsatisfiable", {}),
        (SMALL + "con x >= 0.00000005 and x + y <= 0.00000005", "solved", {"x": 5e-8, "y": 0}),
        (SMALL + "con x >= 0.00000005", "not_unique", {"x": 5e-8}),
        (SMALL + "con x > 0.00000005 and y < x\nmaximize x + y", "undecided", {}),
        (SMALL + "con x > 0.00000005\nmaximize x + y", "solved", {"x": 1e-7, "y": 1e-7}),
        (SMALL + "int n in 0..3\ncon 3000 * x < n and n + y < 1", "unsatisfiable", {}),
        ("float answer in 0..0.0000001\nfloat y in 0..1\ncon answer <= 0.00000005", "not_unique", {}),
        ("float x in 0..1\ncon 0.00000000001 * x >= 0.000000000005\nminimize x", "solved", {"x": 0.5}),
        ("float x in 0..1\ncon 0 * x == 0.00000002", "unsatisfiable", {}),
        ("float x, y in 0..1000000000\ncon x + y >= 5\nminimize x + 0.00000005 * y", "solved", {"x": 0, "y": 5}),
        ("float x in 0..1000\ncon x <= 0 and 0.0000003 * x == 0.000000025", "unsatisfiable", {}),
        ("int n in 0..9\nfloat x in 0..1\ncon n + x >= 3\nminimize 0.00000001 * n + 0.00000001 * x", "solved", {}),
    ],
)  # fmt: skip
def test_highs_decides_small_numbers_as_it_does_large_ones(text, status, told):
    reply = solved(text)
    assert reply["status"] == status
    assert {name: reply["values"][name] for name in told} == pytest.approx(told, rel=1e-6, abs=1e-14)
    if HAS_Z3:
        exact = solved(text, backend="z3")
        assert exact["status"] == status
        assert exact.get("objective", 0) == pytest.approx(reply.get("objective", 0), rel=1e-6, abs=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "float x in 0..1\nfloat y in 0..0.0000001\ncon x + y == 1.00000005 #sum\nmaximize y",
        "float x in 5..5.0000001\ncon x >= 5.00000005 #sum",
        "float x, y in 0..10\ncon x + 0.000000001 * y <= 10 #sum\nmaximize y",
        "float x in 0..10\nfloat y in 0..1000000000\ncon x + y >= 5\nminimize x + 0.0000000001 * y",
    ],
)
def test_what_is_lost_in_the_rounding_of_something_large_is_refused(text):
    reply = solved(text)
    assert (reply["status"], "values" in reply) == ("undecided", False)
    assert re.fullmatch(r"'[xy]' has so small a part in (sum|the objective) that highs .* use z3", reply["reason"])


def test_highs_solves_a_mixed_linear_program():
    text = "float x, y in 0..10\nint n in 0..5\ncon x + 2*y + n <= 14\ncon 3*x - y >= 0 and x - y <= 2"
    text += "\nmaximize 3*x + 4*y + n"
    reply = solved(text)
    assert (reply["status"], reply["objective"]) == ("solved", pytest.approx(34))
    assert (reply["values"]["x"], reply["values"]["y"]) == (pytest.approx(6), pytest.approx(4))


def test_highs_keeps_strict_comparisons_of_whole_numbers_and_asks_for_a_second_solution():
    mixed = "float x in 1..1\nint a, b in 1..3\n"
    reply = solved(mixed + "con a > b\ncon b > 1")
    assert (reply["status"], reply["values"]) == ("solved", {"x": 1, "a": 3, "b": 2})
    assert solved(mixed + "con a > 1\ncon a < 2")["status"] == "unsatisfiable"
    assert solved(mixed + "con a > b")["status"] == "not_unique"
    assert solved("float x in 0..1\ncon 2 * x <= 1")["status"] == "not_unique"


def test_highs_names_the_rows_in_conflict():
    reply = solved("float x in 0..10\ncon x >= 5 #a\ncon x <= 4 #b\ncon x <= 9 #c")
    assert (reply["status"], reply["conflict"]) == ("unsatisfiable", ["a", "b"])


def test_scipy_solves_equations_and_finds_a_least_value():
    text = "float x, y in -3..3\ncon x^2 + y^2 == 4\ncon x * y == 1 and x > 0"
    roots = {round((sqrt(6) + sqrt(2)) / 2, 6), round((sqrt(6) - sqrt(2)) / 2, 6)}
    reply = solved(text)
    assert reply["status"] == "not_unique"
    for values in (reply["values"], reply["values"] | reply["other"]):
        assert {round(value, 6) for value in values.values()} == roots
    assert solved(f"{text}\ncon x > y")["status"] == "solved"
    assert solved(text, unique=False)["status"] == "solved"
    least = solved("float x, y in -3..3\ncon x^2 + y^2 <= 4\nminimize x + y")
    assert least["objective"] == pytest.approx(-2 * sqrt(2))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("float x in -10..10\ncon x * x == 4", "not_unique"),
        ("float x in 0..10\ncon x * x == 4", "solved"),
        ("float x in -10..10\ncon x * x == 4 and x > 0", "solved"),
        ("float x in -10..10\ncon x ^ 4 == 0", "solved"),
        ("float x in 0.5..5\ncon sin(x) == 0", "solved"),
        ("float x in 0.5..7\ncon sin(x) == 0", "not_unique"),
        ("float x in 1..100\ncon 100 / x == 8", "solved"),
        ("float x in 0..10\ncon exp(x) == 5 * x + 20", "solved"),
        ("float x in 0..2\ncon x * x > 4", "undecided"),
        ("float x, y in 0..3\ncon x * y >= 1 and x + y <= 2", "undecided"),
        ("float x, y, z in 0..20\ncon x * y == 12\ncon y * z == 20\ncon x * z == 15", "solved"),
    ],
)
def test_one_solution_of_fractions_is_solved_where_no_other_is_proved(text, status):
    reply = solved(text)
    assert reply["status"] == status
    if "other" in reply:
        assert max(abs(reply["values"][name] - value) for name, value in reply["other"].items()) > 1


@pytest.mark.parametrize("seed", range(8))
def test_a_polynomial_has_as_many_roots_as_it_was_made_from(seed):
    rng = random.Random(seed)
    roots = rng.sample([-4.5, -3.0, -1.5, -0.5, 1.0, 2.5, 4.0], 3)
    low = rng.choice([-5, -2, 0])
    inside = [root for root in roots if root >= low]
    reply = solved(f"float x in {low}..5\ncon {' * '.join(f'(x - {root})' for root in roots)} == 0")
    assert reply["status"] == ["undecided", "solved", "not_unique"][min(2, len(inside))]
    assert not inside or any(reply["values"]["x"] == pytest.approx(root, abs=1e-5) for root in inside)


@pytest.mark.parametrize(
    "text",
    [
        "x * y - x / (y + 4)", "(x - y) ^ 3 + x ^ 2", "sin(3 * x) * cos(y)", "exp(x) - abs(y)",
        "sqrt(x + 3) * log(y + 4)", "max(x, y) - min(x, 0.5)", "sum(x, y, -x)", "-(x ^ 4)",
    ],
)  # fmt: skip
def test_bounds_over_a_box_hold_at_every_point_of_it(text):
    rng, target = random.Random(text), parse(f"float x, y in -3..3\ncon {text} == 0").constraints[0].expr.args[0]
    for _ in range(30):
        box = {name: tuple(sorted((rng.uniform(-2.5, 2.5), rng.uniform(-2.5, 2.5)))) for name in "xy"}
        (low, high), slopes = bounds_and_slopes(target, box)
        for _ in range(10):
            value, rates = value_and_slopes(target, {name: rng.uniform(*box[name]) for name in "xy"})
            assert low <= value <= high
            assert all(slopes[name][0] <= rate <= slopes[name][1] for name, rate in rates.items())


@pytest.mark.parametrize("backend", ["auto", *(["z3"] if HAS_Z3 else [])])
def test_an_answer_in_fractions_is_decided_where_the_rest_is_open(backend):
    reply = solved("float x, answer in 0..1\ncon 3 * answer == 1", backend=backend)
    assert (reply["status"], reply["values"]) == ("solved", {"answer": pytest.approx(1 / 3)})
    reply = solved("float x, answer in 0..1\ncon 3 * answer + x == 1", backend=backend)
    assert (reply["status"], "answer" in reply["other"]) == ("not_unique", True)


def test_what_no_start_solves_is_undecided_and_not_called_unsatisfiable():
    assert solved("float x in -3..3\ncon x^2 == -1")["status"] == "undecided"


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("float x in 0..1\ncon x == 1 or x == 0", {"backend": "scipy"}, "the back-end z3 takes logic"),
        ("float x in 0..1", {"backend": "cp-sat"}, "'x' is a fraction"),
        ("float x in 0..1\ncon x * x == 1", {"backend": "highs"}, "not linear"),
        ("float x in 0..5\nint n in {1, 4}\ncon x == n", {"backend": "highs"}, "skips values"),
        ("int a in 0..3\ncon 2 / a == 1", {"backend": "cp-sat"}, "'/' gives fractions"),
        ("int a in 0..3\ncon a ^ a == 1", {}, "an exponent"),
        ("int a in 0..1000000000\ncon a * a * a * a == 1", {"backend": "cp-sat"}, "give its variables smaller bounds"),
        ("int a in 0..1000000000\ncon 10000000000 * a <= 5 #c", {"backend": "cp-sat"}, "c: its terms can come to 10,0"),
        ("int a in 0..1000000000\nmaximize a * 1000000000000000", {"backend": "cp-sat"}, "the objective: its terms"),
        ("int a in 0..9\ncon a * 1000000000000000 * 1000000000000000 > 5", {"backend": "cp-sat"}, "cp-sat counts to"),
        ("int a in 0..3", {"backend": "abacus"}, "there is no back-end 'abacus'"),
    ],
)  # fmt: skip
def test_what_a_backend_does_not_take_is_said(text, settings, reason):
    reply = solved(text, **settings)
    assert reply["status"] == "unreadable"
    assert reason in reply["reason"]


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("float x in 0..1\ncon x == 0.75 or x > 1", {"x": 0.75}),
        ("int n in 2..3\nfloat x in 0..1\ncon n * x == 3", {"n": 3, "x": 1}),
        ("bool p\nfloat x in 0.75..0.75\ncon p iff x > 0.5", {"p": 1, "x": 0.75}),
        ("int i in 1..2\nfloat x in 0..0.5\nfloat y in 0.9..0.9\ncon element(i, x, y) - x == 0.9", None),
        ("int n in {1, 4}\nfloat x in 3..5\ncon x == n", {"n": 4, "x": 4}),
        ("int a, b in 1..3\ncon a / b == 3", {"a": 3, "b": 1}),
        ("int a in 0..1000000000\ncon 10000000000 * a <= 5", {"a": 0}),
        ("int a in 0..1000000000\nmaximize a * 1000000000000000", {"a": 10**9}),
    ],
)
def test_z3_is_chosen_for_what_no_other_backend_takes(text, values):
    reply = solved(text)
    assert reply["status"] == "solved"
    assert values is None or reply["values"] == values


def test_what_only_z3_takes_names_the_extra_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "z3", None)
    reply = solved("float x in 0..1\ncon x > 0.5 or x < 0.2")
    assert (reply["status"], "pip install 'trueup[smt]'" in reply["reason"]) == ("unreadable", True)
    assert "trueup[smt]" not in solved("float x in 0..1\ncon sin(x) > 0.5 or x < 0.2")["reason"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("int a, b in 0..3\ncon 0.5 * a + 2 * b > 7.4", {"a": 3, "b": 3}),
        ("int a, b in 0..3\ncon 0.1 * a + 0.2 * b >= 0.9 or a > 3", {"a": 3, "b": 3}),
        ("int a in 0..9\ncon (a - 1) / 4 == 1.5", {"a": 7}),
        ("int a, b in 0..1\nmaximize 0.25 * a - 0.125 * b", {"a": 1, "b": 0}),
    ],
)
def test_decimals_beside_whole_numbers_are_exact_to_cp_sat(text, values):
    reply = solved(text, backend="cp-sat")
    assert (reply["status"], reply["values"]) == ("solved", values)


@pytest.mark.parametrize("backend", ["cp-sat", *(["z3"] if HAS_Z3 else [])])
@pytest.mark.parametrize("further", ["", "con b == 1 #innocent\n"])
def test_an_objective_without_a_value_blames_no_constraint(backend, further):
    reply = solved(f"int i in 5..6\nint b in 0..1\n{further}maximize element(i, 1, 2)", backend=backend)
    assert (reply["status"], "conflict" in reply) == ("undecided", False)
    assert "the objective has no value" in reply["reason"]
    clash = f"int i in 5..6\nint b in 0..1\n{further}con b > 1 #wrong\nmaximize element(i, 1, 2)"
    assert solved(clash, backend=backend)["conflict"] == ["wrong"]


@pytest.mark.parametrize("kind", ["float", *(["int"] if HAS_Z3 else [])])
@pytest.mark.parametrize("backend", ["auto", *(["z3"] if HAS_Z3 else [])])
def test_nothing_divided_by_zero_is_a_solution(backend, kind):
    reply = solved(f"{kind} x in 0..4\n{kind} y in 0..0\ncon x / y == 3", backend=backend)
    assert reply["status"] == ("undecided" if (backend, kind) == ("auto", "float") else "unsatisfiable")


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
def test_powers_without_a_value_are_no_solution_to_z3():
    assert (
        solved("float x in -1..0\nfloat y in 0..4\ncon x ^ 0.5 == y and x < 0", backend="z3")["status"]
        == "unsatisfiable"
    )
    assert solved("int a in 1..3\ncon a ^ -1 == 0.5", backend="z3")["values"] == {"a": 2}


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
def test_what_z3_does_not_know_is_told_with_its_reason_and_not_as_time():
    reply = solved("float x in 0..4\ncon x ^ x == 4", backend="z3")
    assert (reply["status"], "its reason" in reply["reason"]) == ("undecided", True)
    reply = solved("float x in 0..2\ncon x ^ 2 == 2", backend="z3")
    assert (reply["status"], reply["values"]["x"]) == ("solved", pytest.approx(sqrt(2)))


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
def test_z3_proves_a_best_value_that_its_optimiser_misnames():
    text = "float x, z in -1..2.5\nint y in -3..3\ncon -1 * y >= -2\ncon 0.5 * x + -2 * y + 2 * z >= 1.5\n"
    reply = solved(f"{text}con 2 * x + 0.5 * z >= 1\nmaximize 3 * x + 0.5 * y + -1 * z", backend="z3")
    assert (reply["status"], reply["objective"]) == ("solved", 7.875)


class LazyOptimiser:
    """Names any solution as the best one."""

    def __init__(self):
        import z3

        self.solver = z3.Solver()

    def __getattr__(self, name):
        return getattr(self.solver, name)

    def maximize(self, goal):
        import z3

        return type("Bound", (), {"upper_values": lambda self: (z3.IntVal(0), z3.IntVal(10**6), z3.IntVal(0))})()

    minimize = maximize


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
@pytest.mark.parametrize(("top", "status"), [(6, "solved"), (10**6, "undecided")])
def test_a_best_value_that_z3_misnames_is_held_to_a_better_one(top, status, monkeypatch):
    monkeypatch.setattr("z3.Optimize", LazyOptimiser)
    reply = solved(f"int a, b in 0..{top}\ncon a + b <= {top}\nmaximize a * 2 + b", backend="z3")
    assert (reply["status"], reply.get("objective", 0)) == (status, 12 if top == 6 else 0)


@pytest.mark.skipif(not HAS_Z3, reason="z3-solver is not installed")
@pytest.mark.parametrize(("why", "told"), [("incomplete", " (its reason: incomplete)"), ("", "")])
def test_what_z3_gives_as_its_reason_is_told_where_it_gives_one(why, told):
    import z3

    search = smt.Search(z3, parse("int a in 0..1"), 10.0)
    says = type("Says", (), {"reason_unknown": lambda self: why})()
    assert search.unknown(by=says) == {"status": "undecided", "reason": smt.GAVE_UP + told}


def test_a_large_best_value_is_exact():
    assert solved("int a in 0..999999999\nmaximize a * 4000000001")["objective"] == 999999999 * 4000000001


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("int answer in 1..3\nint x in 0..1\nmaximize x", "not_unique"),
        ("int answer in 1..3\nint x in 0..1\ncon answer == x + 1\nmaximize x", "solved"),
        ("int answer, x in 0..3\ncon answer == 2 * x - 3\nminimize 0.1 * answer + 0.2 * x", "solved"),
        (
            "int a, b in 0..1\nint answer in 0..9\ncon a + b <= 1\ncon answer == 5 * (a + b)\nmaximize answer",
            "solved",
        ),
        ("int answer, b in 0..1\ncon answer + b <= 1\nmaximize 0.1 * answer + 0.1 * b", "not_unique"),
        ("float answer in 1..3\nfloat x in 0..1\nmaximize x", "not_unique"),
        ("float answer in 1..3\nfloat x in 0..1\ncon answer == x + 1\nmaximize x", "solved"),
        ("int answer in 1..3\nfloat x in 0..1\ncon x <= 0.5\nmaximize x", "not_unique"),
        ("float answer in -1..3\nfloat x in -2..2\nminimize x * x + answer * answer", "solved"),
        ("float answer in -1..3\nfloat x in -2..2\nminimize x * x", "not_unique"),
        ("float answer in 3..3\nfloat x in -2..2\nminimize x * x", "solved"),
    ],
)
def test_an_answer_beside_an_objective_is_one_that_all_best_solutions_have(text, status):
    reply = solved(text)
    assert reply["status"] == status
    assert ("only_answer" in reply) == (status == "solved")
    assert ("answer" in reply.get("other", {})) == (status == "not_unique")
    assert solved(text, unique=False)["status"] == "solved"


def test_a_least_value_that_may_be_a_local_one_is_not_called_the_best():
    (far, near) = (
        solved(f"float x in -{bound}..{bound}\nmaximize {of}", backend="scipy")
        for bound, of in (("1e8", "x^3"), ("3", "x - x^2"))
    )
    assert (far["status"], near["status"]) == ("undecided", "solved")
    assert "not proved to be the best" in far["reason"] and abs(near["objective"] - 0.25) < 1e-6


def test_the_smallest_conflict_is_found_with_few_questions():
    asked = []

    def contradicts(names):
        asked.append(names)
        return {"k7", "k40"} <= set(names)

    assert smallest_conflict([f"k{i}" for i in range(64)], contradicts, lambda: True) == ["k7", "k40"]
    assert len(asked) < 30


@pytest.mark.parametrize("ticks", range(40))
def test_a_conflict_that_time_cuts_short_is_larger_and_still_one(ticks):
    left = [ticks]

    def has_time():
        left[0] -= 1
        return left[0] >= 0

    names = [f"k{i}" for i in range(64)]
    found = smallest_conflict(names, lambda asked: {"k3", "k40"} <= {*asked}, has_time)
    assert {"k3", "k40"} <= {*found} <= {*names}


def test_a_written_program_is_solved_in_its_own_words():
    async def story():
        solver = program()
        texts = [
            "So:\n```\nenum Pet: cat, dog\nvar a, b in Pet\ncon a != b\ncon a == dog\n```\nThat is all.",
            "int a in 1..3\ncon a < 1 #1\ncon a > 0 #2",
            "int a in 1..3",
            "int a in",
            '{"variables": [{"name": "a", "type": "bool"}], "constraints": [{"expr": "a"}]}',
        ]
        found = [await solver.solve(Problem("p", "s", (Message("user", text),))) for text in texts]
        await solver.close()
        return found

    one, none, many, wrong, wired = asyncio.run(story())
    assert (one.status, one.answer) == ("solved", "a = dog\nb = cat")
    assert (none.status, none.conflict) == ("unsatisfiable", ("1",))
    assert many.status == "not_unique"
    assert (wrong.status, wrong.reason) == (
        "unreadable",
        "line 1, column 9: a number is wanted here, not the end of the line",
    )
    assert wired.text == "a = true"
