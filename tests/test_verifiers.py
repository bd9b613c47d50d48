"""Answers read out of texts, and their grades."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace

import pytest

from trueup.core.errors import BadInput, Unavailable, UnknownName
from trueup.core.types import Message, Problem
from trueup.verifiers import constraint, exact, function_call, gym, json_schema, math, number

PROBLEM = Problem("p1", "s", (Message("user", "?"),))
PUZZLE = "Fill it.\n\n1 _ 3 _\n_ 4 _ 2\n2 _ 4 _\n_ 3 _ 1"
SOLVED = "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("The answer is 42.", "42"),
        (r"so \boxed{42}. There were 7 of them", "42"),
        (r"\boxed{41} no, \boxed{42}", "42"),
        ("#### 42\nthat took 3 steps", "42"),
        ("23 + 45 = 68", "68"),
        ("Answer: **1,000** dollars in 2 days", "1000"),
        ("The answer is 5 + 3 = 8, not 9", "8"),
        ("the answer is $x = 5$ of 7", "5"),
        ("0.50", "1/2"),
        (".5", "1/2"),
        ("1/2", "1/2"),
        ("2/4", "1/2"),
        (r"\frac{1}{2}", "1/2"),
        (r"-\dfrac12", "-1/2"),
        (r"2\frac{1}{2}", "5/2"),
        ("2 1/2 cups", "5/2"),
        ("1,234,567.5", "2469135/2"),
        (r"10{,}000", "10000"),
        ("10\u202f000", "10000"),
        ("1.5e3", "1500"),
        ("\u22123", "-3"),
        ("-$5", "-5"),
        ("10-3", "3"),
        ("10 - 3", "3"),
        ("50%", "50%"),
        ("50 percent", "50%"),
        (r"50\%", "50%"),
        ("(3,4)", "4"),
        ("<think>maybe 4</think>5", "5"),
        ("12 apples", "12"),
        (r"\boxed{3\frac12}", "7/2"),
        (r"\boxed{-3\tfrac12}", "-7/2"),
        (r"\boxed{10\frac23}", "32/3"),
        (r"\boxed{\frac{1}2}", "1/2"),
        ("#### 1 000", "1000"),
        ("The answer is 1 234 567 dollars", "1234567"),
        ("counted 100 200 300", "300"),
        ("The answer is 5\n100 of them", "5"),
    ],
)
def test_number_has_one_form_for_one_value(text, value):
    assert number().read(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "none", "x2", "1/0", "####", r"\boxed{} 3", r"\boxed{(3,4)} 7", "<think>so 4", "9" * 400, "#### 1e5000",
        "#### 1e" + "9" * 5000, "2 things. The answer is 1e5000", "3 apples. The answer is 1/0", r"\boxed{1e5000, 5}",
    ],
)  # fmt: skip
def test_what_is_no_number_is_unparsable(text):
    assert number().read(text) is None


def test_the_same_words_with_another_last_number_differ():
    shared = "She had 12 apples and ate some, so the number of apples that are left is "
    assert number().read(shared + "41") != number().read(shared + "42")


def test_percent_is_kept_apart_from_the_plain_number():
    assert len({number().read(text) for text in ("50%", "50", "0.5")}) == 3


def test_units_count_only_when_asked_for():
    assert number().read("5 km") == number().read("5 m") == "5"
    assert number(units=True).read("5 km") == "5 km" != number(units=True).read("5 m")
    assert number(units=True).read("$3.50") == "7/2 $"


@pytest.mark.parametrize(("answer", "reference", "value"), [("1/2", 0.5, 1.0), ("1/2", "#### .50", 1.0), ("2", 1, 0.0)])
def test_number_grades_by_value(answer, reference, value):
    assert number().check(answer, PROBLEM, reference).value == value


def test_tolerance_is_an_absolute_difference():
    near = number(tolerance=0.01)
    assert near.check("333/1000", PROBLEM, "1/3").value == 1.0
    assert near.check("8/25", PROBLEM, "1/3").value == 0.0
    assert near.check("1/3%", PROBLEM, "1/3").value == 0.0


def test_settings_that_change_a_verdict_are_in_the_name():
    names = [number(), number(units=True), number(tolerance=0.1), exact(), exact(case=True), exact(pattern="(a)")]
    assert len({verifier.name for verifier in names}) == len(names)


def test_a_reference_that_cannot_be_read_is_bad_input():
    with pytest.raises(BadInput, match=r"'p1'.*'many'"):
        number().check("1", PROBLEM, "many")
    with pytest.raises(BadInput, match="'p1'"):
        exact().check("1", PROBLEM, " ")
    for nothing in ([None], ["none", None]):
        with pytest.raises(BadInput, match=r"'p1'.*is empty; give the right answer"):
            exact().check("none", PROBLEM, nothing)
    with pytest.raises(BadInput, match="'p1'"):
        math().check("1", PROBLEM, "a lot of words")


def test_a_null_reference_has_no_words_of_its_own():
    assert {exact().check(said, PROBLEM, None).value for said in ("none", "null", "")} == {0.0}
    assert exact().check("none", PROBLEM, "None").value == 1.0


@pytest.mark.parametrize("text", ["Paris", " paris. ", '"PARIS"', "**Paris**", r"\boxed{Paris}", "so\n#### Paris"])
def test_exact_forgives_case_quotes_and_end_marks(text):
    assert exact().read(text) == "paris"


def test_exact_reads_a_letter_in_or_out_of_brackets():
    assert {exact().read(text) for text in ("B", "(b)", "B.", "b)")} == {"b"}


def test_exact_takes_the_last_match_of_its_pattern():
    letter = exact(pattern=r"answer: (\w)", case=True)
    assert letter.read("answer: A\nno, answer: B") == "B"
    assert letter.read("it is B") is None


@pytest.mark.parametrize("said", ["91", "91.0", "91."])
def test_exact_takes_a_whole_number_in_both_its_spellings(said):
    assert exact().check(exact().read(said), PROBLEM, 91.0).value == 1.0
    assert exact().check(exact().read(said), PROBLEM, [90.0, 91.0]).value == 1.0
    assert exact().check(exact().read(said), PROBLEM, 91.5).value == 0.0


@pytest.mark.parametrize(
    ("reference", "shown"),
    [(True, "true"), ({"a": 1}, '{"a": 1}'), (["x", False], '["x", false]'), ([["x"]], '[["x"]]')],
)
def test_exact_refuses_a_reference_that_is_no_text_and_no_number(reference, shown):
    with pytest.raises(BadInput) as caught:
        exact().check("true", PROBLEM, reference)
    assert f"item {PROBLEM.id!r}: the reference {shown} is neither text nor number" in str(caught.value)


def test_exact_accepts_any_of_a_list():
    assert exact().check("nyc", PROBLEM, ["New York", "NYC"]).value == 1.0
    assert exact().check("york", PROBLEM, ["New York", "NYC"]).value == 0.0


@pytest.mark.parametrize("pattern", ["(", "a", "(a)(b)"])
def test_a_pattern_needs_one_group(pattern):
    with pytest.raises(BadInput, match="pattern"):
        exact(pattern=pattern)


@pytest.mark.parametrize(
    "equal",
    [
        (r"\boxed{\frac{1}{2}}", "0.5", "1/2", "The answer is $1/2$."),
        ("(x+1)^2", "x^2+2x+1", "$1 + 2x + x^2$"),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", "sqrt(2)/2"),
        (r"\{1,2\}", r"\{2,1\}"),
        ("x=5", "5", r"\frac{10}{2}"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"3\times10^2", "300", "It is 300."),
        ("#### 3 1/2", r"\boxed{3 1/2}", r"\boxed{3\frac12}", "The answer is **3 1/2**.", "7/2"),
        ("#### -2 3/4", r"x = -2 3/4", "-11/4"),
        ("#### 1 000", r"\boxed{1\,000}", r"\boxed{1~000}", "The answer is 1 000 dollars.", "1e3", "1000"),
        ("The answer is 1 234.", "1234"),
        ("#### 1e5", "1E+05", "100000", "10 000 000 / 1e2"),
        ("1e-05", "1.0e-5", "1/100000"),
        (r"\boxed{2e-1}", "2e - 1"),
        (r"\boxed{(1 000, 3 1/2)}", r"(1000, \frac{7}{2})"),
        (r"\boxed{\frac 1 2}", "1/2"),
        ("The answer is **7**", "**Answer: 7**", "#### **7**", "**7**.", "The answer is 7. It took 3 steps.", "7"),
        ("**Answer**: x+1", "The answer is **x+1**.", "The answer is `x+1`", "1+x"),
    ],
)
def test_equal_formulas_share_one_key_and_so_vote_together(equal):
    assert len({math().read(text) for text in equal}) == 1
    assert math().check(math().read(equal[0]), PROBLEM, equal[-1]).value == 1.0


@pytest.mark.parametrize(("one", "other"), [("x+1", "x-1"), ("1/3", "0.333"), ("(1,2)", "[1,2]"), ("9^9", "9^8")])
def test_unequal_formulas_differ(one, other):
    assert math().read(one) != math().read(other)
    assert math().check(math().read(one), PROBLEM, other).value == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9}}", "99999!", r"\binom{100000}{50000}", "(x+1)^{500}", "1/0", r"\int_0^1 x^x dx", "(" * 20 + ")" * 20,
        r"\boxed{999!999!}", "(9!)!", "(100-1)! (10^5)!", "7^{x+99999}", "(a+b+c)^{x+99}", "(a+b+c+d)^{14}",
        "(a+b)(c+d)(f+g)(h+j)(k+l)(m+n)(p+q)(r+s)", r"\cos((a+b)(c+d)(f+g)(h+j)(k+l)(m+n)(p+q)(r+s))",
        "+".join(rf"\frac{{1}}{{{pair}}}" for pair in ("a+b", "c+d", "f+g", "h+j", "k+l", "m+n", "p+q", "r+s")),
        r"(\sqrt{2}+\sqrt{3}+\sqrt{5}+\sqrt{7})^{20}",
    ],
)  # fmt: skip
def test_formulas_that_are_too_much_work_are_unparsable(text):
    assert math().read(text) is None


@pytest.mark.parametrize("text", ["#### 1 2 3", r"\boxed{12 34}", "#### 1e5000", "The answer is 1e5000"])
def test_numbers_side_by_side_are_no_formula_nor_is_one_without_bound(text):
    assert math().read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "x(x+1)(x+2)(x+3)(x+4)(x+5)(x+6)(x+7)(x+8)(x+9)", "(x^2+x+1)^{10}", "(a-b)(b-c)(c-a)(a+b+c)", "(a+b+c)^4",
        r"\frac{(x+1)^{10}}{(x-1)^{10}}", r"(1+\sqrt{2})^{99}", r"\frac{200!}{(100!)^2}", "999!", "e^{-x^2/2+3x+1}",
        "+".join(rf"\frac{{1}}{{x+{i}}}" for i in range(10)), "(a+b)^{n+1}", "e^{2016x}",
    ],
)  # fmt: skip
def test_formulas_that_are_little_work_are_read_however_long_they_become(text):
    assert math().read(text) is not None


def test_a_formula_is_never_run_as_python(tmp_path):
    target = tmp_path / "ran"
    for verifier in (math(), number(), function_call()):
        verifier.read(f"__import__('pathlib').Path('{target}').touch()")
        verifier.read(f"f(a=__import__('pathlib').Path('{target}').touch())")
    assert not target.exists()


def test_math_works_off_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(math().check("2", PROBLEM, "1+1").value))
    thread.start()
    thread.join()
    assert found == [1.0]


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WITH_SCHEMA = Problem("p2", "s", (Message("user", "?"),), schema=json.dumps(SCHEMA))


@pytest.mark.parametrize(
    ("text", "value"), [('{"n": 1}', 1.0), ('Sure:\n```json\n{"n": 2}\n```', 1.0), ('{"n": "1"}', 0.0), ("[]", 0.0)]
)
def test_json_is_graded_by_its_schema_alone(text, value):
    verifier = json_schema()
    assert not verifier.needs_reference
    assert verifier.check(verifier.read(text), WITH_SCHEMA, None).value == value


def test_the_note_says_where_the_schema_is_broken():
    assert json_schema().check('{"n":"1"}', WITH_SCHEMA, None).note == "$.n: '1' is not of type 'integer'"


def test_equal_json_is_equal_text():
    assert json_schema().read('{"b": [1, 2], "a": null}') == json_schema().read('{"a":null,\n"b":[1,2]}')


@pytest.mark.parametrize("text", ["", "no", '{"n": ', '{"n": NaN}', '{"n": 1e999}', '{"n": "\\ud800"}', "[" * 9000])
def test_what_is_no_json_is_unparsable(text):
    assert json_schema().read(text) is None


def test_a_problem_without_schema_cannot_be_checked_by_one():
    with pytest.raises(BadInput, match="'p1' has no schema"):
        json_schema().check("1", PROBLEM, None)


@pytest.mark.parametrize("ref", ["http://127.0.0.1:9/x", "file:///etc/hostname", "#/$defs/none"])
def test_json_schema_fetches_nothing(ref):
    schema = replace(PROBLEM, schema=json.dumps({"type": "object", "properties": {"n": {"$ref": ref}}}))
    with pytest.raises(BadInput, match=r"its schema refers to .*, which is not in it"):
        json_schema().check('{"n":1}', schema, None)
    assert json_schema().check("1", schema, None).value == 0


CALL = '{"arguments":{"x":4,"y":5},"name":"math.hypot"}'


@pytest.mark.parametrize(
    "text",
    [
        "math.hypot(x=4, y=5)",
        "[math.hypot(y=5, x=4)]",
        "I call `math.hypot(x=4, y=5)` now",
        '{"name": "math.hypot", "arguments": {"x": 4, "y": 5}}',
        '```json\n{"name": "math.hypot", "parameters": {"y": 5, "x": 4}}\n```',
        '[{"math.hypot": {"x": 4, "y": 5}}]',
        '{"tool_calls": [{"function": {"name": "math.hypot", "arguments": "{\\"x\\": 4, \\"y\\": 5}"}}]}',
    ],
)
def test_a_call_reads_the_same_in_every_notation(text):
    assert function_call().read(text) == CALL


def test_several_calls_stay_in_order():
    calls = json.loads(function_call().read("[f(a=1), g(b=[2, {'c': True}])]"))
    assert calls == [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {"b": [2, {"c": True}]}}]


@pytest.mark.parametrize(
    "text",
    [
        "math.hypot(4, 5)",
        'f(a={"b": {"c": 1}}',
        '{"name": "f", "arguments": {"a": {"b": 1}}',
        "f(a=1, **rest)",
        "f(a=g(b=1)",
        "f(a=1e999)",
        "f(a={1, 2})",
        "[]",
        "{}",
        "(" * 9000,
        "f(" * 4000,
    ],
)
def test_a_call_that_is_cut_or_has_no_names_is_unparsable(text):
    assert function_call().read(text) is None


HYPOT = {
    "function": [
        {
            "name": "math.hypot",
            "parameters": {
                "type": "dict",
                "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}, "z": {"type": "integer"}},
                "required": ["x", "y"],
            },
        }
    ],
    "ground_truth": [{"math.hypot": {"x": [4], "y": [5], "z": ["", 0]}}],
}


@pytest.fixture(scope="module")
def graded():
    verifier = function_call()

    def grade(text):
        return verifier.check(verifier.read(text), PROBLEM, HYPOT)

    try:
        grade("f(a=1)")
    except Unavailable as error:
        pytest.skip(str(error))
    return grade


@pytest.mark.network
@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("math.hypot(x=4, y=5)", ""),
        ("math.hypot(x=4, y=5, z=0)", ""),
        ("math.hypot(x=4, y=6)", "value_error:others"),
        ("math.hypot(x='4', y=5)", "type_error:simple"),
        ("math.hypot(x=4)", "simple_function_checker:missing_required"),
        ("math.hypot(x=4, y=5, w=1)", "simple_function_checker:unexpected_param"),
        ("hypot(x=4, y=5)", "simple_function_checker:wrong_func_name"),
        ("[math.hypot(x=4, y=5), math.hypot(x=4, y=5)]", "simple_function_checker:wrong_count"),
    ],
)
def test_a_call_is_graded_with_the_kind_of_its_error(graded, text, note):
    assert graded(text).value == float(note == "")
    assert graded(text).note == note


@pytest.mark.network
def test_the_checker_leaves_no_trace_in_the_interpreter(graded):
    assert graded("math.hypot(x=4, y=5)").is_right
    assert not [name for name in sys.modules if name.startswith("bfcl_eval")]
    assert not [path for path in sys.path if path.endswith(".whl")]


def test_a_reference_that_is_no_call_is_bad_input():
    with pytest.raises(BadInput, match="ground_truth"):
        function_call().check(CALL, PROBLEM, "math.hypot(x=4, y=5)")


SUDOKU = Problem("p3", "s", (Message("user", "1 1 1 1\n" * 4), Message("assistant", SOLVED), Message("user", PUZZLE)))


@pytest.mark.parametrize(
    "text",
    [
        SOLVED,
        SOLVED.replace(" ", ""),
        "Here it is:\n" + SOLVED.replace(" ", " | ") + "\nDone.",
        "[[1,2,3,4],[3,4,1,2],[2,1,4,3],[4,3,2,1]]",
        "1 2 | 3 4\n3 4 | 1 2\n----+----\n2 1 | 4 3\n4 3 | 2 1",
        "First\n1 1 1 1\n1 1 1 1\n1 1 1 1\n1 1 1 1\nno, rather\n" + SOLVED,
    ],
)
def test_a_grid_reads_the_same_in_every_frame(text):
    assert constraint().read(text) == SOLVED
    assert constraint().check(constraint().read(text), SUDOKU, None).is_right


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (SOLVED.replace("1 2 3 4", "2 1 3 4"), "given changed in row 1, column 1"),
        ("1 2 3 2\n3 4 1 2\n2 1 4 3\n4 3 2 1", "row 1"),
        ("1 4 3 2\n3 4 1 2\n2 1 4 3\n4 3 2 1", "column 2"),
        ("\n".join([" ".join("123456")] * 6), "6 rows instead of 4"),
    ],
)
def test_the_note_names_the_rule_that_is_broken(text, note):
    verifier = constraint()
    assert not verifier.needs_reference
    assert verifier.check(verifier.read(text), SUDOKU, None).note == note


def test_rows_and_columns_alone_do_not_make_a_sudoku():
    empty = Problem("p", "s", (Message("user", "\n".join(["_ _ _ _"] * 4)),))
    latin = "1 2 3 4\n2 3 4 1\n3 4 1 2\n4 1 2 3"
    assert constraint().check(latin, empty, None).note == "box 1"


@pytest.mark.parametrize("text", ["", "1 2 3 4\n3 4 1 2\n2 1 4 3", "1 2 3\n" * 3, PUZZLE])
def test_a_grid_that_is_not_full_is_unparsable(text):
    assert constraint().read(text) is None


def test_constraint_needs_a_grid_in_the_prompt_and_a_known_family():
    with pytest.raises(BadInput, match=r"'p1'.*no sudoku"):
        constraint().check(SOLVED, PROBLEM, None)
    with pytest.raises(UnknownName, match="did you mean 'sudoku'"):
        constraint(family="sudok")


def test_gym_gives_full_marks_or_none():
    pytest.importorskip("reasoning_gym")
    entry = {
        "question": "",
        "answer": "138/583",
        "metadata": {"simplified_numerator": 138, "simplified_denominator": 583},
    }
    reference = {"dataset": "fraction_simplification", "entry": entry}
    verifier = gym()
    assert verifier.check(verifier.read("<answer>138/583</answer> bye"), PROBLEM, reference).is_right
    assert verifier.check("zzz", PROBLEM, reference).value == 0.0
    with pytest.raises(BadInput, match="gym: source only"):
        verifier.check("1", PROBLEM, "1")
