"""The shipped example is what its rules make."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from trueup.catalog import open_task
from trueup.core.errors import Unavailable

MIXED = Path(__file__).parent.parent / "examples" / "mixed"


@pytest.fixture(scope="module")
def make():
    return runpy.run_path(str(MIXED / "make.py"))


def test_the_sums_are_what_make_writes(make):
    assert (MIXED / "arithmetic.jsonl").read_text() == make["rows"](seed=0, items=24)


def test_every_sum_follows_the_rule_and_is_not_shown_in_the_prompt(make):
    rows = [json.loads(line) for line in (MIXED / "arithmetic.jsonl").read_text().splitlines()]
    pairs = [tuple(map(int, row["id"].split("+"))) for row in rows]
    assert len(set(pairs)) == 24
    assert all(11 <= a <= 99 and b in range(10, 100, 10) for a, b in pairs)
    assert [row["reference"] for row in rows] == [a + b for a, b in pairs]
    assert not set(pairs) & make["SHOWN"]
    prompt = (MIXED / "task.toml").read_text()
    assert all(f'question = "{a} + {b} =", answer = "{a} + {b} = {a + b}"' in prompt for a, b in make["SHOWN"])


@pytest.fixture(scope="module")
def strata():
    try:
        return {stratum.name: stratum for stratum in open_task(str(MIXED), limit=None, seed=None, sets={}).strata}
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.network
def test_the_example_has_three_strata_of_20_or_more(strata):
    assert {name: len(stratum.items) for name, stratum in strata.items()} == {
        "arithmetic": 24,
        "calls": 20,
        "sudoku": 20,
    }
    assert {name: stratum.check and stratum.check.name for name, stratum in strata.items()} == {
        "arithmetic": None,
        "calls": "json_schema",
        "sudoku": "constraint family=sudoku",
    }
    assert strata["sudoku"].solver is not None


@pytest.mark.network
@pytest.mark.parametrize("name", ["arithmetic", "calls", "sudoku"])
def test_every_shown_answer_can_be_read(strata, name):
    stratum = strata[name]
    for shot in stratum.recipe["shots"]:
        assert stratum.verifier.read(shot["answer"]) is not None


@pytest.mark.network
def test_the_sudoku_that_is_shown_is_right_and_not_among_the_items(strata):
    stratum = strata["sudoku"]
    (shot,) = stratum.recipe["shots"]
    prompts = [item.problem.prompt[-1].content for item in stratum.items]
    assert shot["question"] not in prompts
    assert shot["question"].split("\n\n")[0] == prompts[0].split("\n\n")[0]
    shown = stratum.items[0].problem.prompt[-2:]
    assert shown[0].content == shot["answer"]
    assert stratum.verifier.read(shot["answer"]) == "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1"
