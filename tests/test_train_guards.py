"""What a training must not write over, learn or lose: its base, the held-out questions, its own end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from errno import ENOSPC
from importlib import import_module
from pathlib import Path

import pytest
from terminal import trueup
from tiny import save_tiny
from tiny_trained import ITEMS, save_half, write_words

from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.train.ask import Graded
from trueup.train.failures import count_failures, note_failure
from trueup.train.job import Job
from trueup.train.offline import mining, supervised
from trueup.train.offline.loop import Course
from trueup.train.profiles import PROFILES
from trueup.verifiers import number

dpo_file = import_module("trueup.train.offline.dpo")


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in this process; what it says of errors and of its way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_words(tmp_path / "task.toml")

    def call(*words, code=0):
        trueup(monkeypatch, "train", "sft", *words, "--samples", "1", "--set", "steps=1", code=code)
        told = capsys.readouterr().err
        assert "Traceback" not in told
        return told

    return call


def usual(model, *more, task="task.toml", out="o"):
    return ("--task", task, "--model", f"hf:{model}", "--out", out, "--set", "lora_rank=2", *more)


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


# the base


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("out", ["first", "first/model", "first/model/deep/er", "link"])
def test_an_out_where_the_base_lies_is_refused_before_anything_is_done(half, run, tmp_path, rank, out):
    shutil.copytree(half, tmp_path / "first" / "model")
    (tmp_path / "link").symlink_to(tmp_path / "first")
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for model in ("first", "first/model"):
        line = run(*usual(model, "--set", f"lora_rank={rank}", out=out), code=2)
        assert f"--out {out!r} is where the model lies ('" in line and line.endswith("choose another --out\n")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_an_out_where_the_base_of_an_adapter_lies_is_refused(half, run, tmp_path):
    shutil.copytree(half, tmp_path / "below" / "model")
    run(*usual("below/model"))
    assert "is where the model lies" in run(*usual("o", out="below"), code=2)
    assert not (tmp_path / "below" / "base").exists()


def test_an_out_that_holds_another_model_is_refused(half, run, tmp_path):
    save_tiny(tmp_path / "other", 1)
    assert "--out 'other' holds a model, which would be read as what was trained" in run(
        *usual(half, out="other"), code=2
    )
    assert not (tmp_path / "other" / "train.json").exists()


def test_the_weights_that_were_trained_are_measured_whatever_else_lies_beside_them(half, run, tmp_path):
    run(*usual(half, "--set", "steps=20", "--set", "lr=0.01"))
    card = card_of(tmp_path / "o")
    assert card["distance"]["words"]["kl"] > 0
    (tmp_path / "o" / "card.json").unlink()
    shutil.copytree(half, tmp_path / "o", dirs_exist_ok=True)
    run(*usual(half, "--set", "steps=20", "--set", "lr=0.01"))
    assert card_of(tmp_path / "o")["distance"] == card["distance"]


# the held-out half


def write_questions(path, questions):
    rows = [{"id": f"q{i}", "prompt": asked, "reference": "right"} for i, asked in enumerate(questions)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_templated(folder, questions):
    """Rows that ask these, before each of which the task's template stands once more."""
    write_questions(folder / "words.jsonl", questions)
    with (folder / "task.toml").open("a") as task:
        task.write('template = "Q: {question}"\n')


def test_a_held_out_item_that_asks_what_is_trained_on_is_left_out_and_told(half, run, tmp_path):
    write_templated(tmp_path, [f"{lead}problem {i}" for i in range(ITEMS // 2) for lead in ("", "Q: ")])
    told = run(*usual(half))
    card = card_of(tmp_path / "o")
    asked = {f"q{i}": i // 2 for i in range(ITEMS)}
    trained, held = ({asked[name] for name in card["data"][half]} for half in ("trained_on", "held_out"))
    assert held and not trained & held
    left = ITEMS - len(card["data"]["trained_on"]) - len(card["data"]["held_out"])
    note = f"left out of the held-out half, since they ask what is trained on: {left} item{'s' * (left > 1)}"
    assert left > 0 and note in card["notes"] and note in told
    assert card["evaluation"]["words"]["items"] == len(card["data"]["held_out"])


def test_a_half_that_asks_nothing_but_what_is_trained_on_is_refused(half, run, tmp_path):
    write_templated(tmp_path, ["problem 0", "Q: problem 0"] * (ITEMS // 2))
    assert "every held-out item of 'words' asks what is trained on; give more items" in run(*usual(half), code=2)
    assert not (tmp_path / "o").exists()


def test_rows_with_one_prompt_are_one_item(half, run, tmp_path):
    write_questions(tmp_path / "words.jsonl", ["problem 0"] * ITEMS)
    line = run(*usual(half), code=2)
    assert "'words' has too few independent items (1: rows with one prompt or cluster are one); half is" in line


# seeds


@pytest.mark.parametrize("seed", [-1, 2**32, 2**44])
def test_a_seed_that_no_generator_takes_is_one_line(half, run, tmp_path, seed):
    line = run(*usual(half), "--seed", seed, code=2)
    assert line == f"error: --seed is {seed}; give a whole number from 0 to 4294967295\n"
    task = tmp_path / "task.toml"
    task.write_text(task.read_text().replace("[task]\n", f"[task]\nseed = {seed}\n"))
    assert f"task.toml' is {seed}; give a whole number" in run(*usual(half), code=2)
    assert not (tmp_path / "o").exists()


# its own end


def test_a_round_whose_figures_found_no_room_is_not_done(half, tmp_path, monkeypatch):
    """The disk takes half of them, and the round ends as if nothing had been."""
    asked = Job(half, Stratum("s", (), number()), tmp_path, PROFILES["cpu"], 0, lambda p: None, lambda p: None)
    plan = supervised.Plan(Course(1, 1, 1e-3, 2, 0.0, 0.0, 1))
    examples = [supervised.Example((Message("user", "problem 1"),), "right")]
    write = Path.write_text

    def full(path, text, *given, **more):
        if path.name.startswith("figures"):
            write(path, text[: len(text) // 2])
            raise OSError(ENOSPC, "No space left on device")
        return write(path, text, *given, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        supervised.run_rounds(asked, lambda folder, number: examples, plan)
    monkeypatch.undo()
    folder, figures = supervised.run_rounds(asked, lambda folder, number: examples, plan)
    assert figures["texts"] == 1.0 and (folder / "adapter_config.json").exists()


def test_a_line_of_failures_that_was_never_finished_costs_no_other(tmp_path):
    path = tmp_path / "failures.jsonl"
    assert count_failures(path) == {}
    note_failure(path, "a", "1", "no")
    whole = path.read_text()
    path.write_text(whole + whole[:7])
    assert count_failures(path) == {"a": 1}
    note_failure(path, "a", "2", "no")
    note_failure(path, "b", "ü", "no")
    assert count_failures(path) == {"a": 2, "b": 1} and path.read_text() == whole + whole[:7] + "\n" + "".join(
        json.dumps({"what": what, "item": item, "reason": "no"}) + "\n" for what, item in (("a", "2"), ("b", "ü"))
    )


def test_a_damaged_file_of_its_end_is_one_line_and_a_card_is_measured_anew(half, run, tmp_path):
    run(*usual(half))
    card, told = card_of(tmp_path / "o"), (tmp_path / "o" / "trained.json").read_text()
    for name, mend in (("card", "delete it and run again, which measures anew"), ("trained", "choose another --out")):
        (tmp_path / "o" / "card.json").unlink()
        for text in ("", '{"trainer": "s', "[1]", "{}"):
            (tmp_path / "o" / f"{name}.json").write_text(text)
            line = run(*usual(half), code=2).strip().splitlines()[-1]
            assert line.startswith(f"error: 'o/{name}.json' is damaged (") and line.endswith(mend)
        (tmp_path / "o" / "card.json").unlink(missing_ok=True)
        (tmp_path / "o" / "trained.json").write_text(told)
        run(*usual(half))
        assert card_of(tmp_path / "o")["evaluation"] == card["evaluation"]


# parts that cannot be measured


@pytest.mark.parametrize("guard", [False, True])
def test_a_part_that_cannot_be_asked_at_all_is_left_out_by_name(half, run, tmp_path, guard):
    write_words(tmp_path / "three.toml", strata=3)
    write_questions(tmp_path / "words1.jsonl", [f"{'long ' * 100}{i}" for i in range(ITEMS)])
    if guard:
        write_words(tmp_path / "kept.toml", strata=2)
        write_questions(tmp_path / "words1.jsonl", [f"{'long ' * 100}{i}" for i in range(ITEMS)])
        (tmp_path / "words.jsonl").write_text((tmp_path / "words.jsonl").read_text().replace("problem ", "another "))
    more = ("--guard", "kept.toml") if guard else ("--stratum", "words")
    task = tmp_path / ("own.toml" if guard else "three.toml")
    if guard:
        write_questions(tmp_path / "own.jsonl", [f"problem {i}" for i in range(ITEMS)])
        task.write_text('[task]\nname = "own"\n[[stratum]]\nname = "own"\nsource = "jsonl:own.jsonl"\nmax_tokens = 8\n')
    told = run(*usual(half, *more, task=task.name))
    card = card_of(tmp_path / "o")
    parts = {"own", "guard words"} if guard else {"words", "words2"}
    assert set(card["evaluation"]) == set(card["distance"]) == parts
    (note,) = card["notes"]
    lost = "guard words1" if guard else "words1"
    assert note.startswith(f"left out of before, after and KL: before: {lost}: no item of '{lost}' could be sampled: ")
    assert note in told and note in (tmp_path / "o" / "card.md").read_text()


def test_the_part_that_is_trained_on_must_be_measured(half, run, tmp_path):
    write_questions(tmp_path / "words.jsonl", [f"{'long ' * 100}{i}" for i in range(ITEMS)])
    assert "error: " in run(*usual(half), code=2)
    assert not (tmp_path / "o" / "card.json").exists()


# pairs


def test_items_without_a_pair_are_counted_as_items_and_not_as_prompts(tmp_path):
    prompt = (Message("user", "the same?"),)
    items = tuple(Item(Problem(name, "s", prompt), None, name) for name in "pqr")
    job = Job(tmp_path, Stratum("s", items, number()), tmp_path, PROFILES["cpu"], 0, lambda p: None, lambda p: None)
    both = [
        Graded(prompt, Attempt(place, text, "eos", Usage(1, 1), text), Grade(grade))
        for place, (text, grade) in enumerate((("1", 1.0), ("2", 0.0), ("3", 0.0)))
    ]
    path = tmp_path / "rounds" / "pairs.jsonl"
    for found, unpaired in (([(0, both), (1, both)], 1), ([(0, both)], 2)):
        path.parent.mkdir(exist_ok=True)
        rows = [json.dumps(mining._row(pair)) + "\n" for pair in mining.preferences(job, found)]
        path.write_text("".join(rows))
        kept = mining.mined(replace(job, ask=None), 1, "own")
        assert dpo_file._pair_figures(job, kept)["unpaired_items"] == unpaired
    path.write_text("".join(rows).replace(', "item": "p"', ""))
    assert dpo_file._pair_figures(job, mining.mined(job, 1, "own"))["unpaired_items"] == 2, "as kept by older runs"
