"""Claims: parts that are kept, verdicts that are shown, and a clear line for every bad input."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from terminal import trueup

from trueup.claims import CLAIMS, Pieces
from trueup.claims.verdict import Verdict, place_in, save_rows
from trueup.cli.claims import RESULTS, run_claim, show_claims
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


def test_the_processes_of_a_verdict_are_those_that_made_its_parts(tmp_path):
    verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), ({"name": "a"},))
    Pieces(tmp_path, "x").get("a", lambda: 1)
    more = Pieces(tmp_path, "x", jobs=3)
    assert more.get("a", lambda: 1) == 1 and verdict.timed(more).jobs == 1
    more.get("b", lambda: 2)
    assert verdict.timed(Pieces(tmp_path, "x")).jobs == 3


def test_the_raw_rows_of_a_verdict_are_kept_beside_it(tmp_path):
    verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), ({"name": "a"},))
    pieces = Pieces(tmp_path / "parts", "x")
    pieces.get("seed0-base", lambda: {"right": [1, 0]})
    pieces.get("seed1-base", lambda: [0.5])
    path = save_rows(tmp_path / "kept", verdict, pieces)
    assert path == tmp_path / "kept" / "x" / "smoke.rows.json.gz"
    kept = path.read_bytes()
    assert json.loads(gzip.decompress(kept)) == {"seed0-base": {"right": [1, 0]}, "seed1-base": [0.5]}
    assert save_rows(tmp_path / "kept", verdict, Pieces(tmp_path / "parts", "x")).read_bytes() == kept
    verdict.save(tmp_path / "kept")
    show_claims(tmp_path / "kept")


def test_shares_with_intervals_are_shown_and_lists_are_not_taken_for_intervals(tmp_path, capsys):
    arm = {
        "name": "a", "n": 10, "holds": {"share": 0.5, "ci95": [0.25, 0.75]}, "faults": {"form": 0.125},
        "by_seed": [0.5, None, 1.0], "accuracy": 0.5, "ci95": [0.125, 0.875],
    }  # fmt: skip
    Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), (arm, {"name": "b", "n": 1})).save(tmp_path)
    show_claims(tmp_path / "x" / "smoke.json")
    shown = capsys.readouterr().out
    assert "0.500 (0.250-0.750)" in shown and "0.500, -, 1.000" in shown and "0.125-0.875" in shown
    assert "faults" not in shown and "form" not in shown


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


# bad input


def test_a_damaged_part_is_named_and_is_made_anew_once_it_is_deleted(tmp_path):
    part = tmp_path / "a.json"
    for text in ("", '{"right": [tr'):
        Pieces(tmp_path, "x").get("a", lambda: 1)
        part.write_text(text)
        with pytest.raises(
            BadInput, match=rf"^'{part}' is damaged \(.*\); delete it and run again, which makes it anew$"
        ):
            Pieces(tmp_path, "x").get("a", lambda: 2)
        part.unlink()
        assert Pieces(tmp_path, "x").get("a", lambda: 3) == 3
        part.unlink()


@pytest.mark.parametrize("text", ["", "[1]", '{"seconds": ', '{"other": {"a": 1}}'])
def test_damaged_times_and_work_of_a_part_count_as_none(tmp_path, text):
    Pieces(tmp_path, "x").get("a", lambda: 1)
    for end in ("took", "spent"):
        (tmp_path / f"a.{end}").write_text(text)
    again = Pieces(tmp_path, "x")
    assert again.get("a", lambda: 2) == 1 and again.untimed == 1
    assert again.took().seconds >= 0 and again.spent() == {"a": {}}
    (tmp_path / "a.json").unlink()
    anew = Pieces(tmp_path, "x")
    assert anew.get("a", lambda: 2) == 2 and anew.untimed == 0 and anew.took().seconds >= 0


WHOLE = json.loads(Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), ({"name": "a"},)).text())


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"claim": "x"}, "it has no 'scale'"),
        ({"claim": "x", "arms": [1]}, "it has no 'scale'"),
        (WHOLE | {"arms": [1]}, "an arm of it has no name"),
        (WHOLE | {"arms": [{}]}, "an arm of it has no name"),
        (WHOLE | {"arms": None}, "its 'arms' is 'None'"),
        (WHOLE | {"n": "many"}, "its 'n' is 'many'"),
        (WHOLE | {"seconds": "long"}, "its 'seconds' is 'long'"),
        (WHOLE | {"jobs": None}, "its 'jobs' is 'None'"),
    ],
)
def test_a_file_that_is_no_whole_verdict_is_one_line(tmp_path, table, told):
    path = tmp_path / "x" / "smoke.json"
    path.parent.mkdir()
    path.write_text(json.dumps(table))
    for place in (path, path.parent, tmp_path):
        with pytest.raises(BadInput, match=f"^cannot read '{path}' as a verdict: {told}; save it again, or delete it$"):
            show_claims(place)


def test_a_verdict_of_other_seeds_names_the_first_in_its_command(tmp_path):
    for seeds, jobs, more in (((5, 6), 1, " --seed 5"), ((7,), 2, " --seed 7 --jobs 2"), ((0, 1), 1, ""), ((), 1, "")):
        verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, seeds, ({"name": "a"},), jobs=jobs)
        assert json.loads(verdict.text())["command"] == f"trueup claims run x --scale smoke{more}"


@pytest.mark.parametrize("seed", [-1, 2**32 - 4, 2**44])
def test_a_seed_that_leaves_no_room_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, seed):
    monkeypatch.chdir(tmp_path)
    trueup(monkeypatch, "claims", "run", "retraction", "--seed", seed, code=2)
    assert capsys.readouterr().err == f"error: --seed is {seed}; give a whole number from 0 to 4294967291\n"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file", "file/below", "locked"])
def test_a_place_that_nothing_can_be_kept_in_is_one_line_before_the_run(tmp_path, monkeypatch, capsys, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "locked" / "retraction").mkdir(parents=True)
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK or "locked" not in str(path))
    trueup(monkeypatch, "claims", "run", "retraction", "--save", place, code=2)
    line = capsys.readouterr().err
    assert line.startswith(f"error: cannot write '{place}/retraction': ") and line.count("\n") == 1
    assert not (tmp_path / "out").exists() and (tmp_path / "file").read_text() == "mine"


def test_a_verdict_that_cannot_be_kept_is_one_line_and_leaves_the_old_one(tmp_path, monkeypatch):
    verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, (0,), ({"name": "a"},))
    path = verdict.save(tmp_path)
    kept = path.read_text()
    write = Path.write_text

    def full(path, text, **more):
        write(path, text[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BadInput, match=rf"^cannot write '{path}': No space left on device; choose another folder"):
        verdict.save(tmp_path)
    assert path.read_text() == kept and place_in(tmp_path, "x") == path.parent


def test_a_verdict_is_told_though_its_ledger_cannot_be_written(tmp_path, capsys, monkeypatch):
    def claim(scale, seed, pieces):
        return Verdict("x", scale, "refuted", "p < .01", 10, (0,), ({"name": "a"},))

    monkeypatch.setitem(CLAIMS, "x", claim)
    monkeypatch.setattr("trueup.cli.jobs.module_of", lambda name: SimpleNamespace(SIZES={}))
    place = tmp_path / "x" / "smoke-0"
    place.mkdir(parents=True)
    (place / "ledger.sqlite").write_text("no ledger")
    run_claim("x", out=tmp_path, quiet=True)
    said = capsys.readouterr()
    assert "verdict: refuted" in said.out and "not booked:" in said.err
