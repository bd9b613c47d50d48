"""Answers with what a checker stumbles over: decimals, long numbers, depth, Python literals that are no JSON."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from trueup.core.errors import BadForm, Unavailable
from trueup.core.types import Message, Problem
from trueup.verifiers import function_call, json_schema, lr2bench
from trueup.verifiers.json_schema import fault_of

LONG = "1" + "0" * 400
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def under(schema):
    return Problem("p1", "s", (Message("user", "?"),), schema=json.dumps(schema))


def graded(text, schema):
    return json_schema().check(json_schema().read(text), under(schema), None)


# json_schema


def test_every_price_to_the_cent_is_a_multiple_of_one():
    cents = {"type": "array", "items": {"multipleOf": 0.01}}
    prices = [str(Decimal(n) / 100) for n in range(1, 10_000)]
    assert graded(f"[{', '.join(prices)}]", cents).is_right


@pytest.mark.parametrize(
    ("number", "factor", "is_right"),
    [
        ("1.005", 0.01, False), ("0.3", 0.1, True), ("-0.7", 0.1, True), ("0.35", 0.1, False), ("9.0", 3, True),
        ("10", 3, False), ("9.5", 3, False), ("1e-7", 1e-8, True), (LONG, 0.01, True), (LONG + "1", 2, False),
        ("1e300", 1e-300, True), ("true", 3, True), ('"x"', 0.01, True),
    ],
)  # fmt: skip
def test_a_multiple_is_one_in_decimals(number, factor, is_right):
    assert graded(number, {"multipleOf": factor}).is_right == is_right
    if not is_right:
        assert graded(number, {"multipleOf": factor}).note == f"$: {number} is not a multiple of {factor}"[:160]


def test_a_multiple_is_one_wherever_a_schema_refers_to_itself():
    chain = {"$schema": DIALECT, "properties": {"price": {"multipleOf": 0.01}, "next": {"$ref": "#"}}}
    assert graded('{"price": 4.35, "next": {"price": 19.99}}', chain).is_right
    assert graded('{"price": 4.35, "next": {"price": 19.995}}', chain).note.startswith("$.next.price: 19.995")


@pytest.mark.parametrize("schema", [{"items": {"$ref": "#"}}, {"$ref": "#"}])
def test_an_answer_too_deep_to_be_checked_is_wrong_and_that_is_said(schema):
    grade = graded("[" * 400 + "]" * 400, schema)
    assert (grade.value, grade.parsed) == (0.0, True)
    assert grade.note == "nested too deep, or a number too large, to be checked: RecursionError"
    assert graded("3", {"multipleOf": float("1e999")}).note.endswith("OverflowError")


def test_a_schema_too_deep_to_be_read_is_no_schema():
    deep = '{"not": ' * 400 + "{}" + "}" * 400
    assert "recursion" in fault_of(deep)
    with pytest.raises(BadForm, match=r"'p1': its schema is no JSON schema: .*recursion"):
        json_schema().check("1", Problem("p1", "s", (Message("user", "?"),), schema=deep), None)


# function_call


def called(kind, accepted):
    parameters = {"type": "dict", "properties": {"x": kind | {"description": ""}}, "required": ["x"]}
    return {
        "function": [{"name": "f", "description": "", "parameters": parameters}],
        "ground_truth": [{"f": {"x": [accepted]}}],
    }


@pytest.mark.network
@pytest.mark.parametrize(
    "reference",
    [
        called({"type": "float"}, 1.0),
        called({"type": "array", "items": {"type": "float"}}, [1.0]),
        called({"type": "tuple", "items": {"type": "float"}}, [1.0]),
    ],
)
@pytest.mark.parametrize("number", [LONG, "9" * 309, f"[{LONG}]", "[" * 300 + "]" * 300])
def test_a_call_with_a_number_too_large_for_a_float_is_wrong(reference, number):
    answer = function_call().read(f'{{"name": "f", "arguments": {{"x": {number}}}}}')
    try:
        assert function_call().check(answer, under({}), reference).value == 0.0
    except Unavailable as error:
        pytest.skip(str(error))


# lr2bench


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('{("Across", 1): "cat"}', {"('Across', 1)": "cat"}),
        ('{1: "cat", "Down 2": "x"}', {"1": "cat", "Down 2": "x"}),
        ('[{"name": "A", 2: "b", ("c",): ("d",)}]', [{"name": "A", "2": "b", "('c',)": ["d"]}]),
        ('{"Across 1": "cat"}', {"Across 1": "cat"}),
    ],
)
def test_a_literal_with_keys_that_are_no_text_is_read_with_keys_that_are(said, read):
    assert json.loads(lr2bench().read(f"<Answer>{said}</Answer>")) == read


@pytest.mark.parametrize("said", ["[[{1, 2}, 3], [3, 4]]", "[[b'a', 3], [3, 4]]", "[[1j]]", "[[...]]"])
def test_a_literal_that_json_cannot_hold_is_unparsable(said):
    assert lr2bench().read(f"<Answer>{said}</Answer>") is None


def test_keys_that_are_no_text_count_as_what_they_spell():
    reference = {"family": "crossword", "answer": {"1": "cat", "Down 2": "ox"}}
    problem = under({})
    grade = lr2bench().check(lr2bench().read('<Answer>{1: "cat", "Down 2": "x"}</Answer>'), problem, reference)
    assert grade.note.startswith("1 of 2 sub-answers right")
