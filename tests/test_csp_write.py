"""Programs written out: the language gives them back, and the grammar allows what is written."""

from __future__ import annotations

import importlib.util
import random

import pytest
from test_backends import DECLARED, truth
from test_csp import EVERYTHING

from trueup.core.csp import parse
from trueup.core.csp.grammar import grammar
from trueup.core.csp.write import write, write_expression
from trueup.core.errors import BadInput

HAS_LLGUIDANCE = importlib.util.find_spec("llguidance") is not None


def stripped(program):
    """A program without the lines it was written on."""
    return (
        program.variables, [(one.expr, one.clue) for one in program.constraints], program.objective,
    )  # fmt: skip


def test_a_program_written_out_is_read_back_as_itself():
    program = parse(EVERYTHING)
    assert stripped(parse(write(program))) == stripped(program)


@pytest.mark.parametrize("seed", range(200))
def test_brackets_are_written_where_they_are_needed(seed):
    rng = random.Random(seed)
    (constraint,) = parse(f"{DECLARED}\ncon {truth(rng)}").constraints
    again = parse(f"{DECLARED}\ncon {write_expression(constraint.expr, {}).replace(chr(34), '')}").constraints[0]
    assert again.expr == constraint.expr


@pytest.fixture(scope="module")
def allows():
    if not HAS_LLGUIDANCE:
        pytest.skip("llguidance is not installed")
    import llguidance

    tokenizer = llguidance.LLTokenizer("byte")

    def check(rules, text):
        matcher = llguidance.LLMatcher(tokenizer, llguidance.grammar_from("gbnf", rules))
        assert not matcher.is_error(), matcher.get_error()
        return all(matcher.consume_token(byte) for byte in text.encode()) and matcher.is_accepting()

    return check


PROGRAM = """enum Colour: red, green, "dark blue"
int a, b in 1..4
int few in {2, 3, 5}
int grid[2,3] in 1..9
bool p
float v in -0.5..1.5
lexicon animals: cat, dog
con a < b <= 4 and front != red #3
con front == "dark blue" or p
con alldifferent(grid[1,1], a + 2 * b, -few)
con p implies count(grid[1,1] == 2, not p) >= 1
con table((a, b), (1, 2), (2, 3))
minimize a + 2 * b"""


def test_the_grammar_allows_what_the_language_says(allows):
    assert allows(grammar(), PROGRAM)
    assert not allows(grammar(), "import os")
    assert not allows(grammar(), "con a <")


def test_with_names_no_other_can_be_written(allows):
    rules = grammar(["Ada", "dark blue"])
    assert allows(rules, 'con Ada == "dark blue" #1')
    assert not allows(rules, "con Bob == Ada")
    assert not allows(rules, "int Ada in 1..3")


def sentences(rng, n):
    """Texts that the grammar allows, drawn by its own levels."""

    def atom(depth):
        match rng.randrange(5 if depth < 3 else 2):
            case 0:
                return str(rng.randint(0, 99))
            case 1:
                return rng.choice(["a", "b", "g[1]"])
            case 2:
                return f"({level(depth + 1)})"
            case 3:
                return f"max({level(depth + 1)}, {atom(depth + 1)})"
            case _:
                return f"-{atom(depth + 1)}"

    def level(depth):
        ops = [" iff ", " implies ", " or ", " and ", " == ", " < ", " + ", " - ", " * ", " / ", "^"]
        return atom(depth) + "".join(rng.choice(ops) + atom(depth) for _ in range(rng.randint(0, 2)))

    return [level(0) for _ in range(n)]


def refusal(text):
    """What of its sense a constraint is refused for, empty where it is read, all of the error where it is another."""
    try:
        parse(f"int a, b in 1..9\nint g[2] in 1..9\ncon {text}")
    except BadInput as error:
        return next((said for said in ("takes what holds", "this is a number") if said in str(error)), str(error))
    return ""


def test_what_the_grammar_allows_is_refused_for_its_sense_alone():
    rng = random.Random(0)
    for text in sentences(rng, 2_000):
        assert refusal(text) in ("", "takes what holds", "this is a number"), text
