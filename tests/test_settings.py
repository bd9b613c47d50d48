"""Settings as words: values with blanks and commas in quotes, and labels that read back the same."""

from __future__ import annotations

import json
import random

import pytest
import terminal

from trueup.arms import make_arm, with_chosen
from trueup.core.errors import BadInput
from trueup.core.settings import join_words, split_parts, split_words
from trueup.plan import read_policy

CUE = 'budget_forcing tokens=64 cue="Final answer:"'


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in a folder with twelve problems."""
    return terminal.at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(12)])


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ('m cue="Final answer:" n=3', {"cue": "Final answer:", "n": "3"}),
        ("m cue='so, \"a\"'", {"cue": 'so, "a"'}),
        ('m cue="say ""so"" now"', {"cue": 'say "so" now'}),
        ('m cue=""', {"cue": ""}),
        ("m to= n=3", {"to": "", "n": "3"}),
        ("m cue=Let's n=3", {"cue": "Let's", "n": "3"}),
        ("m cue='tis", {"cue": "'tis"}),
        (r"m cue=\n\nAnswer:", {"cue": r"\n\nAnswer:"}),
        (r'm cue="\n\nFinal answer:"', {"cue": r"\n\nFinal answer:"}),
        ("m word=a=b", {"word": "a=b"}),
    ],
)
def test_only_quotes_around_a_whole_value_are_quotes(text, settings):
    assert split_words(text) == ("m", settings)


@pytest.mark.parametrize("text", ["m cue=Final answer:", 'm cue="Final answer:', "m =3"])
def test_what_is_no_setting_says_how_a_blank_is_given(text):
    with pytest.raises(BadInput, match="write name=value, a value with blanks in quotes"):
        split_words(text)


def test_methods_are_parted_at_commas_outside_of_quotes():
    assert split_parts(f"once, {CUE},vote n=8,") == ("once", CUE, "vote n=8")
    assert split_parts("m cue='a, b', vote") == ("m cue='a, b'", "vote")
    assert split_parts("m cue=Let's,vote cue=it's") == ("m cue=Let's", "vote cue=it's")


def test_any_values_read_back_the_same():
    draw = random.Random(0)
    for _ in range(3000):
        settings = {key: "".join(draw.choices("ab\"' ,=\n\\|", k=draw.randrange(7))) for key in "xyz"}
        words = join_words("m", settings)
        assert split_words(words) == ("m", settings)
        assert split_parts(f"once,{words}, vote n=8") == ("once", words, "vote n=8")


@pytest.mark.parametrize("cue", ["Final answer:", "a, b", "Let's", '"so"', "it's 'so'", "\n\nAnswer:", "a|b"])
def test_a_label_makes_the_same_arm_again_also_out_of_a_table(cue, tmp_path):
    arm = make_arm(join_words("budget_forcing", {"cue": cue}))
    again = make_arm(arm.label)
    assert (again.settings, again.label) == (arm.settings, arm.label) and arm.settings["cue"] == cue
    table = {"edges": [0.5], "methods": [arm.label, "once"], "pilot": 2, "signal": "agreement"}
    (tmp_path / "bins 1.json").write_text(json.dumps(table))
    chooser = make_arm(join_words("compute_optimal", {"table": str(tmp_path / "bins 1.json")}))
    assert [one.settings for one in with_chosen(chooser)[1:]] == [arm.settings, {}]


def test_a_study_of_a_cue_of_two_words_reaches_the_policy_and_what_is_learned_of_it(run, tmp_path):
    run("study", "w.jsonl", "--model", "toy:0.6", "--samples", "2", "--out", "o", "-q", "--methods", f"{CUE},once")
    points = json.loads(run("measure", "o", "--json").out)["w"]["points"]
    assert [point["label"] for point in points] == [CUE, "once"]
    run("study", "w.jsonl", "--model", "toy:0.6", "--samples", "2", "--out", "p", "-q", "--methods", CUE)
    (row,) = read_policy(tmp_path / "p" / "policy.toml").strata
    assert make_arm(join_words(row.method, row.settings)).label == CUE
    told = run("route", "fit", "o", "--cheap", "once", "--costly", "budget_forcing tokens=64 cue='Final answer:'")
    assert "router: o/router-w.json" in told.out
    assert json.loads((tmp_path / "o" / "router-w.json").read_text())["costly"] == CUE


def test_a_ladder_keeps_a_value_of_two_words(run):
    run("study", "w.jsonl", "--model", "toy:0.6", "--samples", "4", "--out", "o", "-q", "--methods", "once,vote n=4")
    order = ("calibrate", "o", "--method", "lookahead_vote table='a missing table.json'", "--setting", "price")
    assert "a missing table.json" in run(*order, "--values", "0.1", code=2).err
