"""What pools a study's samples: it tells of several engines behind one address, and proves nothing of their mixture."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import terminal
from mock_endpoint import MockEndpoint, loopback
from studies import measured, study
from test_calibrate import WHOLE, ladder, pools
from test_engines import Run, listening, mix
from test_routing import pair_of, prompts

from trueup.cli.summary import print_differences, print_summary
from trueup.methods.compute_optimal import read_bins
from trueup.methods.frequencies import read_library
from trueup.methods.rightness import read_table
from trueup.methods.route import read_router
from trueup.plan.calibrate import calibrate
from trueup.plan.engines import differences, mixtures, noted, tell
from trueup.plan.logged import logged
from trueup.plan.router_trial import try_router
from trueup.raters import head
from trueup.report import write_report

TWO = ("fp_a", "fp_b")
NEVER = "answered as 2 engines that were never seen to agree"
TASK = """
[task]
name = "two"
[[stratum]]
name = "s"
source = "jsonl:s.jsonl"
verifier = "exact"
[[stratum]]
name = "t"
source = "jsonl:t.jsonl"
verifier = "exact"
"""


class Pooled(Run):
    """That command line with what it says on either side, and a task of the strata s and t."""

    def __init__(self, folder: Path, capsys, monkeypatch) -> None:
        super().__init__(folder, capsys, monkeypatch)
        for name in "st":
            rows = [{"id": f"w{i}", "prompt": f"{name} problem {i}", "reference": "right"} for i in range(12)]
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "two.toml").write_text(TASK)
        self.said = ""

    def __call__(self, *words: object, code: int = 0) -> str:
        terminal.trueup(self._patch, *words, code=code)
        told = self._capsys.readouterr()
        self.said = " ".join(told.err.split())
        return told.out

    @property
    def model(self) -> str:
        return f"openai:{self.url}/v1:m"

    def read(self, *path: str) -> dict:
        return json.loads(self.folder.joinpath(*path).read_text())

    def strata(self, out: str, engines: dict[str, str], samples: int = 4) -> str:
        """A study of s and t, each of which is answered by an engine of its own."""

        def reply(body):
            self.mock.engines = (engines[body["messages"][-1]["content"][0]],)
            return "right"

        self.mock.reply = reply
        return self.study(out, task="two.toml", samples=samples, methods="once,vote n=4")


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    with listening(Pooled(tmp_path, capsys, monkeypatch)) as command:
        yield command


@pytest.fixture
def varied(run):
    """The command line, with answers that are right about as often as not; a judge passes all."""

    def reply(body):
        dice = random.Random(str([body["messages"], body["seed"]]))
        return "yes" if len(body["messages"]) > 1 else dice.choice(["right", "wrong"])

    run.mock.reply = reply
    return run


# counting


def test_strata_that_differ_are_one_note_of_their_model_with_all_its_attempts():
    (row,) = differences({"s": {"m": {"b": 3}}, "t": {"m": {"a": 2}}, "u": {"m": {"a": 4}, "n": {"c": 1}}, "v": {}})
    assert (row.model, row.attempts) == ("m", {"a": 6, "b": 3})
    assert row.note.startswith(f"s, t and u together: m {NEVER}, a (6 attempts) and b (3 attempts); ask for")


@pytest.mark.parametrize(
    "strata",
    [
        {},
        {"s": {"m": {}}},
        {"s": {"m": {"a": 1, "b": 1}}},
        {"s": {"m": {"a": 1}}, "t": {"m": {"a": 2}}},
        {"s": {"m": {"a": 1}}, "t": {"n": {"b": 2}}},
        {"s": {"m": {"a": 1, "b": 1}}, "t": {"m": {"a": 2}}},
    ],
)
def test_strata_of_one_engine_or_one_that_has_seen_them_all_do_not_differ(strata):
    assert differences(strata) == ()


def test_every_mixed_stratum_has_a_line_and_what_only_all_together_show_has_one_too():
    strata = {"s": {"m": {"a": 1, "b": 1}}, "t": {"m": {"c": 1}}}
    first, second = tell(strata)
    assert first == f"s: {mixtures(strata['s'])[0].note}"
    assert second.startswith("s and t together: m answered as 3 engines")
    assert tell({"t": strata["t"]}) == [] and noted(()) == {}


# the study


def test_strata_of_different_engines_are_told_of_and_each_is_certified(run):
    said = " ".join(run.strata("o", {"s": "fp_a", "t": "fp_b"}).split())
    told = run.told("o")
    line = f"s and t together: {run.model} {NEVER}, fp_a (48 attempts) and fp_b (48 attempts)"
    assert said.count(line) == 1
    (row,) = told["plan"]["engines"]
    assert (row["model"], row["attempts"]) == (run.model, {"fp_a": 48, "fp_b": 48}) and row["note"].startswith(line)
    assert {proof["status"] for proof in told["plan"]["certificate"].values()} == {"certified"}
    assert all("engines" not in stratum for stratum in told["strata"].values())
    assert f'<p class="banner">{line}' in (run.folder / "o" / "report.html").read_text()
    assert " ".join(run("measure", "o").split()).count(line) == 1
    assert json.loads(run("plan", "o", "--json"))["engines"] == [row]


def test_strata_of_one_engine_are_silent(run):
    assert "engine" not in run.strata("o", {"s": "fp_a", "t": "fp_a"})
    assert "engines" not in run.told("o")["plan"]


def test_the_differences_of_strata_are_shown_beside_a_note_of_the_study(tmp_path, capsys):
    one, other = (measured(["r"] * 4, {"once": "rrrr"}, name=name) for name in "st")
    whole = study(mix(one, m={"a": 4}), mix(other, m={"b": 4})) | {"note": "made up"}
    print_summary(whole, tmp_path, 0, 1.0)
    print_differences(whole["plan"])
    assert capsys.readouterr().out.count(f"  s and t together: m {NEVER}, a (4 attempts) and b (4 attempts)") == 2
    write_report(whole, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text().count('class="banner"') == 2


# calibrate


def test_no_threshold_is_accepted_on_attempts_of_several_engines():
    pure = pools(*([["right"] * 16] * 80))
    found = calibrate(mix(pure, m={"a": 3, "b": 1}), WHOLE, ladder(0.99, 0.9), margin=0.05, delta=0.05)
    assert (found.chosen, found.needs) == (None, None) and not any(trial.accepted for trial in found.trials)
    assert found.engines == mixtures({"m": {"a": 3, "b": 1}})
    alone = calibrate(mix(pure, m={"a": 4}), WHOLE, ladder(0.99, 0.9), margin=0.05, delta=0.05)
    assert alone == calibrate(pure, WHOLE, ladder(0.99, 0.9), margin=0.05, delta=0.05) and alone.chosen is not None


def test_calibrate_warns_and_certifies_nothing_of_two_engines(run):
    run.study("o", *TWO, samples=4)
    said = run("calibrate", "o", "--margin", 0.5)
    line = f"w: {run.model} {NEVER}, fp_a (24 attempts) and fp_b (24 attempts); ask for a dated snapshot"
    assert run.said.count(line) == 1 and run.said.count("engines") == 1
    assert "none accepted: its attempts are of several engines" in said and "turns at most" not in said
    found = json.loads(run("calibrate", "o", "--margin", 0.5, "--json"))["w"]
    assert line in run.said and found["chosen"] is None
    assert found["engines"] == run.told("o")["strata"]["w"]["engines"]


def test_calibrate_is_silent_and_certifies_where_one_engine_answered(run):
    run.study("o", "fp_a", samples=4)
    assert "turns at most 50.0%" in run("calibrate", "o", "--margin", 0.5) and run.said == ""
    found = json.loads(run("calibrate", "o", "--margin", 0.5, "--json"))["w"]
    assert found["chosen"] is not None and found["engines"] == []


def test_calibrate_warns_of_strata_that_differ_and_certifies_each(run):
    run.strata("o", {"s": "fp_a", "t": "fp_b"})
    found = json.loads(run("calibrate", "o", "--margin", 0.5, "--json"))
    assert run.said.count("engines") == 1
    assert f"s and t together: {run.model} {NEVER}, fp_a (48 attempts) and fp_b (48 attempts)" in run.said
    assert all(one["chosen"] and not one["engines"] for one in found.values())


def test_engines_of_a_model_that_only_methods_ask_do_not_withhold_a_threshold(run):
    other = MockEndpoint(reply=lambda body: "right", engines=TWO)
    with loopback(other.app) as url:
        methods = {"methods": "once,vote n=4 model=big", "with": f"big=openai:{url}/v1#b"}
        run.study("o", "fp_a", samples=4, **methods)
        assert [row["model"] for row in run.told("o")["strata"]["w"]["engines"]] == [f"openai:{url}/v1:b"]
        assert json.loads(run("calibrate", "o", "--margin", 0.5, "--json"))["w"]["chosen"] and run.said == ""


# learn


@pytest.mark.parametrize(
    ("kind", "read"), [("rightness", read_table), ("library", read_library), ("head", lambda path: head(file=path))]
)
def test_what_is_learned_of_two_engines_says_so_in_its_file_and_is_read_all_the_same(varied, kind, read):
    varied.study("o", *TWO, samples=40)
    varied("learn", kind, "o")
    line = f"{varied.model} {NEVER}, fp_a (240 attempts) and fp_b (240 attempts)"
    assert varied.said.count(f"w: {line}") == 1
    assert line in json.dumps(varied.read("o", f"w.{kind}.json"))
    assert read(str(varied.folder / "o" / f"w.{kind}.json"))


@pytest.mark.parametrize("kind", ["rightness", "library", "head"])
def test_what_is_learned_of_one_engine_says_nothing(varied, kind):
    varied.study("o", "fp_a", samples=40)
    varied("learn", kind, "o")
    assert varied.said == "" and "engine" not in json.dumps(varied.read("o", f"w.{kind}.json"))


def test_a_stratum_of_one_engine_is_learned_from_whatever_answered_another(run):
    run.strata("o", {"s": "fp_a", "t": "fp_b"}, samples=40)
    run("learn", "library", "o", "--stratum", "s")
    assert run.said == ""


def test_a_judge_of_two_engines_is_told_apart_from_the_samples_that_it_judges(varied):
    varied.study("o", "fp_a", samples=4)
    judge = MockEndpoint(reply=lambda body: "yes", engines=TWO)
    with loopback(judge.app) as url:
        words = ("learn", "judge", "o", "--model", f"openai:{url}/v1#j", "--json", "-q")
        found = json.loads(varied(*words))
    (row,) = found["verdict_engines"]
    assert "engines" not in found and row["attempts"] == {"fp_a": 12, "fp_b": 12}
    assert f"w, verdicts: openai:{url}/v1:j {NEVER}, fp_a (12 attempts) and fp_b (12 attempts)" in varied.said
    assert varied.said.count("engines") == 1


def test_a_judge_of_samples_that_two_engines_made_says_so(varied):
    varied.study("o", *TWO, samples=4)
    varied.mock.engines = ("fp_a",)
    found = json.loads(varied("learn", "judge", "o", "--json", "-q"))
    assert found["engines"] == varied.told("o")["strata"]["w"]["engines"] and "verdict_engines" not in found
    assert varied.said.count(f"w: {varied.model} {NEVER}") == 1


# route


def test_a_router_of_two_engines_is_not_shown_to_beat_anything():
    rows, chance, rng = prompts(300, 4)
    pure = pair_of(rng.random(300) < chance, rng.random(300) < 0.9)
    mixed = replace(pure, engines={"m": {"a": 1, "b": 1}})
    assert try_router(rows, pure, length="length", seed=0).beats_random
    trial = try_router(rows, mixed, length="length", seed=0)
    assert not trial.beats_random and not trial.beats_length
    assert trial.verdict.startswith("It is not shown to beat a trivial router, since this stratum proves nothing: ")
    assert trial.verdict.endswith(": its attempts are of several engines.")
    assert mixed.only(["once"]).engines == mixed.engines
    known = mix(measured(["r"] * 2, {"once": "rr"}), m={"a": 1, "b": 1})
    assert logged(known).engines == known.engines


@pytest.mark.parametrize(
    ("words", "file", "read"), [(("fit", "o"), "router-w.json", read_router), (("bins", "o"), "bins-w.json", read_bins)]
)
def test_what_routes_by_two_engines_says_so_in_its_file_and_is_read_all_the_same(varied, words, file, read):
    varied.study("o", *TWO, samples=4, methods="once,vote n=4")
    rows = varied.told("o")["strata"]["w"]["engines"]
    found = json.loads(varied("route", *words, "--json"))["w"]
    assert varied.said.count(f"w: {varied.model} {NEVER}, fp_a (24 attempts) and fp_b (24 attempts)") == 1
    assert varied.read("o", file)["engines"] == rows == found.get("table", found)["engines"]
    assert read(str(varied.folder / "o" / file))


@pytest.mark.parametrize("words", [("fit", "o"), ("bins", "o", "--bins", 2)])
def test_routes_warn_of_strata_that_differ_and_not_of_one_alone(run, words):
    run.strata("o", {"s": "fp_a", "t": "fp_b"})
    found = json.loads(run("route", *words, "--json"))
    line = f"s and t together: {run.model} {NEVER}, fp_a (48 attempts) and fp_b (48 attempts)"
    assert run.said.count(line) == 1 and not any("engines" in one for one in found.values())
    run("route", *words, "--stratum", "t", "--json")
    assert run.said == ""


@pytest.mark.parametrize(("dear", "is_mixed"), [("vote n=4", False), ("vote n=4 model=big", True)])
def test_a_router_answers_for_the_models_that_its_pair_asks_alone(varied, dear, is_mixed):
    plain = varied.mock.reply

    def reply(body):
        varied.mock.engines = (TWO[len(body["messages"][-1]["content"]) % 2] if body["model"] == "b" else "fp_a",)
        return plain(body)

    varied.mock.reply = reply
    methods = {"methods": "once,vote n=4,vote n=4 model=big", "with": f"big=openai:{varied.url}/v1#b"}
    varied.study("o", task="two.toml", samples=4, **methods)
    found = json.loads(varied("route", "fit", "o", "--stratum", "s", "--costly", dear, "--json"))["s"]
    assert ("engines" in found, "proves nothing" in found["trial"]["verdict"]) == (is_mixed, is_mixed)
