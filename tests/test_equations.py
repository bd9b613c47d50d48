"""Equations of lines and curves, and numbers with a base: what `math` takes for equal."""

from __future__ import annotations

import pytest

from trueup.core.types import Message, Problem
from trueup.verifiers import math

PROBLEM = Problem("p1", "s", (Message("user", "?"),))


def read(formula):
    return math().read(rf"\boxed{{{formula}}}")


def graded(said, reference):
    return math().check(read(said), PROBLEM, f"${reference}$").value


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("y=-x+1", "x+y=1"),
        ("y=x", "x=y"),
        ("x=2y", "2y=x"),
        ("x=2y", r"y=\frac{x}{2}"),
        ("y=2x+1", "y-2x-1=0"),
        ("y=2x+1", "2x-y+1=0"),
        ("y-3=2(x-1)", "y=2x+1"),
        ("y=x+1", r"y=x+\sin^2 x+\cos^2 x"),
        ("F=9C/5+32", "C=5(F-32)/9"),
    ],
)
def test_equations_of_one_curve_are_equal(said, other):
    assert graded(said, other) == graded(other, said) == 1.0


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("y=2x", "z=2x"),
        ("x=1-y", "y=1-y"),
        ("x=y+1", "y=y+1"),
        ("y=2x", "y-1=2x"),
        ("y=2x", "AB=2x"),
        ("y=x^2", "x=y^2"),
        ("y=2x+1", "y=2x+2"),
        ("y=2x, y=-2x", "z=2x, z=-2x"),
        ("y=2x, y=-2x", "y=2x, y=-3x"),
    ],
)
def test_equations_of_two_curves_differ(said, other):
    assert read(said) != read(other)
    assert graded(said, other) == graded(other, said) == 0.0


@pytest.mark.parametrize(
    ("named", "bare"),
    [
        ("y=2x+1", "2x+1"),
        ("y=2x+1", "f(x)=2x+1"),
        (r"A=\pi r^2", r"\pi r^2"),
        (r"x=k\pi", r"k\pi"),
        ("z=x+iy", "x+iy"),
        (r"v=\begin{pmatrix}x\\2\end{pmatrix}", r"\begin{pmatrix}x\\2\end{pmatrix}"),
        (r"y=\pm 2x", "2x, -2x"),
        ("x=1, x=a", r"\{1, a\}"),
    ],
)
def test_what_a_name_is_said_to_be_needs_no_name(named, bare):
    assert graded(named, bare) == graded(bare, named) == 1.0


@pytest.mark.parametrize(
    "equal",
    [
        ("y=2x+1", "y=1+2x", r"y=\frac{4x+2}{2}", "y = 2.0x + 1"),
        ("2x-y+1=0", "y-2x-1=0", "4x-2y+2=0", r"\frac{x}{2}-\frac{y}{4}+0.25=0"),
        (r"y=\pm 2x", "y=2x, y=-2x", r"y=-2x \text{ or } y=2x"),
        ("z=1+i", "i+1"),
        ("x=5", "5"),
        ("x=1, x=2", "1, 2"),
    ],
)
def test_equations_that_say_the_same_of_their_left_side_vote_together(equal):
    assert len({read(said) for said in equal}) == 1
    assert read(equal[0]) is not None


@pytest.mark.parametrize("said", ["xy=6", "x+y=6", "2x+3=6"])
def test_the_right_side_of_another_equation_is_still_its_value(said):
    assert graded(said, "6") == 1.0


@pytest.mark.parametrize(
    ("said", "other", "grade"),
    [
        ("2514_8", "2514_{8}", 1.0),
        ("2514_9", "2514_8", 0.0),
        ("101_2", "101_{10}", 0.0),
        ("101_2", "5", 0.0),
        ("101_2", "101", 1.0),
        ("x=101_2", "101_{ 2 }", 1.0),
        ("-12_5", "-12_6", 0.0),
        ("12_5, 13_5", "13_5, 12_5", 1.0),
        ("(12_5, 13_5)", "(12, 13)", 1.0),
        ("12_{10} = 22_5", "22_5", 1.0),
        ("x^2_1", "x_1^2", 1.0),
        ("a_1", "a_2", 0.0),
    ],
)
def test_a_number_is_its_digits_and_its_base_and_one_without_is_its_digits(said, other, grade):
    assert graded(said, other) == graded(other, said) == grade


def test_a_base_is_in_the_key():
    assert read("2514_8") == read("x = 2514_{8}") == "2514_{8}"
    assert len({read(said) for said in ("2514_8", "2514_9", "2514")}) == 3


@pytest.mark.parametrize(
    "said", ["y=2x+1", "y=2x, y=-2x", "-12_5", "12_5+1", "3x+12_{16}", "z=x+iy", "x=(1, a)", "2y-4x=0"]
)
def test_a_key_is_read_as_itself(said):
    assert read(read(said)) == read(said)


@pytest.mark.parametrize("name", ["y", "P", "E", "e", "i", "I", r"\text{Area}", r"\vec{v}", r"\theta"])
@pytest.mark.parametrize("said", ["t", "2t", "ax^2+bx+c", "a + b + l", "2w+2l", "mc^2", "V/R", "3x"])
def test_a_name_is_no_number_and_a_letter_behind_is_no_unit(name, said):
    assert graded(f"{name}={said}", said) == graded(said, f"{name} = {said}") == 1.0


def test_the_inverse_of_a_function_is_defined_as_a_curve_is():
    inverse, curve = r"f^{-1}(x)=\frac{x-3}{2}", r"y=\frac{x-3}{2}"
    assert graded(inverse, curve) == graded(curve, inverse) == 1.0
    assert graded("f(x)^2=2x", "y=2x") == graded("y=2x", "f(x)^2=2x") == 0.0


@pytest.mark.parametrize("said", ["2", "y=2", "z=2t"])
def test_an_equation_that_ends_in_a_name_is_no_number(said):
    assert graded(said, "y=2t") == 0.0


@pytest.mark.parametrize(
    "said", ["5", "5 cm", "t = 5 m", "5 t", "x=5 d", "5 L", "V = 5 mL", r"5^\circ C", r"\text{V} = 5"]
)
def test_a_number_may_have_a_unit(said):
    assert graded(said, "5") == graded("5", "5 L") == 1.0


@pytest.mark.parametrize(("said", "other"), [("5x", "5"), ("5t^2", "5"), ("-t", "-1"), (r"\frac12", r"\frac{t}{2}")])
def test_what_is_no_number_with_a_unit_keeps_its_letters(said, other):
    assert graded(said, other) == 0.0


def test_degrees_celsius_are_a_unit_in_a_small_letter():
    assert graded(r"2.5^\circ c", "2.5") == graded("2.5", r"t = 2.5^\circ c") == 1.0
