"""Programs written out: the language gives them back, and the grammar allows what is written."""

from __future__ import annotations

import importlib.util
import random
import re

import pytest
from test_backends import DECLARED, truth
from test_csp import EVERYTHING

from trueup.core.csp import parse
from trueup.core.csp.grammar import condition_grammar, grammar
from trueup.core.csp.wire import from_json, to_json
from trueup.core.csp.write import write, write_expression
from trueup.core.errors import BadInput

HAS_LLGUIDANCE = importlib.util.find_spec("llguidance") is not None


def stripped(program):
    """A program without the lines it was written on."""
    return (
        program.variables, [(one.expr, one.clue) for one in program.constraints], program.objective,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        EVERYTHING, "int a in -9..9\ncon (-2)^2 == a", "int a in -9..9\ncon 2 * -2 - -3 == -(a^-2) - 4 + a",
        "float x in -9..9\ncon (-1e-7)^x - -(-x) >= -0.5", "letter C, D\ncon C == letter.C or D == letter.D",
        'int "say ""a""", "sum" in 1..2\ncon "say ""a""" < "sum" #"so"', "letter x\nlexicon l: cat\ncon spells(l, x)",
    ],
)  # fmt: skip
def test_a_program_written_out_is_read_back_as_itself(text):
    program = parse(text)
    assert stripped(parse(write(program))) == stripped(program)
    assert from_json(to_json(program)) == program


def written_number(rng, depth=0):
    """Numbers, signs and powers, each in brackets or not."""
    if depth > 3 or rng.random() < 0.3:
        return rng.choice(["a", "b", "0", "3", "-2", "(-2)", "-1.5", "(-4)", "-a"])
    x, y = written_number(rng, depth + 1), written_number(rng, depth + 1)
    op = rng.choice(["+", "-", "*", "/", "^"])
    return rng.choice([f"{x} {op} {y}", f"({x}) {op} {y}", f"{x} {op} ({y})", f"-({x})", f"abs({x})", f"{x} - {y} + a"])


@pytest.mark.parametrize("seed", range(10))
def test_signs_products_and_powers_are_read_back_as_themselves(seed):
    rng = random.Random(seed)
    lines = [f"con {written_number(rng)} <= {written_number(rng)}" for _ in range(100)]
    program = parse("\n".join(["int a, b in -9..9", *lines]))
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


LEFT_OUT = {"": "empty lines go on without end", "# houses": "so do remarks"}
"""Lines of the language that the grammar does not allow, and why."""


@pytest.mark.parametrize("line", EVERYTHING.splitlines())
def test_every_line_that_the_reader_takes_is_allowed_or_left_out_for_a_reason(allows, line):
    begun = "" if line.partition(" ")[0] in ("enum", "var", "int", "bool", "float", "letter", "lexicon") else "bool q\n"
    assert allows(grammar(), f"{begun}{line}\nbool r") != (line in LEFT_OUT)


def test_the_grammar_allows_what_the_language_says(allows):
    said = "\n".join(line for line in EVERYTHING.splitlines() if line not in LEFT_OUT)
    assert allows(grammar(), said)
    assert allows(grammar(), write(parse(EVERYTHING)))
    assert not allows(grammar(), "import os")
    assert not allows(grammar(), "con a <")


@pytest.mark.parametrize(
    "text",
    [
        "var a, b in 1..4", "var few in {2, -3}", "int a in 0..1000000000", "float v in -1.0471975511965976..1e-05",
        "enum Size: 1, 2", 'lexicon animals: Cat, "dog"', "int g[2, 3] in 1..9",
        "bool q\ncon sum(grid[1..2,2], grid[*,1], [a, b]) == 3", "bool q\ncon x == Colour.red or x == Size.1",
        "bool q\ncon table((grid[1,*]), (1, Colour.red, -2))", "bool q\ncon grid[a+1,grid[1, 2]-b]>=2^3 ^ a",
        "bool q\ncon not not q and true", "bool q\ncon spells(animals, x, y[*])",
    ],
)  # fmt: skip
def test_the_grammar_allows_places_labels_and_words(allows, text):
    assert allows(grammar(), text)


def test_with_names_no_other_can_be_written(allows):
    rules = grammar(["Ada", "dark blue"])
    assert allows(rules, 'con Ada == "dark blue" #1')
    assert not allows(rules, "con Bob == Ada")
    assert not allows(rules, "int Ada in 1..3")
    assert not allows(rules, "con Hue.red == Ada") and not allows(rules, "con spells(animals, Ada)")
    rules = grammar(["Ada", "dark blue"], {"Hue": ["red", "dark blue"]}, ["animals"])
    assert allows(rules, 'con Hue."dark blue" == Hue.red and spells(animals, Ada)')
    assert not allows(rules, "con Hue.Ada == Ada") and not allows(rules, "con spells(Ada, Ada)")


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[a-z-]+|[()|?*+]')


DEEPER, MORE = 30, 0.15
"""How far a text goes beyond the shortest, and how often what may be left out is not."""


class Drawn:
    """Texts that a grammar in GBNF allows, drawn from its rules."""

    def __init__(self, rules, seed):
        self.rng = random.Random(seed)
        self.rules = {name: self.read(TOKEN.findall(body)) for name, body in self.parts(rules)}
        self.depths = dict.fromkeys(self.rules, 0)
        for _ in self.rules:
            self.heights = {}
            self.depths = {name: 1 + self.height(rule) for name, rule in self.rules.items()}

    @staticmethod
    def parts(rules):
        return (line.split(" ::= ") for line in rules.splitlines() if line)

    def read(self, tokens):
        """Alternatives, each a list of pairs: what stands there, and its ?, * or +."""
        choices, here = [], []
        while tokens and tokens[0] != ")":
            token = tokens.pop(0)
            if token == "|":
                choices, here = [*choices, here], []
                continue
            item = token if token != "(" else self.read(tokens)
            if token == "(":
                tokens.pop(0)
            here.append((item, tokens.pop(0) if tokens and tokens[0] in "?*+" else ""))
        return [*choices, here]

    def height(self, item):
        if isinstance(item, str):
            return self.depths.get(item, 0)
        if id(item) not in self.heights:
            self.heights[id(item)] = min(map(self.tallest, item))
        return self.heights[id(item)]

    def tallest(self, choice):
        return max((self.height(one) for one, times in choice if times in ("", "+")), default=0)

    def draw(self, item="root", left=None):
        left = self.depths["root"] + DEEPER if left is None else left
        if isinstance(item, str) and item[0] in '"[':
            return self.letters(item)
        if isinstance(item, str):
            return self.draw(self.rules[item], left - 1)
        least = self.height(item)
        choices = [one for one in item if self.tallest(one) <= max(left, least)]
        return "".join(self.several(one, times, left) for one, times in self.rng.choice(choices))

    def several(self, item, times, left):
        is_more = times in ("?", "*") and self.height(item) < left and self.rng.random() < MORE
        return self.draw(item, left) if times in ("", "+") or is_more else ""

    def letters(self, item):
        if item[0] == '"':
            return item[1:-1].replace('\\"', '"').replace("\\n", "\n")
        if item[1] == "^":
            return self.rng.choice("ab c")
        spans = re.findall(r"(.)-(.)|(.)", item[1:-1])
        return self.rng.choice([chr(one) for a, b, c in spans for one in range(ord(a or c), ord(b or c) + 1)])


HEADER = """enum E: r, u
enum F: u, w
lexicon words: cat, on
var e in E
letter x, y, z
bool p
int a, b in 1..3
int g[2,3] in 1..9"""
SENSE = (
    "takes what holds", "this is a number", "compares a value", "compares a number", "is an array", "has places",
    "arguments, not", "a slice of", "cells of", "dimensions", "values for", "holds whole numbers or labels",
    "spells takes variables", "cannot be added", "is a label of", "unknown array", "is beyond", "too large: depth",
    "a range of cells",
)  # fmt: skip
"""What of its sense a constraint may be refused for."""


NAMES = (
    "unknown name", "unknown enum", "unknown lexicon", "unknown label", "a word of the language", "declared twice",
    "bounds", "too large: variables", "declares no variable",
    "at least one label", "an objective already", "a size of 0", "a set of values", "there is no ",
)  # fmt: skip
"""What of its names a program may be refused for."""


def under_header(text):
    return parse(f"{HEADER}\ncon{text}")


def refusal(text, read):
    """Why a text is not read; empty where it is."""
    try:
        read(text)
    except BadInput as error:
        return str(error)
    return ""


def test_what_the_grammar_allows_is_refused_for_its_sense_alone():
    rules = condition_grammar(["a", "b", "e", "g", "p", "x", "y", "z", "r", "w"], {"E": ["r", "u"]}, ["words"])
    drawn = Drawn(rules, 0)
    refusals = {text: refusal(text, under_header) for text in (drawn.draw() for _ in range(1_200))}
    for text, said in refusals.items():
        assert not said or any(one in said for one in SENSE), (text, said)
    assert sum(not said for said in refusals.values()) > 30
    assert all(any(one in text for text in refusals) for one in ("spells(", "table(", "[*", "..", "E.u", "not ", "^"))


def test_a_program_that_the_grammar_allows_is_refused_for_its_sense_and_names_alone():
    drawn = Drawn(grammar(), 1)
    for text in (drawn.draw() for _ in range(300)):
        said = refusal(text, parse)
        assert not said or any(one in said for one in (*SENSE, *NAMES)), (text, said)
