"""The command line: the main job on a toy, resumed and killed, and a clear line for every bad input."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import terminal

from trueup import __version__ as trueup_version
from trueup.cli.order import split_trainer_sets
from trueup.cli.pipeline import split_sets
from trueup.core.errors import BadInput, LedgerError
from trueup.core.ledger import open_reader, read_charges, verify
from trueup.plan import read_policy

SUMS = Path(__file__).parent.parent / "examples" / "mixed" / "arithmetic.jsonl"
WORDS = [{"id": f"w{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(12)]

PLAIN = """
import sys

class But:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *where):
        return None if name.partition(".")[0] in {missing!r} else self.finder.find_spec(name, *where)

sys.meta_path = [But(finder) for finder in sys.meta_path]
sys.argv = {order!r}
from trueup.cli import main
main()
"""


@pytest.fixture
def words(tmp_path):
    """A task of twelve items that a toy model answers with known accuracy."""
    path = tmp_path / "words.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in WORDS))
    return path


def trueup(*words, capsys=None, monkeypatch=None, code=0):
    """Run the command line in this process; its standard output and error."""
    terminal.trueup(monkeypatch, *words, code=code)
    return capsys.readouterr()


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line, bound to this test and its folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words, code=0: trueup(*words, capsys=capsys, monkeypatch=monkeypatch, code=code)


def test_a_study_ends_with_its_four_files_and_a_second_run_asks_nothing(run, words, tmp_path):
    said = run("study", words, "--model", "toy:0.4", "--out", "o")
    assert "o/report.html" in said.out
    assert {"study.json", "report.html", "policy.toml", "ledger.sqlite"} <= {p.name for p in (tmp_path / "o").iterdir()}
    assert json.loads((tmp_path / "o" / "request.json").read_text())["is_gathered"]
    first = (tmp_path / "o" / "study.json").read_bytes()
    again = run("study", words, "--model", "toy:0.4", "--out", "o")
    assert "now 0 new model calls" in again.out
    assert (tmp_path / "o" / "study.json").read_bytes() == first


def plainly(distribution):
    """A distribution's name as all spellings of it are compared."""
    return re.sub("[-_.]+", "-", distribution).lower()


def brought(name, found):
    """What a plain install of a distribution brings, itself included."""
    found.add(name)
    for line in requires(name) or ():
        other = plainly(re.match(r"[\w.-]+", line)[0])
        if "extra ==" not in line and other not in found:
            with contextlib.suppress(PackageNotFoundError):
                brought(other, found)
    return found


def of_extras():
    """Every module that is here and that a plain install does not bring."""
    plain = brought("trueup", set())
    return [name for name, of in packages_distributions().items() if not plain & set(map(plainly, of))]


def plain(*order, cwd):
    """Run the command line in a process that finds no module of an extra."""
    missing = of_extras()
    assert {"torch", "transformers", "starlette"} <= set(missing)
    code = PLAIN.format(missing=missing, order=["trueup", *map(str, order)])
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)


def test_a_study_needs_nothing_but_a_plain_install(words, tmp_path):
    done = plain("study", words, "--model", "toy:0.4", "--out", "o", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o" / "report.html").exists()


@pytest.mark.parametrize(
    ("order", "extra"),
    [
        ("train sft --task words.jsonl --out o", "train"), ("list trainers", "train"), ("bench train", "train"),
        ("claims run retraction --scale smoke", "hf"),
    ],
)  # fmt: skip
def test_what_needs_an_extra_names_it(words, tmp_path, order, extra):
    done = plain(*order.split(), cwd=tmp_path)
    said = done.stderr + done.stdout
    assert done.returncode == 2, said
    assert f"pip install 'trueup[{extra}" in said
    assert "Traceback" not in said


def test_the_stages_say_what_the_study_said(run, words, tmp_path):
    run("sample", words, "--model", "toy:0.4", "--out", "o", "--samples", "8")
    plan = json.loads(run("plan", "o", "--target", "0.5", "--volume", "1000", "--json").out)
    measured = json.loads(run("measure", "o", "--json").out)
    diagnosis = json.loads(run("diagnose", "o", "--json").out)
    run("report", "o")
    study = json.loads((tmp_path / "o" / "study.json").read_text())
    assert study["strata"]["words"]["points"] == measured["words"]["points"]
    assert study["strata"]["words"]["diagnosis"] == diagnosis["words"]
    assert study["plan"] == plan
    assert (plan["target"], plan["volume"]) == (0.5, 1000)


def test_the_ledger_commands_agree_with_the_study(run, words, tmp_path):
    run("study", words, "--model", "toy:0.4", "--out", "o", "--methods", "once,vote n=4")
    study = json.loads((tmp_path / "o" / "study.json").read_text())
    shown = {row["kind"]: row for row in json.loads(run("ledger", "show", "o", "--json").out)}
    for total in study["ledger"]["totals"]:
        assert shown[total["kind"]]["completion_tokens"] == total["completion_tokens"]
    assert "proved" in run("ledger", "verify", "o").out
    rows = run("ledger", "export", "o").out.splitlines()
    assert len(rows) == study["ledger"]["charges"]


def test_a_recorded_study_replays_to_the_same_bytes(run, words, tmp_path):
    run("study", words, "--model", "toy:0.4", "--out", "a", "--record", "tape.jsonl")
    run("study", words, "--model", "replay:tape.jsonl", "--out", "b")
    left, right = (json.loads((tmp_path / d / "study.json").read_text()) for d in "ab")
    assert (left["model"].pop("spec"), right["model"].pop("spec")) == ("toy:0.4", "replay:tape.jsonl")
    assert timeless(left) == timeless(right)


def test_a_study_killed_again_and_again_ends_like_an_uninterrupted_one(words, tmp_path):
    """Each killed run leaves more rows; whatever was committed is there once, and the end is the same."""
    many = (row | {"id": f"{i}-{row['id']}", "prompt": f"{i} {row['prompt']}"} for i in range(5) for row in WORDS)
    words.write_text("".join(json.dumps(row) + "\n" for row in many))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    study = [sys.executable, "-m", "trueup", "study", "--quiet", str(words), "--model", "toy:0.4"]
    subprocess.run([*study, "--out", str(whole)], check=True, capture_output=True)
    assert kill_until_done([*study, "--out", str(broken)], broken, every=250) >= 3
    assert_same_end(whole, broken)


REAL = ("--limit", "4", "--samples", "8", "--methods", "once,vote n=4,revise rounds=1",
        "--set", "arithmetic.verifier=number", "--set", "arithmetic.max_tokens=12")  # fmt: skip


@pytest.mark.network
@pytest.mark.usefixtures("weights")
def test_a_study_of_the_real_model_killed_halfway_ends_like_an_uninterrupted_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    study = [sys.executable, "-m", "trueup", "study", "--quiet", str(SUMS), *REAL]
    subprocess.run([*study, "--out", str(whole)], check=True, capture_output=True)
    assert kill_until_done([*study, "--out", str(broken)], broken, every=25) >= 1
    assert_same_end(whole, broken)


def kill_until_done(command, folder, *, every):
    """Kill -9 this command after every so many new rows and start it again, until it ends; the number of kills."""
    kills, rows = 0, set()
    while True:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while child.poll() is None and count(folder) < len(rows) + every:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        if child.returncode != -signal.SIGKILL:
            assert child.returncode == 0
            return kills
        kills += 1
        assert rows <= set(keys(folder))
        rows = set(keys(folder))


def assert_same_end(whole, broken):
    """Nothing lost, nothing paid twice, and the same study but for times."""
    assert len(keys(broken)) == len(set(keys(broken)))
    assert set(keys(broken)) == set(keys(whole))
    assert verify(broken / "ledger.sqlite").discrepancies == ()
    left, right = (json.loads((folder / "study.json").read_text()) for folder in (whole, broken))
    assert timeless(left) == timeless(right)


def keys(folder):
    """The keys of all committed rows, in order of writing."""
    return [charge.key for charge in read_charges(folder / "ledger.sqlite")]


def count(folder):
    """How many rows are committed, 0 while there is no ledger yet."""
    try:
        db = open_reader(folder / "ledger.sqlite")
        try:
            return db.execute("SELECT count(*) FROM charges").fetchone()[0]
        finally:
            db.close()
    except (LedgerError, sqlite3.OperationalError):
        return 0


def timeless(value):
    """A study without what follows from the clock: seconds, and the dollars that they cost."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not is_clock(k)}
    if isinstance(value, list):
        return [timeless(v) for v in value]
    return value


def is_clock(key):
    return key in {"seconds", "cached_tokens", "cost_per_request", "cost_per_volume", "breakeven"} or "usd" in key


BAD = {
    "method": (["--methods", "votes n=3"], "unknown method 'votes'; did you mean 'vote'?"),
    "setting": (["--methods", "vote m=3"], "unknown setting of vote 'm'"),
    "setting value": (["--methods", "vote n=three"], "vote n is 'three'; it takes int"),
    "setting range": (["--methods", "vote n=0"], "vote n is 0; give at least 1"),
    "model": (["--model", "smolm2"], "unknown model 'smolm2'; did you mean 'smollm2'?"),
    "endpoint": (["--model", "openai:http://127.0.0.1:9"], "write openai:http://HOST:PORT/v1#NAME"),
    "unreachable": (["--model", "openai:http://127.0.0.1:9/v1#m", "--set", "model.retries=0"], "127.0.0.1:9"),
    "stratum": (["--set", "wrds.temperature=1"], "unknown stratum 'wrds'; did you mean 'words'?"),
    "set": (["--set", "temperature"], "write STRATUM.key=value"),
    "target": (["--target", "1.5"], "--target is 1.5"),
    "volume": (["--volume", "-1"], "--volume is -1"),
    "samples": (["--samples", "0"], "--samples is 0"),
    "prices": (["--prices", "nowhere.toml"], "no price file 'nowhere.toml'"),
    "training": (["--training-usd", "much"], "--training-usd is 'much'"),
    "option": (["--tarqet", "0.5"], "No such option"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2(run, words, name):
    extra, wanted = BAD[name]
    said = run("study", words, *(["--model", "toy:0.4"] if "--model" not in extra else []), *extra, code=2)
    assert wanted in said.err
    assert said.err.strip().count("\n") == 0


TASKS = {
    "malformed line": ('{"id": "a", "prompt": "p", "reference": "r"}\n{"id": \n', ":2"),
    "no reference": ('{"id": "a", "prompt": "p"}\n', "reference"),
    "twice": ('{"id": "a", "prompt": "p", "reference": "r"}\n{"id": "a", "prompt": "q", "reference": "r"}\n', "'a'"),
    "empty": ("", "no rows"),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_bad_task_file_is_named_with_its_line(run, tmp_path, name):
    text, wanted = TASKS[name]
    (tmp_path / "bad.jsonl").write_text(text)
    said = run("study", "bad.jsonl", "--model", "toy:0.4", code=2)
    assert "bad.jsonl" in said.err
    assert wanted in said.err
    assert said.err.strip().count("\n") == 0


def test_malformed_toml_is_named_with_its_line(run, tmp_path):
    (tmp_path / "task.toml").write_text('[task]\nname = "x"\n[[stratum]\n')
    assert "task.toml:3" in run("study", "task.toml", "--model", "toy:0.4", code=2).err


def test_a_missing_task_and_a_folder_without_a_study_say_what_to_give(run):
    assert "no task at 'nowhere'" in run("study", "nowhere", code=2).err
    assert "no study in 'nowhere'" in run("plan", "nowhere", code=2).err
    assert "no ledger" in run("ledger", "verify", "nowhere.sqlite", code=2).err


def test_ctrl_c_says_that_nothing_is_lost(words, tmp_path):
    words.write_text(
        "".join(json.dumps({"id": str(i), "prompt": f"p{i}", "reference": "right"}) + "\n" for i in range(4000))
    )
    command = [
        sys.executable,
        "-m",
        "trueup",
        "study",
        str(words),
        "--model",
        "toy:0.4",
        "--out",
        str(tmp_path / "o"),
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not count(tmp_path / "o"):
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 2
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert verify(tmp_path / "o" / "ledger.sqlite").discrepancies == ()


def test_list_names_every_kind_and_doctor_finds_no_fault(run):
    for kind in ("methods", "verifiers", "solvers", "sources", "models"):
        assert json.loads(run("list", kind, "--json").out)
    states = {row["what"]: row["state"] for row in json.loads(run("doctor", "--json").out)}
    assert "broken" not in states.values()
    assert "did you mean 'methods'" in run("list", "method", code=2).err


def test_cite_gives_the_papers_of_a_policys_methods(run, words):
    run("study", words, "--model", "toy:0.4", "--out", "o", "--methods", "vote n=5")
    assert "eprint = {2203.11171}" in run("cite", "o/policy.toml").out


def test_the_version_is_the_packages(run):
    assert run("--version").out.strip() == trueup_version


def test_help_shows_an_example_for_every_command(run):
    commands = ("study", "sample", "measure", "diagnose", "plan", "report", "serve", "bench", "list", "doctor", "cite")
    for command in commands:
        assert f"Example: trueup {command}" in " ".join(run(command, "--help").out.split())


def test_further_models_reach_the_policy(run, words, tmp_path):
    said = run("study", words, "--model", "toy:0.4", "--with", "strong=toy:0.9", "--out", "o", "--samples", "2")
    assert "o/policy.toml" in said.out
    assert read_policy(tmp_path / "o" / "policy.toml").models == {"strong": "toy:0.9"}
    told = "--with strong: no method asks it; add `cascade to=strong` or `once model=strong` to --methods"
    assert said.err.strip().splitlines()[0].strip() == told


@pytest.mark.parametrize("method", ["once model=strong", "cascade to=strong"])
def test_a_further_model_that_a_method_asks_is_passed_over_in_silence(run, words, method):
    order = ("study", words, "--model", "toy:0.4", "--with", "strong=toy:0.9", "--samples", "2", "-q")
    assert "no method asks it" not in run(*order, "--out", "o", "--methods", f"once,{method}").err


def test_a_stratum_whose_name_has_a_dot_takes_settings(run, words):
    Path("t.toml").write_text('[[stratum]]\nname = "a.b"\nsource = "jsonl:words.jsonl"\n')
    order = ("study", "t.toml", "--model", "toy:0.4", "--samples", "2", "--methods", "once", "--out", "o", "-q")
    run(*order, "--set", "a.b.temperature=0.5")
    assert read_policy(Path("o/policy.toml")).strata[0].recipe["temperature"] == 0.5
    assert split_sets(["a.b.limit=3", "model.retries=0"]) == {"a.b": {"limit": "3"}, "model": {"retries": "0"}}
    assert split_trainer_sets(["a.b.limit=3", "rate=1e-3"]) == ({"rate": "1e-3"}, {"a.b": {"limit": "3"}})
    for malformed in ("a.b", "a.=1", ".b=1", "=1"):
        with pytest.raises(BadInput, match="is not understood"):
            split_sets([malformed])
        with pytest.raises(BadInput, match="is not understood"):
            split_trainer_sets([malformed])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["strong"], "--with 'strong' is not understood; write NAME=MODEL"),
        (["=toy:1"], "--with '=toy:1' is not understood"),
        (["a=toy:1", "a=toy:0"], "--with 'a' is given twice"),
        (["a=tory:1"], "unknown model 'tory:1'; did you mean 'toy'"),
    ],
)
def test_a_further_model_that_is_none_is_one_line(run, words, given, told):
    pairs = [word for pair in given for word in ("--with", pair)]
    assert told in " ".join(run("study", words, "--model", "toy:0.4", *pairs, code=2).err.split())


def test_a_router_and_a_table_are_learned_from_a_study_and_say_what_they_are_worth(run, tmp_path):
    rows = [{"id": f"w{i}", "prompt": f"problem {i}", "reference": "right"} for i in range(60)]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arms = ("--samples", "4", "--methods", "once,vote n=4")
    run("study", "w.jsonl", "--model", "toy:0.6", "--out", "o", *arms)
    fitted = json.loads(run("route", "fit", "o", "--cheap", "once", "--costly", "vote n=4", "--json").out)
    assert "w" in json.dumps(fitted)
    assert "does not beat" in run("route", "fit", "o", "--cheap", "once", "--costly", "vote n=4").out
    binned = run("route", "bins", "o", "--pilot", "2", "--bins", "2")
    assert "random" in binned.out


def test_what_is_learned_from_a_study_is_a_file_that_a_setting_names(run, words, tmp_path):
    run("study", words, "--model", "toy:0.6", "--out", "o", "--samples", "16", "--methods", "once")
    told = {kind: run("learn", kind, "o").out for kind in ("rightness", "library", "head")}
    assert "lookahead_vote table=o/words.rightness.json" in " ".join(told["rightness"].split())
    assert "AUC" in told["head"]
    arms = "lookahead_vote n=8 table=o/words.rightness.json,bayes_vote n=8 library=o/words.library.json"
    run("study", words, "--model", "toy:0.6", "--out", "o", "--samples", "8", "--methods", arms)
    points = json.loads(run("measure", "o", "--json").out)["words"]["points"]
    assert [point["method"] for point in points] == ["lookahead_vote", "bayes_vote"]


def test_a_library_says_how_many_attempts_it_is_of_and_takes_no_few(run, words, tmp_path):
    said = {}
    for samples, code in (("11", 2), ("16", 0), ("40", 0)):
        out = f"o{samples}"
        run("study", words, "--model", "toy:0.6", "--out", out, "--samples", samples, "--methods", "once", "-q")
        said[samples] = run("learn", "library", out, code=code)
    refused = "'words' has 11 readable attempts at a problem at most, a library takes 12 or more; sample more, 40 if"
    assert refused in said["11"].err and said["11"].err.count("\n") == 1
    assert not (tmp_path / "o11" / "words.library.json").exists()
    assert "problems, each of 16 readable attempts; use it as" in " ".join(said["16"].out.split())
    assert "words: half of these problems have 16 readable attempts or fewer" in said["16"].err
    assert said["16"].err.count("\n") == 1 and said["40"].err == ""
    kept = json.loads((tmp_path / "o40" / "words.library.json").read_text())
    assert kept["attempts"] == [40] * len(kept["frequencies"])


def test_learning_from_a_stratum_that_is_not_there_names_the_nearest(run, words):
    run("study", words, "--model", "toy:0.6", "--out", "o", "--samples", "2", "--methods", "once")
    assert "did you mean 'words'" in run("learn", "head", "o", "--stratum", "word", code=2).err


def test_a_price_is_a_threshold_that_can_be_calibrated(run, words):
    run("study", words, "--model", "toy:0.6", "--out", "o", "--samples", "8", "--methods", "once")
    steps = ("--method", "lookahead_vote", "--setting", "price", "--values", "0.0001,0.01")
    found = json.loads(run("calibrate", "o", *steps, "--json").out)
    assert [trial["label"].split()[-1] for trial in found["words"]["trials"]] == ["price=0.0001", "price=0.01"]
