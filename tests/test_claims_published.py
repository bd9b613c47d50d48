"""Papers' figures: whole, consistent in themselves, beside our arms in files and on the screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trueup.claims import CLAIMS, Verdict
from trueup.claims.published import CAVEAT, PUBLISHED, SCORE, beside
from trueup.claims.self_correction_arms import ARMS
from trueup.cli.claims import show_claims

FOLDER = Path(__file__).parents[1] / "results" / "claims"
KEPT = [path for name in PUBLISHED if (path := FOLDER / name / "cpu.json").exists()]
FIGURES = dict.fromkeys(("accuracy_t1", "accuracy_t2", "delta", "wrong_to_right", "right_to_wrong"), 0.25)


def test_every_table_is_of_a_claim_and_says_what_it_is_of():
    assert PUBLISHED.keys() <= CLAIMS.keys()
    for tables in PUBLISHED.values():
        assert all(table.source and table.model and table.task and (table.rows or table.note) for table in tables)


def test_what_the_second_turn_gains_is_what_it_mends_minus_what_it_breaks():
    for row in SCORE.rows:
        first, second, delta, mended, broken = row.figures
        assert second - first == pytest.approx(delta)
        assert mended is None or mended - broken == pytest.approx(delta)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.parent.name)
def test_every_arm_that_is_named_as_ours_is_there_with_its_figures(path):
    verdict = json.loads(path.read_text())
    tables = zip(PUBLISHED[verdict["claim"]], beside(verdict["claim"], verdict["arms"]), strict=True)
    for table, told in tables:
        for row, shown in zip(table.rows, told["rows"], strict=True):
            assert ("our_arm" in shown) == bool(row.ours), row.arm
            named = {name for name, key in table.columns.items() if key} & shown["figures"].keys()
            assert not row.ours or shown["our_figures"].keys() == named


def test_every_arm_of_self_correction_that_is_named_as_ours_is_there():
    arms = [{"name": name, **FIGURES} for name in ("base", *ARMS)]
    (large, small) = beside("self-correction", arms)
    assert [row["arm"] for row in large["rows"] if "our_arm" not in row] == ["Self-Refine", "STaR in Stage II"]
    assert {row.get("our_arm") for row in large["rows"]} >= {"base", "STaR+", "Pair-SFT", "SCoRe - shaping"}
    assert small["rows"][2]["our_figures"] == {"Acc@t1": 0.25, "Acc@t2": 0.25}


def test_of_arms_that_fit_the_last_counts_and_one_that_is_not_there_leaves_theirs_alone():
    arms = [{"name": f"base@{n} with a verifier", "accuracy": n / 10} for n in (2, 4)]
    (told,) = beside("internal-external", arms)
    assert told["rows"][1] == {
        "arm": "searched, 7B verifier", "figures": {"MATH-500": 0.88, "AIME24": 0.333},
        "our_arm": "base@4 with a verifier", "our_figures": {"MATH-500": 0.4},
    }  # fmt: skip
    assert "our_arm" not in told["rows"][0] and told["caveat"] == CAVEAT
    assert beside("a claim of nobody's", arms) == []


def test_a_verdict_says_it_in_its_file_and_on_the_screen(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    arms = ({"name": "base", **FIGURES}, {"name": "SCoRe", **FIGURES})
    Verdict("self-correction", "cpu", "refuted", "p < .01", 10, (0,), arms).save(tmp_path)
    kept = json.loads((tmp_path / "self-correction" / "cpu.json").read_text())
    score = next(row for row in kept["published"][0]["rows"] if row["arm"] == "SCoRe")
    assert score["figures"]["Acc@t2"] == 0.644 and score["our_figures"]["Acc@t2"] == 0.25
    show_claims(tmp_path)
    shown = capsys.readouterr().out
    assert "0.644 (0.250)" in shown and "Self-Refine" in shown and "arXiv:2409.12917" in shown and CAVEAT in shown
    show_claims(tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["published"] == kept["published"]
