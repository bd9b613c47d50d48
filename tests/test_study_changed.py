"""A study's folder when what it was made of has changed, or cannot be written."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import terminal

from trueup.cli.request import Request, dollars
from trueup.cli.screen import aside, screen, table, warn
from trueup.core.errors import BadInput
from trueup.core.files import write_whole
from trueup.core.settings import one_word

STAGES = ("measure", "diagnose", "plan")


def rows(*numbers):
    """A task of these items."""
    return "".join(json.dumps({"id": f"i{i}", "prompt": f"q {i}", "reference": "right"}) + "\n" for i in numbers)


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in this test's own folder."""
    monkeypatch.chdir(tmp_path)

    def order(*words, code=0):
        terminal.trueup(monkeypatch, *words, code=code)
        return capsys.readouterr()

    return order


@pytest.fixture
def made(run, tmp_path):
    """The files of a finished study of six items, by name."""
    (tmp_path / "ed").mkdir()
    (tmp_path / "ed" / "q.jsonl").write_text(rows(*range(6)))
    run("study", "ed/q.jsonl", "--model", "toy:0.9", "--samples", "4", "--out", "o", "-q")
    return written(tmp_path / "o")


def written(folder):
    """The content of what a plan writes."""
    return {name: (folder / name).read_bytes() for name in ("study.json", "report.html", "policy.toml", "request.json")}


def ask(folder, **changes):
    """Change what a study's folder says was asked."""
    path = folder / "request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(run, stage, folder="o"):
    """The one line that a stage ends with."""
    told = run(stage, folder, code=2).err.strip()
    assert told.count("\n") == 0
    return told


@pytest.mark.parametrize("stage", STAGES)
def test_items_that_were_never_asked_are_no_failures(run, made, tmp_path, stage):
    (tmp_path / "ed" / "q.jsonl").write_text(rows(*range(12)))
    told = refused(run, stage)
    assert "the task of this study changed since it was sampled" in told
    assert "run `trueup study ed/q.jsonl ... --out o` again" in told
    assert written(tmp_path / "o") == made


def test_other_prompts_more_samples_and_other_methods_are_named(run, made, tmp_path):
    (tmp_path / "ed" / "q.jsonl").write_text(rows(*range(6)).replace('"q 5"', '"another"'))
    assert "the task of this study changed" in refused(run, "plan")
    (tmp_path / "ed" / "q.jsonl").write_text(rows(*range(6)))
    ask(tmp_path / "o", samples=99, methods=["once"])
    assert "the number of samples of this study changed" in refused(run, "plan")
    ask(tmp_path / "o", samples=4, methods=["vote n=9"])
    assert "the methods of this study changed" in refused(run, "plan")


def test_fewer_items_need_nothing_new(run, made, tmp_path):
    (tmp_path / "ed" / "q.jsonl").write_text(rows(*range(5)))
    run("plan", "o")
    assert json.loads((tmp_path / "o" / "study.json").read_text())["strata"]["q"]["items"] == 5


def test_a_ledger_that_is_gone_or_another_is_no_failure_of_the_model(run, made, tmp_path):
    (tmp_path / "o" / "ledger.sqlite").unlink()
    assert "no ledger in 'o'; run `trueup study ed/q.jsonl ... --out o` again" in refused(run, "plan")
    run("study", "ed/q.jsonl", "--model", "toy:0.9", "--limit", "1", "--samples", "1", "--out", "small", "-q")
    (tmp_path / "small" / "ledger.sqlite").rename(tmp_path / "o" / "ledger.sqlite")
    assert "the ledger of this study changed" in refused(run, "plan")
    assert written(tmp_path / "o") == made


def test_the_task_and_the_prices_are_those_of_the_studys_own_folder(run, made, tmp_path, monkeypatch):
    here = tmp_path / "here"
    (here / "ed").mkdir(parents=True)
    (here / "ed" / "q.jsonl").write_text(rows(*range(50, 60)))
    (here / "prices.toml").write_text("no prices")
    shipped = Path(__file__).parent.parent / "src" / "trueup" / "core" / "prices.toml"
    (tmp_path / "prices.toml").write_text(shipped.read_text())
    monkeypatch.chdir(here)
    ask(tmp_path / "o", prices="prices.toml")
    run("plan", "../o")
    assert json.loads((tmp_path / "o" / "study.json").read_text())["strata"]["q"]["items"] == 6


def test_the_models_files_are_looked_for_where_the_study_was_started(run, made, tmp_path, monkeypatch):
    words = ("ed/q.jsonl", "--samples", "4", "-q", "--out")
    run("study", *words, "taped", "--model", "toy:0.9", "--record", "tape.jsonl")
    run("study", *words, "played", "--model", "replay:tape.jsonl")
    before = written(tmp_path / "played")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run("plan", "../played")
    assert written(tmp_path / "played")["study.json"] == before["study.json"]


def test_a_price_list_that_a_plan_names_is_found_from_anywhere(run, made, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    shipped = Path(__file__).parent.parent / "src" / "trueup" / "core" / "prices.toml"
    (tmp_path / "here" / "mine.toml").write_text(shipped.read_text())
    monkeypatch.chdir(tmp_path / "here")
    told = run("plan", "../o", "--prices", "mine.toml").out
    monkeypatch.chdir(tmp_path)
    assert run("plan", "o").out == told.replace("../o", "o")


def test_a_folder_that_was_moved_finds_its_task_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text(rows(1))
    assert Request("q.jsonl", started_in="/nowhere").task_path() == "q.jsonl"
    assert Request("q.jsonl", started_in=str(tmp_path)).task_path() == "q.jsonl"


def test_what_was_gathered_before_there_was_a_digest_is_read_as_ever(run, made, tmp_path):
    path = tmp_path / "o" / "request.json"
    table = json.loads(path.read_text())
    del table["asked"]
    path.write_text(json.dumps(table))
    run("plan", "o")
    assert (tmp_path / "o" / "study.json").read_bytes() == made["study.json"]


@pytest.mark.parametrize("wish", [("--error-usd", "1e400"), ("--training-usd", "1e999999")])
def test_a_wish_without_end_is_refused_and_the_folder_goes_on(run, made, tmp_path, wish):
    told = run("plan", "o", *wish, code=2).err
    assert told.strip().count("\n") == 0
    assert f"{wish[0]} is {wish[1]!r}" in told
    run("study", "ed/q.jsonl", "--model", "toy:0.9", "--samples", "4", "--out", "o", *wish, code=2)
    assert written(tmp_path / "o") == made
    run("measure", "o")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--training-usd", "1e300"), ("--error-usd", "1e13"), ("--volume", "1e300"), ("--volume", ".5")],
)
def test_a_wish_that_nobody_can_mean_is_one_line_before_anything_is_asked(run, made, tmp_path, option, value):
    for words in (("plan", "o"), ("study", "ed/q.jsonl", "--model", "toy:0.9", "--out", "new")):
        said = run(*words, option, value, code=2).err
        assert said.strip().count("\n") == 0
        assert f"error: {option} is " in said and "; give " in said
    assert written(tmp_path / "o") == made and not (tmp_path / "new").exists()


def test_dollars_are_finite_as_the_numbers_that_they_become():
    assert str(dollars("--x", "1e300")) == "1E+300"
    for none in ("1e309", "-1", "inf", "nan", "sNaN"):
        with pytest.raises(BadInput, match=f"--x is '{none}'"):
            dollars("--x", none)


def test_a_plan_that_cannot_be_made_leaves_the_request_as_it_was(run, made, tmp_path):
    ask(tmp_path / "o", methods=["vote n=2"])
    old = (tmp_path / "o" / "request.json").read_bytes()
    (tmp_path / "o" / "report.html").unlink()
    (tmp_path / "o" / "report.html").mkdir()
    run("plan", "o", "--target", "0.5", code=2)
    assert (tmp_path / "o" / "request.json").read_bytes() == old


def test_a_study_that_is_refused_leaves_the_folder_as_it_was(run, made, tmp_path):
    run("study", "ed/nowhere.jsonl", "--model", "toy:0.9", "--out", "o", code=2)
    run("study", "ed/q.jsonl", "--model", "toy:0.9", "--methods", "best_of_n n=1", "--out", "o", code=2)
    assert written(tmp_path / "o") == made


def test_methods_of_which_none_can_be_deployed_are_refused_before_anything_is_paid(run, made, tmp_path):
    told = run("study", "ed/q.jsonl", "--model", "toy:0.6", "--methods", "best_of_n n=1", "--out", "p", code=2).err
    assert "every method for stratum 'q' sees the reference or needs a batch" in told
    assert "add `once`" in told
    assert not (tmp_path / "p").exists()


def test_what_cannot_be_planned_with_is_measured_and_diagnosed_all_the_same(run, made, tmp_path):
    study = ("study", "ed/q.jsonl", "--model", "toy:0.6", "--samples", "4", "--out", "o", "-q", "--methods")
    run(*study, "once,best_of_n n=4")
    ask(tmp_path / "o", methods=["best_of_n n=4"])
    points = json.loads(run("measure", "o", "--json").out)["q"]["points"]
    assert [(point["method"], point["oracle"]) for point in points] == [("best_of_n", True)]
    assert json.loads(run("diagnose", "o", "--json").out)["q"]["cause"]
    assert "no plan: every method measured saw the reference" in run("measure", "o").err
    assert "add `once`" in refused(run, "plan")


def test_line_numbers_stay_numbers(run, tmp_path, capsys):
    (tmp_path / "bad.jsonl").write_text(rows(*range(99)) + '{"id": \n')
    told = run("study", "bad.jsonl", "--model", "toy:0.4", code=2).err
    assert "bad.jsonl:100: " in told
    screen().print("a.jsonl:100: b")
    aside().print("a.jsonl:100: b")
    assert capsys.readouterr() == ("a.jsonl:100: b\n",) * 2


def test_progress_shows_names_as_they_are(capsys):
    from trueup.cli.headway import Headway
    from trueup.cli.progress import Meter

    with Meter({"[a] :100:": 1}) as meter, Headway() as headway:
        for bar in (meter._progress, headway._progress):
            bar.disable = False
            task = bar.add_task("[a] :100:", total=1, note="")
            assert bar.columns[0].render(bar.tasks[-1]).plain.strip() == "[a] :100:"
            bar.remove_task(task)
            bar.disable = True


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_names_are_printed_as_they_are_written(run, tmp_path, quiet):
    task, strata = "t [/i] :100:", ("a [/b]", "sums [hard]")
    stratum = '\n[[stratum]]\nname = "{}"\nsource = "jsonl:q.jsonl"\n'
    (tmp_path / "task.toml").write_text(f'[task]\nname = "{task}"\n' + "".join(map(stratum.format, strata)))
    (tmp_path / "q.jsonl").write_text(rows(*range(4)))
    study = run("study", "task.toml", "--model", "toy:0.9", "--samples", "4", "--out", "o[x]", *quiet)
    assert all(study.err.count(f"{name}: ") == (not quiet) for name in strata)
    assert f"{task} on toy" in study.out and "report: o[x]/report.html" in study.out
    for told in (study.out, *(run(stage, "o[x]").out for stage in (*STAGES, "calibrate"))):
        assert all(name in told for name in strata)
    assert "'[/b]'" in run("plan", "[/b]", code=2).err


def test_every_console_writes_brackets_as_they_are(capsys):
    cells = table(("[/h]",), title="[/t]")
    cells.add_row("[/c] [hard]")
    screen().print(cells)
    warn(["[/w] [hard]"])
    out, err = capsys.readouterr()
    assert out.split() == ["[/t]", "[/h]", "[/c]", "[hard]"] and err == "  [/w] [hard]\n"


def test_a_file_is_written_whole_or_not_at_all(run, made, tmp_path):
    (tmp_path / "o" / "study.json").unlink()
    (tmp_path / "o" / "study.json").symlink_to("/dev/full")
    run("plan", "o")
    assert (tmp_path / "o" / "study.json").read_bytes() == made["study.json"]
    (tmp_path / "held").mkdir()
    with pytest.raises(BadInput, match=r"cannot write '.*held'"):
        write_whole(tmp_path / "held", "text")
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("words", [("list", "methods"), ("ledger", "export", "o"), ("measure", "o")])
def test_a_full_disk_behind_standard_output_is_one_line(made, tmp_path, words):
    order = f"import sys; sys.argv = {['trueup', *words]!r}; from trueup.cli import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", order], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: No space left on device")
    assert done.stderr.decode().count("\n") == 1


@pytest.mark.parametrize(
    "words",
    ["measure", "diagnose", "plan", "report", "calibrate", "learn rightness", "learn head", "route fit", "route bins"],
)
def test_a_file_where_a_folder_is_expected_is_one_line(run, made, words):
    told = run(*words.split(), "ed/q.jsonl", code=2).err.strip()
    assert told == "error: 'ed/q.jsonl' is a file; give the folder of a study"


def test_names_become_words_of_their_own():
    names = ("word sums, long", "word_sums_long", "word sums long", "word/sums long")
    words = {one_word(name) for name in names}
    assert len(words) == 4 and "word_sums_long" in words and not any(set(word) & set(" ,/") for word in words)


def test_a_stratum_of_two_words_is_learned_into_a_file_that_a_setting_can_name(run, tmp_path):
    word = one_word("word sums, long")
    (tmp_path / "w.jsonl").write_text(rows(*range(24)))
    (tmp_path / "t.toml").write_text(
        '[task]\nname = "t"\n[[stratum]]\nname = "word sums, long"\nsource = "jsonl:w.jsonl"\nverifier = "exact"\n'
    )
    study = ("study", "t.toml", "--model", "toy:0.6", "--samples", "4", "--out", "o", "-q", "--methods")
    run(*study, "once,vote n=4")
    assert f"lookahead_vote table=o/{word}.rightness.json" in " ".join(run("learn", "rightness", "o").out.split())
    run("route", "bins", "o", "--pilot", "2", "--bins", "2")
    run(
        *study,
        f"lookahead_vote n=4 table=o/{word}.rightness.json,compute_optimal table=o/bins-{word}.json",
    )
    told = run("learn", "rightness", "o", "--out", "my table.json").out
    use = 'lookahead_vote table="my table.json"'
    assert f"use it as `{use}`" in told
    run(*study, f"{use} n=4")
    told = " ".join(run("learn", "head", "o", "--out", "my head.json").out.split())
    assert told.endswith(r'use it as rater = "head file=\"my head.json\""')


@pytest.fixture
def latin(run, tmp_path, monkeypatch):
    """The command line in a folder whose name is no UTF-8, with a task there."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "q.jsonl").write_text(rows(*range(4)))
    monkeypatch.chdir(folder)
    return run


def test_a_folder_whose_name_no_policy_can_hold_is_refused_before_anything_is_paid(latin):
    told = latin("study", "q.jsonl", "--model", "toy:0.9", "--samples", "2", "--out", "o", "-q", code=2).err
    assert r"caf\udce9' is not valid UTF-8, which policy.toml has to be; rename it" in told and told.count("\n") == 1
    assert not Path("o").exists()


def test_a_text_that_is_no_utf8_leaves_no_part_of_a_file(tmp_path):
    with pytest.raises(BadInput, match=r"/policy.toml': 'in \"caf\\udce9' is not valid UTF-8; rename it") as refused:
        write_whole(tmp_path / "policy.toml", 'in "caf\udce9"\n')
    assert str(refused.value).count("\n") == 0 and not list(tmp_path.iterdir())


def test_a_setting_given_twice_is_refused(run, made):
    told = run("study", "ed/q.jsonl", "--model", "toy:0.6", "--methods", "vote n=3 n=4", "--out", "p", code=2).err
    assert "n is set twice in 'vote n=3 n=4'; set it once" in told


def test_an_empty_key_serves_nothing(run, made, monkeypatch):
    monkeypatch.delenv("TRUEUP_API_KEY", raising=False)
    with contextlib.suppress(KeyboardInterrupt):
        told = run("serve", "o/policy.toml", "--api-key=", "--port", "0", code=2).err
    assert "the API key is empty" in told


def test_a_task_without_any_reference_is_refused_before_anything_is_paid(run, tmp_path):
    (tmp_path / "none.jsonl").write_text(rows(*range(4)).replace('"right"', "null"))
    told = run("study", "none.jsonl", "--model", "toy:0.9", "--samples", "2", "--out", "none", code=2).err
    assert "'none' has no reference answers and its verifier needs them" in told
    (tmp_path / "none.jsonl").write_text(rows(*range(4)).replace('"right"', '["right", null]'))
    assert told == run("sample", "none.jsonl", "--model", "toy:0.9", "--out", "none", code=2).err
    assert not (tmp_path / "none").exists()


def test_what_is_not_to_be_planned_with_may_be_sampled(run, tmp_path):
    (tmp_path / "q.jsonl").write_text(rows(*range(4)))
    run("sample", "q.jsonl", "--model", "toy:0.9", "--samples", "2", "--methods", "best_of_n n=2", "--out", "o", "-q")
    assert "best_of_n n=2" in run("measure", "o").out
    assert "none can be deployed" in " ".join(run("plan", "o", code=2).err.split())
