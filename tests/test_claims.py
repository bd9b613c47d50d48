"""Claims: parts that are kept, verdicts that are shown, and a clear line for every bad input."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from trueup.claims import CLAIMS, Pieces
from trueup.claims.verdict import Verdict
from trueup.cli.claims import RESULTS, show_claims
from trueup.core.errors import BadInput


def test_a_part_is_made_once_and_kept(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"right": [True, False], "tokens": 1.5}

    seen = []
    first = Pieces(tmp_path / "c", ["x", 0], lambda name, seconds: seen.append((name, seconds > 0))).get("a", make)
    again = Pieces(tmp_path / "c", ["x", 0], lambda name, seconds: seen.append((name, seconds > 0))).get("a", make)
    assert first == again == {"right": [True, False], "tokens": 1.5}
    assert (len(made), seen) == (1, [("a", True), ("a", False)])


def test_a_part_that_was_cut_short_is_made_again(tmp_path):
    pieces = Pieces(tmp_path, "x")
    with pytest.raises(KeyboardInterrupt):
        pieces.get("a", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert pieces.get("a", lambda: 2) == 2


def test_parts_of_another_run_are_refused(tmp_path):
    Pieces(tmp_path, ["x", 0])
    with pytest.raises(BadInput, match="parts of another run; remove it or choose another --out"):
        Pieces(tmp_path, ["x", 1])


def test_a_verdict_says_how_it_was_made(tmp_path):
    verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, (0, 1, 2), ({"name": "a"},))
    text = verdict.save(tmp_path).read_text()
    assert '"command": "trueup claims run x --scale smoke"' in text
    assert (tmp_path / "x" / "smoke.json").exists()


def test_every_claim_says_what_it_says():
    for name, claim in CLAIMS.items():
        assert (claim.__doc__ or "").partition("\n")[0].endswith("."), name


def test_a_part_inside_another_is_timed_once_and_remembered(tmp_path):
    began = time.perf_counter()
    pieces = Pieces(tmp_path, "x")

    def outer():
        time.sleep(0.03)
        return pieces.get("inner", lambda: time.sleep(0.06))

    pieces.get("outer", outer)
    time.sleep(0.02)
    assert 0.11 <= pieces.took().seconds <= time.perf_counter() - began
    again = Pieces(tmp_path, "x")
    again.get("outer", outer)
    assert again.took().seconds >= 0.09 and again.untimed == 0


def test_a_part_takes_the_cpu_time_of_its_work_and_of_all_its_tries(tmp_path):
    pieces = Pieces(tmp_path, "x")

    def work(fails):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        if fails:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pieces.get("a", lambda: work(fails=True))
    Pieces(tmp_path, "x").get("a", lambda: work(fails=False))
    time.sleep(0.1)
    assert 0.1 <= Pieces(tmp_path, "x").took().cpu_seconds < 0.2


def test_a_part_without_a_time_makes_the_verdicts_time_a_least_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    pieces = Pieces(tmp_path / "parts", "x")
    pieces.get("a", lambda: 1)
    verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), ({"name": "a"},))
    assert json.loads(verdict.text())["seconds"] is None, "nobody looked"
    for parts in (pieces, Pieces(tmp_path / "parts", "x")):
        parts.get("a", lambda: 1)
        verdict.timed(parts).save(tmp_path / "kept")
        told = json.loads((tmp_path / "kept" / "x" / "smoke.json").read_text())
        assert told["seconds"] >= 0 and told["cpu_seconds"] >= 0
        show_claims(tmp_path / "kept")
        assert bool(told["untimed_parts"]) == ("at least" in capsys.readouterr().out) == (parts is not pieces)
        (tmp_path / "parts" / "a.took").unlink(missing_ok=True)


def test_verdicts_without_times_are_still_shown(tmp_path, capsys):
    path = Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), ({"name": "a"},)).save(tmp_path)
    old = {
        k: v for k, v in json.loads(path.read_text()).items() if k not in ("seconds", "cpu_seconds", "untimed_parts")
    }
    path.write_text(json.dumps(old))
    show_claims(tmp_path)
    assert "refuted" in capsys.readouterr().out


def test_one_claims_verdicts_are_shown_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verdict = Verdict(
        "retraction", "cpu", "refuted", "p < .01", 10, (0,), ({"name": "an arm", "score": 0.25},), ("so",)
    )
    path = verdict.save(RESULTS)
    Verdict("latent-iteration", "cpu", "refuted", "p < .05", 10, (0,), ({"name": "another"},)).save(RESULTS)
    for place in (Path("retraction"), path.parent, path):
        show_claims(place)
        shown = capsys.readouterr().out
        assert "an arm" in shown and "0.250" in shown and "  so\n" in shown and "another" not in shown
        assert "criterion: p < .01" in shown and "verdict: refuted, by an earlier criterion" in shown
        show_claims(place, as_json=True)
        assert [one["claim"] for one in json.loads(capsys.readouterr().out)] == ["retraction"]
    for place in (Path("nothing"), Path(".")):
        with pytest.raises(BadInput, match=f"no verdict in '{place}'; `trueup claims run NAME --save DIR` keeps one"):
            show_claims(place)
    path.write_text("{")
    with pytest.raises(BadInput, match=f"cannot read '{path}' as a verdict"):
        show_claims(path)
