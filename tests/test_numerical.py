"""Power flow and quadratic programs as tasks: read back, marked apart, dialled by iterations, solved."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from scipy.optimize import lsq_linear

from trueup.core.csp import parse
from trueup.core.csp.values import broken
from trueup.core.errors import BadInput, UnknownName
from trueup.core.numerical import PowerFlow, Quadratic, canonical_numbers, stated
from trueup.core.power import CASES, newton, read_case
from trueup.core.quadratic import active_set, box_quadratic, projected_gradient
from trueup.core.types import Message, Problem
from trueup.solvers.convex import is_convex
from trueup.solvers.decide import decide
from trueup.solvers.numerical import numerical as solver_of
from trueup.tasks.power_flow import drawn_power_flow, power_flow, sweeps
from trueup.tasks.quadratic import drawn_quadratic, quadratic
from trueup.verifiers.numerical import Marks, marked, numerical

FLOWS = [f"{buses} model={model}" for buses in CASES for model in ("ac", "dc")]
BOXES = ["1", "2 condition=10", "4 condition=100 active=2", "8 condition=1000", "12 active=0"]
WORDS = [("power_flow", words) for words in FLOWS] + [("quadratic", words) for words in BOXES]
GOLDEN = json.loads((Path(__file__).parent / "data" / "numerical.json").read_text(encoding="utf-8"))
SOURCES = {"power_flow": power_flow, "quadratic": quadratic}
EVERY = pytest.mark.parametrize(("family", "words"), WORDS)


def drawn(family, words, amount=1, seed=0):
    return SOURCES[family](words, stratum="s", limit=amount, seed=seed)


def asked(text):
    return Problem("one", "s", (Message("user", text),))


def three(**dials):
    return drawn_power_flow(random.Random(0), 3, **dials)


# questions


@EVERY
def test_a_question_is_read_back_from_its_statement(family, words):
    (item,) = drawn(family, words)
    question = stated(item.problem.prompt[0].content)
    assert question.statement() == item.problem.prompt[0].content
    assert len(question.unknowns) == len(question.residuals(question.solution()).equations)


@EVERY
def test_the_reference_answer_is_right_and_of_its_schema(family, words):
    (item,) = drawn(family, words)
    verifier = numerical(family=family, tolerance=1e-3)
    grade = verifier.check(verifier.read(f"So it is\n{item.reference}\nas computed."), item.problem, None)
    assert grade.is_right, grade.note
    jsonschema.validate(json.loads(item.reference), json.loads(item.problem.schema))


@EVERY
def test_the_reference_satisfies_the_constraint_program(family, words):
    (item,) = drawn(family, words)
    question = stated(item.problem.prompt[0].content)
    assert not list(broken(parse(question.constraints()), question.solution()))


def test_a_program_states_what_newton_solves():
    question = PowerFlow(read_case(3))
    assert question.solution() == pytest.approx(
        {"a2": -0.047062, "a3": -0.008706, "v2": 0.971680, "p1": 2.184228, "q1": 1.408515, "q3": 1.461769}, abs=1e-6
    )
    lines = question.constraints().splitlines()
    assert lines[2] == "float v2 in 0.9..1.1"
    assert sum(line.startswith("con ") for line in lines) == len(question.unknowns) == 6


def test_any_state_has_the_residuals_of_its_mismatch():
    question = PowerFlow(read_case(9))
    state = newton(question.case, tolerance=0.5).state
    residuals = question.residuals(question.values_at(state))
    assert residuals.worst == pytest.approx(newton(question.case, tolerance=0.5).errors[-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Find the AC power flow of this system of 3 buses.",
        "Find the AC power flow of this system of 3 buses.\n```json\n[1, 2\n```",
        "Find the AC power flow of this system of 3 buses.\n```json\n" + "[" * 5000 + "]" * 5000 + "\n```",
        "Find the DC power flow of this system of 1 buses.\n```json\n" + '{"buses": [[NaN]], "generators": 1}\n```',
        "Find the x that makes x'Hx/2 + c'x least while every variable keeps its bounds.\n```json\n{}\n```",
        "Find the x that makes x'Hx/2 + c'x least while every variable keeps its bounds.\n"
        '```json\n{"H": [[1, 0], [0, -1]], "c": [0, 0], "low": [0, 0], "high": [1, 1]}\n```',
        "Find the x that makes x'Hx/2 + c'x least while every variable keeps its bounds.\n"
        '```json\n{"H": [[1]], "c": [1' + "0" * 400 + '], "low": [0], "high": [1]}\n```',
    ],
)
def test_what_states_no_sound_question_is_read_as_none(text):
    assert stated(text) is None


@pytest.mark.parametrize("name", ["ac", "dc", "quadratic"])
def test_a_statement_reads_as_it_did(name):
    box = box_quadratic([[2.0, 0.5], [0.5, 1.0]], [-1.0, 0.25], [-1.0, -1.0], [1.0, 1.0])
    question = Quadratic(box) if name == "quadratic" else PowerFlow(read_case(3), name)
    assert question.statement().splitlines() == GOLDEN[name]["statement"]
    assert json.loads(question.answer(question.solution())) == GOLDEN[name]["answer"]


@pytest.mark.parametrize("name", ["dc", "quadratic"])
def test_a_constraint_program_reads_as_it_did(name):
    question = stated("\n".join(GOLDEN[name]["statement"]))
    assert question.constraints().splitlines() == GOLDEN[name]["constraints"]


# marks


def test_equations_and_bounds_are_counted_apart():
    question = three()
    values = question.solution()
    turned = marked(question.residuals(values | {"a2": values["a2"] + 0.05}), 0.01)
    assert (turned.equations_held, turned.bounds_held) == (0, 6)
    fed = marked(question.residuals(values | {"q3": 3.5}), 0.01)
    assert (fed.equations_held, fed.bounds_held) == (5, 5)


def test_a_flat_guess_keeps_every_bound_and_misses_the_equations():
    question = drawn_power_flow(random.Random(0), 14)
    guess = {one.name: (one.low + one.high) / 2 for one in question.unknowns}
    marks = marked(question.residuals(guess), 0.01)
    assert marks.bounds_held == marks.bounds
    assert marks.equations_held < marks.equations / 4


def test_a_point_outside_the_box_fails_its_bound_alone():
    question = Quadratic(box_quadratic([[2.0, 0.0], [0.0, 4.0]], [-8.0, 0.0], [-1.0, -1.0], [1.0, 1.0]))
    marks = marked(question.residuals({"x1": 4.0, "x2": 0.0}), 0.01)
    assert marks == Marks(2, 2, 2, 1, 0.0)


def test_a_partly_right_answer_gets_the_smaller_share():
    question, verifier = three(), numerical()
    values = question.solution()
    text = question.answer(values | {"q3": values["q3"] + 0.5, "p1": values["p1"] + 0.5})
    grade = verifier.check(verifier.read(text), asked(question.statement()), None)
    assert grade.value == pytest.approx(4 / 6)
    assert grade.note == "4 of 6 equations, 6 of 6 bounds, largest residual 0.5"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("no numbers", None),
        ('{"v": {"2": "high"}}', None),
        ('{"v": {"2": true}}', None),
        ("[1, 2]", None),
        ('{"v": {"2": 1e999}}', None),
        ('<think>{"v": {"2": 1}}', None),
        ('```json\n{"v": {"2": 1, "10": 0.97000000004}, "p": 2}\n```', '{"p": 2.0, "v": {"10": 0.97, "2": 1.0}}'),
    ],
)
def test_an_answer_is_an_object_of_numbers(text, read):
    assert numerical().read(text) == read


@pytest.mark.parametrize("text", ['{"v": {"2": 1}}', '{"angle_deg": [1], "v": 1, "p": {}, "q": {}}', "{}"])
def test_an_answer_that_leaves_something_out_is_wrong(text):
    verifier, problem = numerical(), asked(three().statement())
    assert verifier.check(verifier.read(text), problem, None).value == 0


def test_a_list_of_the_wrong_length_is_wrong():
    verifier, question = numerical(family="quadratic"), drawn_quadratic(random.Random(0), 3)
    assert verifier.check('{"x": [0.0, 0.0]}', asked(question.statement()), None).value == 0


def test_a_verifier_says_what_it_was_given():
    with pytest.raises(UnknownName, match="did you mean 'power_flow'"):
        numerical(family="powerflow")
    with pytest.raises(BadInput, match="tolerance is 0"):
        numerical(tolerance=0)
    with pytest.raises(BadInput, match="item 'one': its last user message states no power_flow"):
        numerical().check("{}", asked("What is 1 + 1?"), None)


# dials


@pytest.mark.parametrize(("family", "words"), [("power_flow", "5 lines=2"), ("quadratic", "3 condition=20")])
def test_an_item_depends_on_the_seed_and_its_place_alone(family, words):
    few, more = drawn(family, words, 2, seed=4), drawn(family, words, 4, seed=4)
    assert few == more[:2]
    assert drawn(family, words, 2, seed=5) != few
    assert len({item.problem.prompt for item in more}) == 4


@pytest.mark.parametrize("iterations", ["8..12", "20..30", "38..50"])
def test_sweeps_are_dialled_at_the_same_size_of_the_text(iterations):
    question = three(lines=4.0, iterations=iterations)
    low, high = map(int, iterations.split(".."))
    assert low <= sweeps(question) <= high
    assert len(question.unknowns) == 6


@pytest.mark.parametrize("iterations", ["5..20", "100..150", "300..500"])
def test_steps_are_dialled_at_the_same_size_of_the_text(iterations):
    question = drawn_quadratic(random.Random(1), 3, condition=100.0, iterations=iterations)
    low, high = map(int, iterations.split(".."))
    assert low <= projected_gradient(question.problem).iterations <= high


@pytest.mark.parametrize("active", [0, 1, 4])
def test_so_many_variables_end_at_a_bound(active):
    question = drawn_quadratic(random.Random(2), 4, active=active)
    assert sum(abs(value) == 1 for value in question.solution().values()) == active


def test_the_condition_number_is_what_was_asked_for():
    H = drawn_quadratic(random.Random(3), 5, condition=50.0).problem.H
    assert np.linalg.cond(H) == pytest.approx(50, rel=0.01)


def test_loads_lie_around_the_published_ones():
    case = three(load=0.5, spread=0.1).case
    assert 0.45 * 4.0 <= case.buses[1].load_p <= 0.55 * 4.0


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("power_flow", "ieee", "power_flow:ieee begins with 'ieee'; write a number first, as power_flow:3"),
        ("power_flow", "7", "no power system of 7 buses"),
        ("power_flow", "3 model=hybrid", "power_flow:3 model is 'hybrid'; it takes ac, dc"),
        ("power_flow", "3 load=9", "power_flow:3 load is 9.0; it takes 0.1 to 2"),
        ("power_flow", "3 sweeps=9", "unknown setting of power_flow:3 'sweeps'"),
        ("power_flow", "3 iterations=few", "power_flow:3 iterations is 'few'; write a number as 4"),
        ("power_flow", "3 model=dc iterations=5", "dc is one linear system; leave it out"),
        ("quadratic", "0", "quadratic:0 size is 0; it takes 1 to 30"),
        ("quadratic", "2 condition=1e9", "quadratic:2 condition is 1000000000.0; it takes 1"),
        ("quadratic", "1 iterations=50", "quadratic:1 found no puzzle with condition=10 .* loosen one of these"),
        ("quadratic", "2 active=3", "quadratic:2 active is 3; it takes 0 to 2"),
    ],
)
def test_dials_that_cannot_be_met_are_named(family, words, message):
    with pytest.raises(BadInput, match=message):
        drawn(family, words)


# quadratic references


@pytest.mark.parametrize(("size", "condition"), [(1, 1.0), (2, 10.0), (6, 1000.0), (20, 100.0)])
def test_the_active_set_finds_what_scipy_finds(size, condition):
    for seed in range(5):
        problem = drawn_quadratic(random.Random(seed), size, condition=condition).problem
        R = np.linalg.cholesky(problem.H).T
        other = lsq_linear(R, -np.linalg.solve(R.T, problem.c), (problem.low, problem.high), method="bvls", tol=1e-14)
        np.testing.assert_allclose(active_set(problem), other.x, atol=1e-8)


def test_a_diagonal_program_is_solved_variable_by_variable():
    problem = box_quadratic(np.diag([1.0, 2.0, 4.0]), [0.5, -6.0, 8.0], [-1.0] * 3, [1.0] * 3)
    np.testing.assert_allclose(active_set(problem), [-0.5, 1.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(projected_gradient(problem, tolerance=1e-12).x, [-0.5, 1.0, -1.0], atol=1e-11)


def test_projected_gradient_shrinks_the_distance_by_the_condition_number():
    problem = drawn_quadratic(random.Random(5), 4, condition=20.0).problem
    best, way = active_set(problem), projected_gradient(problem, tolerance=1e-10)
    far = np.array([np.linalg.norm(x - best) for x in way.path])
    kept = far[:-1] > 1e-8
    assert (far[1:][kept] <= (1 - 0.98 / 20) * far[:-1][kept]).all()
    assert way.iterations == len(way.path) - 1


def test_one_step_is_enough_where_all_curvatures_are_alike():
    problem = box_quadratic(np.eye(3) * 5, [1.0, -9.0, 2.0], [-1.0] * 3, [1.0] * 3)
    assert projected_gradient(problem).iterations == 1


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (([[1.0, 2.0], [2.0, 1.0]], [0, 0], [0, 0], [1, 1]), "symmetric and positive definite"),
        (([[1.0, 0.5], [0.0, 1.0]], [0, 0], [0, 0], [1, 1]), "symmetric and positive definite"),
        (([[1.0]], [0], [1], [0]), "variable 1 has its lower bound"),
        (([[1.0]], [float("nan")], [0], [1]), "finite numbers"),
        (([[1.0]], [0, 1], [0], [1]), "have shapes"),
        (([["a"]], [0], [0], [1]), "is made of numbers"),
    ],
)
def test_a_program_without_one_least_value_is_refused(parts, words):
    with pytest.raises(BadInput, match=words):
        box_quadratic(*parts)


def test_too_few_steps_are_told():
    with pytest.raises(BadInput, match="is left after 3 steps"):
        projected_gradient(drawn_quadratic(random.Random(0), 4, condition=500.0, active=0).problem, most=3)


# the solver


def solved(items, **limits):
    async def all_of_them():
        solver = solver_of(**limits)
        found = [await solver.solve(item.problem) for item in items]
        await solver.close()
        return found

    return asyncio.run(all_of_them())


def test_the_solver_answers_every_family_and_size():
    some = [("power_flow", f"{n} model=ac") for n in CASES] + [("power_flow", "30 model=dc")] + WORDS[-3:]
    items = [item for family, words in some for item in drawn(family, words, seed=9)]
    families = [family for family, _ in some]
    for family, item, solution in zip(families, items, solved(items), strict=True):
        verifier = numerical(family=family, tolerance=1e-3)
        assert solution.status == "solved"
        assert solution.answer == verifier.read(solution.text)
        assert verifier.check(solution.answer, item.problem, None).is_right


def test_a_system_whose_limits_cannot_be_kept_is_not_answered():
    case = read_case(3)
    tight = replace(case, buses=(*case.buses[:1], replace(case.buses[1], v_low=1.02), *case.buses[2:]))
    reply = decide({"stated": PowerFlow(tight).constraints()}, 1.0)
    assert reply["status"] in ("undecided", "timeout")
    (linear,) = (replace(one, p_high=0.5) for one in case.generators[:1])
    reply = decide(
        {"stated": PowerFlow(replace(case, generators=(linear, case.generators[1])), "dc").constraints()}, 5.0
    )
    assert reply["status"] == "unsatisfiable"


def test_what_states_no_question_is_unreadable():
    (item,) = drawn("quadratic", "1")
    (solution,) = solved([replace(item, problem=asked("How are you?"))])
    assert solution.status == "unreadable"


@pytest.mark.parametrize(
    ("text", "convex"),
    [
        ("minimize x^2 + y^2 - x*y", True),
        ("minimize x^2 + y^2 - 3*x*y", False),
        ("maximize 2*(x - y)*(y - x) / 4 - 3", True),
        ("maximize x^2", False),
        ("minimize x + y", True),
        ("minimize 3", True),
        ("minimize (x / 2)^2 - 4*x", True),
        ("minimize x / y", False),
        ("minimize x^3", False),
        ("minimize sin(x)", False),
    ],
)
def test_what_curves_upwards_is_called_convex(text, convex):
    assert is_convex(parse(f"float x, y in -1..1\n{text}").objective) == convex


def test_canonical_numbers_are_equal_for_equal_answers():
    assert canonical_numbers('{"x": [1, -0.0000001]}') == canonical_numbers('{"x": [1.0000000001, 0]}')
