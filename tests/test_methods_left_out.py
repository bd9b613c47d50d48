"""Chosen methods that a stratum cannot be answered by are left out, and named."""

from __future__ import annotations

import json

import pytest
from terminal import trueup
from toys import item

from trueup import arms
from trueup.bench.toy import Whole
from trueup.core.stratum import Stratum

CHOSEN = ("once", "vote n=2", "beam_search n=8", "constrained", "solve")
TASK = """
[task]
name = "t"
[[stratum]]
name = "plain"
source = "jsonl:q.jsonl"
verifier = "number"
[[stratum]]
name = "rated"
source = "jsonl:q.jsonl"
verifier = "number"
rater = "head"
{more}
"""
NO_FORM = "constrained (it has no schema or grammar for its answers)"


@pytest.fixture
def study(tmp_path, monkeypatch, capsys):
    """What runs a study of this task and returns the lines that it told on standard error."""
    rows = [{"id": f"w{i}", "prompt": f"2+{i}?", "reference": str(2 + i)} for i in range(3)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)

    def go(*words, more=""):
        (tmp_path / "t.toml").write_text(TASK.format(more=more))
        trueup(monkeypatch, "sample", "t.toml", "--model", "toy:0.6", "--samples", "2", "--out", "o", "-q", *words)
        return capsys.readouterr().err.splitlines()

    return go


def test_each_stratum_says_in_one_line_what_was_left_out_of_the_methods_and_what_it_lacks(study):
    assert [line.strip() for line in study("--methods", ", ".join(CHOSEN)) if "left out" in line] == [
        f"stratum 'plain': left out of --methods: beam_search n=8 (it has no rater and no check), {NO_FORM}, "
        "solve (it has no solver)",
        f"stratum 'rated': left out of --methods: {NO_FORM}, solve (it has no solver)",
    ]


def test_nothing_is_said_of_methods_that_nobody_named_or_that_all_apply(study):
    assert not any("left out" in line for line in study())
    assert not any("left out" in line for line in study("--methods", "once, vote n=2"))
    assert not any("left out" in line for line in study(more='methods = ["once", "retract"]'))


def test_what_is_left_out_is_what_no_arm_is_made_of():
    bare = Stratum("s", (item(),), Whole())
    lacking = {"beam_search n=8": arms.CRITIC, "constrained": arms.FORM, "solve": arms.SOLVER}
    assert arms.left_out(bare, CHOSEN) == lacking
    assert [arm.label for arm in arms.arms_of(bare, 8, CHOSEN)] == ["once", "vote n=2"]
