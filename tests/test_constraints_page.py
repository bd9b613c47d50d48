"""docs/constraints.md: its programs are solved, its sources make items, and it names every construct and dial."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from trueup.core.csp import read_program
from trueup.core.csp.limits import LIMITS
from trueup.core.csp.operators import OPERATORS
from trueup.core.csp.parse import _STATEMENTS
from trueup.core.settings import settings_of
from trueup.solvers.backends import BACKENDS
from trueup.solvers.decide import decide
from trueup.tasks import csp, gym
from trueup.tasks.csp.source import FAMILIES
from trueup.tasks.power_flow import drawn_power_flow, power_flow
from trueup.tasks.quadratic import drawn_quadratic, quadratic
from trueup.tasks.word_families import FAMILIES as WORDED
from trueup.tasks.word_problems import word_problems

PAGE = (Path(__file__).parent.parent / "docs" / "constraints.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```program\n(.*?)```", PAGE, re.DOTALL)
ROWS = [row.split("|") for row in re.findall(r"^\| `.*\|$", PAGE, re.MULTILINE)]
SOURCES = {"csp": csp, "power_flow": power_flow, "quadratic": quadratic, "word-problems": word_problems, "gym": gym}
EXAMPLES = [row[3].strip(" `") for row in ROWS if row[3].strip()]
NEEDS = {"csp:crossword": "wordfreq", "gym:": "reasoning_gym"}


@pytest.mark.parametrize("text", PROGRAMS)
def test_every_program_is_read_and_has_a_solution(text):
    read_program(text)
    reply = decide({"stated": text}, 10.0)
    assert reply["status"] in ("solved", "not_unique"), reply


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_source_makes_an_item(text):
    missing = [
        module for start, module in NEEDS.items() if text.startswith(start) and not importlib.util.find_spec(module)
    ]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    kind, _, argument = text.partition(":")
    assert len(SOURCES[kind](argument, stratum="s", limit=1)) == 1


def test_every_construct_is_shown_in_a_program():
    shown = "\n".join(PROGRAMS)
    words = [name for name in OPERATORS if name != "neg"]
    assert [word for word in [*words, *_STATEMENTS] if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", shown)] == []


def test_every_family_and_dial_is_named():
    named = {row[1].strip().split("`")[1].partition(":")[2] or row[1].strip(" `"): row[2] for row in ROWS}
    makers = {**FAMILIES, **WORDED, "BUSES": drawn_power_flow, "VARIABLES": drawn_quadratic}
    assert [name for name in makers if name not in named] == []
    assert [
        (name, dial) for name, make in makers.items() for dial in settings_of(make) if f"`{dial}`" not in named[name]
    ] == []


def test_back_ends_and_limits_are_as_in_the_code():
    assert all(f"`{name}`" in PAGE for name in BACKENDS)
    amounts = (LIMITS.characters, LIMITS.variables, LIMITS.constraints, LIMITS.nodes, LIMITS.span)
    assert all(f"{amount:,}" in PAGE for amount in amounts) and f"{LIMITS.depth} deep" in PAGE
