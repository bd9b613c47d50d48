"""What an answer says that was easily misread: values by name, decimals, several calls, powers of ten, no solution."""

from __future__ import annotations

import json

import pytest

from trueup.core.errors import BadInput
from trueup.core.types import Message, Problem
from trueup.verifiers import function_call, math, number, objective

PROBLEM = Problem("p1", "s", (Message("user", "?"),))


def graded(verifier, text, reference):
    return verifier.check(verifier.read(text), PROBLEM, reference).value


# math: values by name


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("x=3,y=2", "x=2,y=3"),
        ("x=3,y=2", "(2,3)"),
        ("x=2,y=3", "x=2,z=3"),
        (r"\boxed{x=3 \text{ and } y=2}", r"x=2 \text{ and } y=3"),
        ("a=1,b=2,c=3", "a=3,b=2,c=1"),
        ("a=1,b=2,c=3", "(3,2,1)"),
        ("x=3,y=3", "x=3"),
        ("x=3,y=3", "3"),
        ("x=3,z<2", "y=3,z<2"),
        ("x=2,y=3", "(x,y)=(3,2)"),
    ],
)
def test_values_of_other_names_are_another_answer(said, other):
    assert math().read(said) != math().read(other)
    assert graded(math(), other, said) == graded(math(), said, other) == 0.0


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("x=3", "3"),
        ("x=2, x=3", r"\{2,3\}"),
        (r"x=2 \text{ or } x=3", "x=2,3"),
        ("x=3,y=2", "y=2,x=3"),
        ("x=3,y=2", "(y=2, x=3)"),
        ("x=1/2,y=z+1", r"y=1+z, x=0.5"),
    ],
)
def test_values_of_one_name_need_none_and_named_ones_no_order(said, other):
    assert math().read(said) == math().read(other)
    assert graded(math(), said, other) == 1.0


@pytest.mark.parametrize("other", ["(3,2)", "(x,y)=(3,2)", "(y,x)=(2,3)"])
def test_a_tuple_has_its_values_in_the_order_of_the_names(other):
    assert graded(math(), "x=3,y=2", other) == graded(math(), other, "x=3,y=2") == 1.0


@pytest.mark.parametrize("other", ["2,3", r"\{2,3\}", "x=2,x=3", r"x=2 \text{ or } x=3", "x_1=3,x_2=2"])
def test_roots_by_one_letter_and_subscripts_are_in_any_order_and_need_no_names(other):
    assert graded(math(), "x_1=2, x_2=3", other) == graded(math(), other, "x_1=2, x_2=3") == 1.0
    assert graded(math(), "x_1=2, x_2=4", other) == graded(math(), other, "x_1=2, x_2=4") == 0.0


@pytest.mark.parametrize("other", ["a_1=2,a_2=3", "x_1=2,y_2=3", "x=2,y=3"])
def test_roots_of_another_letter_are_another_answer(other):
    assert graded(math(), "x_1=2, x_2=3", other) == graded(math(), other, "x_1=2, x_2=3") == 0.0


def test_roots_by_subscripts_are_a_tuple_in_their_order_only_and_may_be_one():
    assert graded(math(), "(3,2)", "x_1=3,x_2=2") == graded(math(), "x_1=3,x_2=2", "(3,2)") == 1.0
    assert graded(math(), "(2,3)", "x_1=3,x_2=2") == graded(math(), "x_1=3,x_2=2", "(2,3)") == 0.0
    assert graded(math(), "3, 3", "x_1=3, x_2=3") == graded(math(), "x_1=3, x_2=3", "3, 3") == 1.0


@pytest.mark.parametrize(
    ("named", "other", "grade"),
    [
        ("a=1,b=2,c=3", "1,2,3", 1.0),
        ("x=3,y=2", r"\{2,3\}", 1.0),
        ("(x,y)=(3,2)", "3,2", 1.0),
        ("a_1=3,a_2=5", "3,5", 1.0),
        ("x=3,y=2", "2,4", 0.0),
        ("a=1,b=2,c=3", "1,2", 0.0),
        ("x=3,y=3", "3,3", 0.0),
    ],
)
def test_a_set_without_names_is_as_many_named_values(named, other, grade):
    assert graded(math(), other, named) == graded(math(), named, other) == grade


# math: decimals


@pytest.mark.parametrize(
    "equal",
    [
        ("x^{0.5}", r"\sqrt{x}"),
        ("2^{1.5}", r"2\sqrt2"),
        ("10^{-2.5}", "10^{-5/2}"),
        ("x^{2.0}", "x^2"),
        ("1.05^{30}", r"(\frac{21}{20})^{30}"),
    ],
)
def test_an_exponent_may_be_a_decimal(equal):
    assert len({math().read(text) for text in equal}) == 1
    assert math().read(equal[0]) is not None


@pytest.mark.parametrize("text", ["2.5^{99999999}", "9.5^{9.5^{9.5}}", "(a+b+c+d)^{14.0}", "99999.0!"])
def test_a_decimal_does_not_make_too_much_work_little(text):
    assert math().read(text) is None


@pytest.mark.parametrize(
    ("decimal", "exact"),
    [
        ("0.333333", "1/3"), ("0.6666667", "2/3"), ("3.141593", r"\pi"), ("3.1415926", r"\pi"), ("2.449490", r"\sqrt6"),
        ("0.083333", "1/12"), ("x=1.414214", r"\sqrt2"), ("0.333333, 0.5", "1/2, 1/3"), ("(0.333333, 2)", "(1/3, 2)"),
        ("x=0.333333, y=2", "x=1/3, y=2"),
    ],
)  # fmt: skip
def test_a_decimal_is_right_to_six_places(decimal, exact):
    assert graded(math(), decimal, exact) == graded(math(), exact, decimal) == 1.0


@pytest.mark.parametrize(
    ("decimal", "exact"),
    [
        ("0.33333", "1/3"), ("0.333334", "1/3"), ("3.14159", r"\pi"), ("0.0000001", "0"), ("10^{-7}", "10^{-8}"),
        (r"1.4\cdot10^{-6}", "10^{-6}"), ("1-2^{-30}", "1"), ("123456789012.25", "123456789012.26"),
        ("0.333333x", "x/3"),
    ],
)  # fmt: skip
def test_a_decimal_of_fewer_digits_is_another_number(decimal, exact):
    assert graded(math(), decimal, exact) == graded(math(), exact, decimal) == 0.0


# function_call


@pytest.mark.parametrize(
    "text",
    [
        "f(a=1)\nf(a=2)",
        "f(a=1), f(a=2)",
        "f(a=1); f(a=2)",
        "I call f(a=1) f(a=2), as asked.",
        '{"name": "f", "arguments": {"a": 1}}\n{"name": "f", "arguments": {"a": 2}}',
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n<tool_call>\n'
        '{"name": "f", "arguments": {"a": 2}}\n</tool_call>',
    ],
)
def test_calls_right_behind_one_another_are_read_as_a_list(text):
    assert function_call().read(text) == function_call().read("[f(a=1), f(a=2)]")
    assert len(json.loads(function_call().read(text))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "f(a=1)\nf(a=1)",
        "Answer: f(a=1)\n\nf(a=1)",
        'f(a=1)\n{"name":"f","arguments":{"a":1}}',
        "[f(a=1)]\n[f(a=1)]\nf(a=1)",
    ],
)
def test_a_call_said_again_right_away_is_one(text):
    assert function_call().read(text) == function_call().read("f(a=1)")


def test_only_what_repeats_the_calls_before_it_is_left_out():
    both = function_call().read("[f(a=1), g(b=2)]")
    assert function_call().read("[f(a=1), g(b=2)]\nf(a=1), g(b=2)") != both
    assert function_call().read("f(a=1)\ng(b=2)\n[f(a=1), g(b=2)]") == both
    assert len(json.loads(function_call().read("[f(a=1), f(a=1)]"))) == 2, "a list says how many"
    assert len(json.loads(function_call().read("f(a=1)\nf(a=True)"))) == 2


def test_only_a_call_of_the_same_name_makes_one_a_mention():
    text = "I'd call list_all() now, as opposed to list_some(n=3)."
    assert function_call().read(text) == function_call().read("list_all()")
    assert function_call().read(f"{text} So list_all(n=1)") == function_call().read("list_all(n=1)")


def test_calls_with_words_between_are_not_one_answer():
    assert function_call().read("f(a=1) and not f(a=2)") == function_call().read("f(a=1)")
    assert function_call().read("f(a=1)\nf(a=") == function_call().read("f(a=1)")


@pytest.mark.parametrize("text", ["Use f() like so: f(a=1)", "Sure! :( f(a=1)", "( f(a=1)"])
def test_a_mention_or_a_stray_bracket_hides_no_call(text):
    assert function_call().read(text) == function_call().read("f(a=1)")


@pytest.mark.parametrize("text", ["now()", "Use now(), please", '{"now": {}} or f(a=1)', "[now()] or f(a=1)"])
def test_a_call_without_arguments_is_one(text):
    assert json.loads(function_call().read(text)) == {"name": "now", "arguments": {}}


@pytest.mark.parametrize("text", ['f (a={"b": {"c": 1}}', "[f(a=1), f(a=2)", "f(a=1, f(a=2)"])
def test_a_bracket_of_a_call_that_is_cut_is_not_stray(text):
    assert function_call().read(text) is None


# number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5 000 000", "5000000"),
        ("The answer is 3 \u00d7 10^8.", str(3 * 10**8)),
        ("The speed is 3 \u00d7 10^8 m/s.", str(3 * 10**8)),
        (r"\boxed{3\times 10^8}", str(3 * 10**8)),
        (r"$-1.5 \cdot 10^{-3}$", "-3/2000"),
        ("1,200 x 10**3", "1200000"),
        ("3 \u00d7 10\u207b\u00b2 m", "3/100"),
        ("10^{3}", "1000"),
        ("10^2 = 100", "100"),
        ("3 \u00d7 10 = 30", "30"),
        ("10^x", "10"),
        ("The answer is \u20135", "-5"),
        *((f"{dash}5", "-5") for dash in "\u2010\u2011\u2012\u2013\u2212"),
        ("5\u20137", "7"),
        ("pages 5 \u2013 7", "7"),
    ],
)
def test_number_reads_thousands_powers_of_ten_and_every_dash(text, value):
    assert number().read(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("**Answer: 10**\n\n3 boxes, 4 left.", "10"),
        ("The answer is **10** 5-dollar bills.", "10"),
        ("Final answer: **10**\n2024-01-01", "10"),
        ("1. She has **10**\n2. Done", "2"),
        ("She earns **10**2", "2"),
        ("**10**3**", "1000"),
        ("Answer: 5 *\n10^3", "5"),
        ("The sum is 10^\n3", "3"),
        ("3\u00a0\u00d7\u00a010\u2078", str(3 * 10**8)),
        ("2 x 10 ^ 3", "2000"),
    ],
)
def test_bold_and_what_stands_on_another_line_are_no_power(text, value):
    assert number().read(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10^{3}x", "1000 x"),
        ("10\u00b3m", "1000 m"),
        ("10^{ 3\n} m", "1000 m"),
        ("10^3/2", "500"),
        ("3 \u00d7 10^2 / 4", "75"),
        ("5 / 10^3", "3"),
        ("10\u207a ions", "10"),
    ],
)
def test_a_power_of_ten_is_never_read_in_part(text, value):
    assert number(units=True).read(text) == value


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("5000000", "5 000 000"),
        ("The answer is 1 250.", "1 250"),
        ("The answer is 300000000", "3 \u00d7 10^8"),
        ("-5", "\u20135 degrees"),
        ("7", "3 + 4 make it\n#### 7"),
        ("7", "Of 3 and 4 the answer is 7"),
    ],
)
def test_a_reference_is_read_as_an_answer_is(text, reference):
    assert graded(number(), text, reference) == graded(objective(), text, reference) == 1.0
    assert graded(number(), "0", reference) == graded(objective(), "0", reference) == 0.0


@pytest.mark.parametrize("reference", ["5 or 7", "5\u20137", "3, 4", "#### 5, 7", "2 dozen is 24", r"\boxed{5, 7}"])
def test_a_reference_of_several_numbers_is_refused(reference):
    for verifier in (number(), objective()):
        with pytest.raises(BadInput, match=r"item 'p1': the reference .* mend it"):
            verifier.check("7", PROBLEM, reference)


# objective


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Although the feasible region is unbounded, the minimum cost is 12.", "12"),
        ("The feasible set is unbounded and the minimum is 12", "12"),
        ("The problem is not infeasible, and the optimum is 12.", "12"),
        ("It isn't unbounded: 12", "12"),
        ("It is neither infeasible nor unbounded, so 12", "12"),
        ("Without overtime it would be infeasible, with it the cost is 12.", "12"),
        ("The problem is infeasible.", "no solution"),
        ("Since 3 < 5, the problem is infeasible.", "no solution"),
        ("The feasible region is empty, so the problem is infeasible.", "no solution"),
        ("The region is unbounded, and the problem is unbounded.", "no solution"),
        ("The answer is not 12; it is infeasible", "no solution"),
        ("The constraint set is infeasible.", "no solution"),
        ("The polyhedron is unbounded and so is the LP", "no solution"),
        ("Though bounded below the problem is unbounded", "no solution"),
        ("Although without overtime the problem is infeasible, with it the cost is 12.", "12"),
        ("Although the problem is unbounded below the cost is 12", "12"),
    ],
)
def test_no_solution_is_said_of_the_question_and_not_in_passing(text, value):
    assert objective().read(text) == value
