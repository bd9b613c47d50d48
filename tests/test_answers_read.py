"""What a reply says that is no answer: headings, a remark behind the answer, a sum written out, a first guess."""

from __future__ import annotations

import json
import time

import pytest

from trueup.core.types import Message, Problem
from trueup.tasks.power_flow import power_flow
from trueup.tasks.quadratic import quadratic
from trueup.verifiers import exact, gym, math, number, numerical, objective

PROBLEM = Problem("p1", "s", (Message("user", "?"),))
SOURCES = {"quadratic": quadratic, "power_flow": power_flow}
STEPS = "### Solution\n\n#### Step 1: Count\n3 * 4 = 12\n\n#### Step 2: Add\n12 + 30 = 42"


def graded(verifier, text, reference):
    return verifier.check(verifier.read(text), PROBLEM, reference).value


# headings


@pytest.mark.parametrize(
    "text",
    [
        f"{STEPS}\n\nThe answer is 42.",
        f"{STEPS} in 3 steps.\n\n#### Final Answer\n\n**42**",
        "#### Final Answer\n\n**42**",
        "#### **Final Answer:**\n\n$$\n42\n$$\n\nThat took 3 steps.",
        "#### \u2705 The final answer\n- 42\n",
        "####\n42\nthat took 3 steps",
        "#### 1. Count 3\nThe answer is 42.",
        "#### 1. Count 3\n12\n#### 2. Add 5\nSo it is 42",
        "#### Add 5:\n12 + 30 = 42",
        "##### Step 2\nIt is 42.",
        "The answer is 41.\n#### 42",
        "#### 41\nNo, the answer is 42.",
        "#### The answer is 42\nIt took 3 steps.",
        "3 steps\n#### 42",
        "#### 42\nConfidence: 95%",
        "3 steps\n#### Total: 42",
        "3 steps\n#### about 42 apples, 2 of them red",
    ],
)
def test_a_heading_is_no_final_answer(text):
    for verifier in (number(), math(), objective()):
        assert graded(verifier, text, "42") == 1.0, verifier.name


@pytest.mark.parametrize("text", ["3 apples\n#### none", "3 apples\n####", "3 apples\n#### Answer:", "#### nothing"])
def test_what_stands_last_behind_the_mark_is_the_answer_whatever_it_is(text):
    assert number().read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "#### Final Answer\n\n**Paris**",
        "#### Step 1: Look\nFrance\n\n#### Answer:\nParis\n\nIt has 2 rivers.",
        "#### Paris\n\n#### Explanation\nIt is in France.",
        "#### Paris\nConfidence: 95%",
        "#### Paris",
    ],
)
def test_words_behind_the_mark_are_an_answer_unless_they_are_a_known_title(text):
    assert exact().read(text) == "paris"
    assert gym().read(text).strip("*") == "Paris"


def test_signs_behind_the_mark_are_an_answer():
    assert exact().read("#### + - *\nThese are 3 signs.") == "+ -"
    assert gym().read("#### + - *\nThese are 3 signs.") == "+ - *"


def test_a_formula_behind_the_mark_outlasts_a_remark_on_the_answer():
    assert math().read("#### $x+1$\nThe answer is simplified.") == math().read("x+1")


def test_many_headings_are_read_in_a_moment():
    begun = time.perf_counter()
    for text in ("####\n" * 20_000 + "Word:\nmore", "#### Answer\n" * 20_000, "####" + "\n" * 90_000, "#" * 90_000):
        number().read(text)
    assert time.perf_counter() - begun < 5


# math: the answer and not what is said of it


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("The answer is $12$ for $n = 4$.", "12"),
        (r"The answer is $\frac{1}{2}$, where $x = 3$.", "1/2"),
        (r"The answer is **\(2\sqrt{3}\)** (using \(a = 1\)).", r"2\sqrt{3}"),
        ("#### $12$ for $n = 4$", "12"),
        (r"The answer is $6 \times 7$ = $42$ for $n = 4$.", "42"),
        ("The answer is the number $12$.", "12"),
        ("The answer is:\n\n$$\n\\frac{1}{2}\n$$\n\nfor $n = 4$.", "1/2"),
        ("**Answer:**\n\\[\n2\\sqrt{3}\n\\]\nfor \\(n = 4\\)", "2\\sqrt{3}"),
    ],
)
def test_the_span_that_a_line_begins_with_is_its_answer(text, right):
    assert math().read(text) == math().read(right)


@pytest.mark.parametrize("formula", [r"\frac{1}{2}", r"2\sqrt{3}", "x^2", "\\frac{\\pi}{2} +\n1"])
@pytest.mark.parametrize("form", ["$$\n{}\n$$", "So\n\\[\n{}\n\\]\n", "\\boxed{{\n  {}\n}}", "$$\r\n{}\r\n$$"])
def test_a_formula_may_stand_on_lines_of_its_own(form, formula):
    assert math().read(form.format(formula)) == math().read(f"${formula}$") is not None


@pytest.mark.parametrize(
    "equal",
    [
        (r"\boxed{6 \cdot 7 = 42}", r"\boxed{42 = 6 \cdot 7}", "2 + 40 = 42", "42"),
        (r"\boxed{\frac{1}{2} = 0.5}", "1/2"),
        ("x^2 = 6 - 2", "x^2 = 4"),
    ],
)
def test_a_true_equation_of_numbers_votes_as_its_value(equal):
    assert len({math().read(text) for text in equal}) == 1


def test_an_equation_that_is_false_is_not_its_right_side():
    assert math().read("2 + 3 = 6") not in (None, math().read("6"), math().read("5"))


# number: signs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\boxed{- 5}", "-5"),
        (r"\boxed{x = - 5}", "-5"),
        (r"\boxed{- \frac{1}{2}}", "-1/2"),
        (r"\boxed{\frac{-1}{2}}", "-1/2"),
        (r"\boxed{\frac{1}{- 2}}", "-1/2"),
        (r"\boxed{\frac{-1}{-2}}", "1/2"),
        ("$x = - 5$", "-5"),
        ("The answer is - 5", "-5"),
        (r"The answer is \(- 5\).", "-5"),
        ("**Answer:** - 5", "-5"),
        ("The answer is 6 - 11 = - 5", "-5"),
        ("#### - 5", "-5"),
        ("#### - $5", "-5"),
        (r"The answer is $\frac{-3}{4}$.", "-3/4"),
        (r"The answer is $x = \frac{-3}{4}$.", "-3/4"),
        (r"so 2 + \frac{-3}{4}", "4"),
        ("10 - 5", "5"),
        ("x = 10 - 5", "5"),
        ("Left over:\n- 5 apples", "5"),
        ("The answer is:\n- 5 apples", "5"),
        ("#### Final Answer\n- 5 apples", "5"),
    ],
)
def test_a_sign_apart_counts_behind_a_mark_and_not_as_a_subtraction_or_a_dash(text, value):
    assert number().read(text) == objective().read(text) == value


@pytest.mark.parametrize("text", [r"\boxed{-\frac{-1}{2}}", r"\boxed{3 - 5}", r"\boxed{3\frac{-1}{2}}"])
def test_a_box_with_signs_that_are_no_number_is_unparsable(text):
    assert number().read(text) is None


@pytest.mark.parametrize("reference", ["#### - 5", r"\boxed{- 5}", "x = - 5", "The answer is - 5"])
def test_a_reference_keeps_its_sign(reference):
    assert graded(number(), "-5", reference) == 1.0 and graded(number(), "5", reference) == 0.0


# number: equations


@pytest.mark.parametrize(
    "text",
    [
        r"The answer is $6 \times 7 = 42$.",
        r"The answer is \(6 \cdot 7 = 42\).",
        r"The answer is $84 \div 2 = 42$, and not 5.",
        "The answer is 42 = 6 * 7",
        "#### 6 * 7 = 42",
        "#### 2 + 40 = 42",
        r"#### $6\times7 = 42$ apples",
        "#### 42 = 2 + 40",
        "#### 42, or 43",
    ],
)
def test_a_sum_written_out_behind_a_mark_is_read_at_its_result(text):
    assert number().read(text) == objective().read(text) == "42"


def test_signs_that_only_begin_as_an_operator_are_none():
    assert number().read(r"The answer is 6 \divides 42 = 7") == "6"


# exact: text in LaTeX


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{\text{B}}", r"\boxed{\text{(B)}}", r"$\boxed{\textbf{(B)}}$", r"\boxed{\mathrm{B}}",
        r"\boxed{\mathbf{B}.}", r"\boxed{\textbf{\text{(B)}}}", r"\boxed{B}",
    ],
)  # fmt: skip
def test_text_in_latex_is_the_text(text):
    assert exact().read(text) == "b"
    assert graded(exact(), text, r"\text{B}") == 1.0


# numerical: the last object of numbers


@pytest.mark.parametrize("family", SOURCES)
@pytest.mark.parametrize(
    "form",
    [
        "The gradient at [0.1, 0.2] is small.\n\n{right}",
        "```json\n{{\"H\": [[1]]}}\n```\nThe solution:\n{right}",
        "```json\n{right}\n```\nCheck:\n```python\nprint(1)\n```",
        "A first guess is {guess}.\nRefined:\n{right}",
        "```json\n{guess}\n```\nRefined:\n```json\n{right}\n```\nin \\frac{{1}}{{2}} a second {{}}",
        "\\frac{{1}}{{2}}" * 99 + "{right}",
        "{right} {{\"note\": \"rounded\"}}",
    ],
)  # fmt: skip
def test_the_last_object_of_numbers_is_read(family, form):
    (item,) = SOURCES[family]("3", stratum="s", limit=1, seed=1)
    guess = json.dumps({name: zeros(value) for name, value in json.loads(item.reference).items()})
    verifier = numerical(family=family)
    read = verifier.read(form.format(right=item.reference, guess=guess))
    assert verifier.check(read, item.problem, None).is_right


def test_an_object_in_another_is_no_answer_of_its_own():
    assert numerical().read('{"answer": {"V": {"b1": 1.0}}}') is None


def zeros(value):
    return [0.0] * len(value) if isinstance(value, list) else dict.fromkeys(value, 0.0)
