"""100,000 texts that no program was meant to be: each is read, or refused in one line."""

from __future__ import annotations

import json
import random
import re
import time
from itertools import product
from string import ascii_lowercase

import pytest
from test_csp import EVERYTHING

from trueup.core.csp import parse, read_program
from trueup.core.csp.values import interval_of
from trueup.core.csp.wire import to_json
from trueup.core.errors import BadInput
from trueup.solvers.decide import decide

TIMES = 20
BATCH = 5_000
SECONDS_EACH = 1.0
WORDS = """con var int float bool letter enum lexicon minimize maximize in and or not implies iff true false a b c g p
red alldifferent table spells element sum abs ( ) [ ] { } , : . .. == != <= >= < > = + - * / ^ # -> <-> 0 1 2 99 1e9
count 1e999 0.5 999999999999999999999999 " ` é __import__('os').system('x') #include </x> ${x} \\"""
WORDS_OF_3 = ",".join(map("".join, product(ascii_lowercase, repeat=3)))
SOUP = [*WORDS.split(), "\n", "\n", "\t", "\0"]


def soup(rng):
    return " ".join(rng.choice(SOUP) for _ in range(rng.randint(1, 60)))


def mutated(rng):
    text = list(EVERYTHING)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(text))
        match rng.randrange(4):
            case 0:
                del text[place]
            case 1:
                text.insert(place, rng.choice(SOUP))
            case 2:
                text[place] = chr(rng.randrange(1, 300))
            case _:
                other = rng.randrange(len(text))
                text[place], text[other] = text[other], text[place]
    return "".join(text)


def wired(rng):
    value = to_json(parse(EVERYTHING))
    for _ in range(rng.randint(1, 4)):
        key = rng.choice(list(value))
        if isinstance(value[key], list) and value[key]:
            row = rng.choice(value[key])
            row[rng.choice(list(row))] = rng.choice([None, [], {}, -1, 1e300, "a", ["+"], [["+"]], True, "☃", 10**400])
        else:
            value[key] = rng.choice([None, [], {}, 3, "x"])
    return json.dumps(value)


def read_and_bounded(text):
    """Why a text is refused; None where it is read, and every expression in it has its bounds."""
    try:
        program = read_program(text)
        for constraint in program.constraints:
            interval_of(constraint.expr, {v.name: v for v in program.variables})
    except BadInput as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(TIMES))
def test_any_text_is_read_or_refused_in_one_line(seed):
    rng = random.Random(seed)
    makers = [soup] * 8 + [mutated] * 11 + [wired]
    read = 0
    for _ in range(BATCH):
        text = rng.choice(makers)(rng)
        started = time.process_time()
        refusal = read_and_bounded(text)
        read += refusal is None
        assert refusal is None or ("\n" not in refusal and len(refusal) < 1000)
        assert time.process_time() - started < SECONDS_EACH
    assert read > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int a in 1..3\ncon " + "a" * 10_000_000, "characters 10,000"),
        ("int a[1000000] in 1..3", "variables 1,000,000"),
        ("int a[1000000000] in 1..3", "a size has at most 9 digits"),
        ("int a[9,9,9,9,9,9,9,9,9] in 1..3", "variables"),
        ("float a in 0..1e999", "1e999 is beyond"),
        ("int a in 0..3\ncon a == " + "9" * 5000, "is beyond"),
        ("int a in 0..1000000000\ncon a ^ 999999999 == 1", "exponent"),
        ("int a in 0..3\ncon " + "not " * 200 + "a == 1", "depth 51"),
        ("int a in 0..3\ncon " + "a * " * 500 + "a == 1", "height 5"),
        ('{"variables": ' + "[" * 100_000, "JSON is nested too deep; at most 50 levels"),
        ("int g[10000] in 0..1\ncon sum(" + "g," * 100_000 + "1) > 0", "line 2, column 5: .* nodes 51"),
        ("int g[9999] in 0..1\nint a in 1..2\ncon " + "g[a] + " * 20_000 + "1 > 0", "line 3, column .* nodes 50"),
        (f"letter a, b, c\nlexicon w: {WORDS_OF_3}\n" + "con spells(w, a, b, c)\n" * 10_000, "table cells 10,0"),
        ("int a in 0..3\ncon " + "a < (" * 24 + "a < a" + ") < a" * 24, "nodes 524,2"),
        ("int " + "a" * 5_000 + " in 1..2", "name characters 5,000; at most 200"),
    ],
)
def test_hostile_texts_are_refused_at_once(text, message):
    started = time.process_time()
    reply = decide({"stated": text}, 5.0)
    assert reply["status"] == "unreadable"
    assert re.search(message, reply["reason"])
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "int a in 1..3\ncon " + "+".join(["a"] * 100_000) + " > 0",
        f"enum E: {','.join(f'l{i:x}' for i in range(30_000))}\nvar e in E\ncon {' or '.join(['e=l7000'] * 20_000)}",
        f"int {','.join(f'v{i}' for i in range(9_000))} in 1..2\nletter z\ncon {' or '.join(['z=c'] * 40_000)}",
        f"int g[{','.join(['1'] * 100_000)}] in 1..2\ncon sum({','.join(['g'] * 100_000)}) > 1",
        f"letter a, b, c\nlexicon w: {WORDS_OF_3}\n" + "con spells(w, a, b, c)\n" * 150,
    ],
    ids=["terms", "labels", "letters", "dimensions", "words"],
)
def test_large_programs_are_read_in_seconds(text):
    started = time.process_time()
    assert read_program(text).constraints
    assert time.process_time() - started < 10
