"""Offline trainers through the command line: each whole, killed and resumed, and every refusal in one line."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time

import pytest
from terminal import trueup
from tiny_trained import ITEMS, save_half, write_words

from trueup.core.ledger import read_charges, verify
from trueup.train.offline.supervised import TOO_LONG


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in this process, in a folder of this test's; its standard output, or the error's line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_words(tmp_path / "task.toml")

    def call(*words, code=0):
        trueup(monkeypatch, *words, code=code)
        if not code:
            return capsys.readouterr().out
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        return line

    return call


def words_for(method, model, *more, task="task.toml"):
    return ("train", method, "--task", task, "--model", f"hf:{model}", "--out", "o", "--samples", "1", *more)


def test_kill_nine_costs_nothing_that_was_paid_and_ends_in_the_same_bytes(half, run, tmp_path):
    sets = ("rounds=2", "steps=8", "lora_rank=2", "save_every=3", "n=2")
    words = words_for("iterated_sft", half, *(word for pair in sets for word in ("--set", pair)))
    child = subprocess.Popen(
        [sys.executable, "-m", "trueup", *words, "--out", "b"], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    log = tmp_path / "b" / "log.jsonl"
    while not (log.exists() and log.read_text().count("\n") >= 13) and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "b" / "card.json").exists()
    sampled = {c.key for c in read_charges(tmp_path / "b" / "ledger.sqlite") if c.kind in ("sampled", "evaluation")}
    run(*words, "--out", "b")
    run(*words, "--out", "a")
    rows = {name: list(read_charges(tmp_path / name / "ledger.sqlite")) for name in "ab"}
    kinds = {name: {(c.kind, c.key) for c in rows[name] if c.kind != "retried"} for name in "ab"}
    assert kinds["a"] == kinds["b"] and sampled <= {key for _, key in kinds["b"]}
    assert not verify(tmp_path / "b" / "ledger.sqlite").discrepancies
    first, second = ((tmp_path / name / "adapter" / "adapter_model.safetensors").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("star", ("n=4", "rounds=2", "plus=true")),
        ("pair_sft", ("n=4",)),
        ("expert_iteration", ("teacher=best_of_n n=4",)),
        ("dpo", ("n=4", "after_sft=3", "nll=0.2")),
    ],
)
def test_an_offline_trainer_trains_on_one_half_and_is_measured_on_the_other(half, run, tmp_path, method, settings):
    sets = [word for pair in ("steps=6", "lora_rank=2", "lr=0.003", *settings) for word in ("--set", pair)]
    words = ("train", method, "--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--samples", "1", *sets)
    card = json.loads(run(*words, "--json"))
    assert card["adapter"] and (tmp_path / "o" / "adapter" / "adapter_model.safetensors").is_file()
    trained_on, held_out = card["data"]["trained_on"], card["data"]["held_out"]
    assert len(trained_on) == len(held_out) == ITEMS // 2 and not set(trained_on) & set(held_out)
    told = card["evaluation"]["words"]
    assert ("second_turn" in told) == (method in ("star", "pair_sft"))
    kinds = {total["kind"] for total in card["ledger"]["totals"]}
    assert {"trained", "sampled", "evaluation"} <= kinds
    assert not verify(tmp_path / "o" / "ledger.sqlite").discrepancies
    assert "trained on 4 items" in run(*words) and len(list((tmp_path / "o").glob("*.draft"))) == 0


def test_dpo_begins_at_log_2(half, run, tmp_path):
    run(*words_for("dpo", half), "--set", "steps=1", "--set", "n=4")
    (step,) = [json.loads(line) for line in (tmp_path / "o" / "log.jsonl").read_text().splitlines()]
    assert step["loss"] == pytest.approx(math.log(2), abs=1e-5) and step["margin"] == pytest.approx(0, abs=1e-5)
    pairs = [json.loads(line) for line in (tmp_path / "o" / "rounds" / "pairs.jsonl").read_text().splitlines()]
    assert {(pair["chosen"], pair["rejected"]) for pair in pairs} == {("right", "wrong")}
    (reference,) = [c for c in read_charges(tmp_path / "o" / "ledger.sqlite") if c.kind == "reference"]
    assert reference.flops > 0 and reference.completion_tokens == sum(2 * 6 for _ in pairs)


def test_the_chosen_side_alone_is_an_arm_of_its_own_with_its_gradient_tokens(half, run, tmp_path):
    """Of `right` and its end there are 6 tokens; a pair has 12, since `wrong` is as long."""
    sets = ("n=4", "lora_rank=2", "batch=4")
    words = [word for pair in sets for word in ("--set", pair)]
    alone = json.loads(run(*words_for("dpo", half), "--set", "steps=0", "--set", "after_sft=6", *words, "--json"))
    both = ("--set", "steps=2", "--set", "after_sft=2", "--out", "b")
    after = json.loads(run(*words_for("dpo", half), *words, *both, "--json"))
    assert alone["gradient_tokens"] == after["gradient_tokens"] == 6 * 4 * 6
    assert (alone["steps"], after["steps"]) == (6, 4) and alone["figures"]["pairs"] == after["figures"]["pairs"] > 0
    assert "sft_loss" in alone["figures"] and not {"margin", "loss"} & set(alone["figures"])
    kinds = {c.kind for c in read_charges(tmp_path / "o" / "ledger.sqlite")}
    assert "reference" not in kinds and (tmp_path / "o" / "adapter").is_dir()
    assert "steps is 0; give at least 1" in run(*words_for("dpo", half), "--set", "steps=0", "--out", "n", code=2)


def test_dpo_keeps_to_the_base_and_replays_in_both_stages(half, run, tmp_path):
    write_words(tmp_path / "two.toml", strata=2)
    words = words_for("dpo", half, "--stratum", "words", task="two.toml")
    sets = ("n=4", "steps=2", "after_sft=2", "kl=0.5", "replay=0.5", "lora_rank=2", "batch=32", "lr=0.001")
    card = json.loads(run(*words, *(word for pair in sets for word in ("--set", pair)), "--json"))
    steps = [json.loads(line) for line in (tmp_path / "o" / "log.jsonl").read_text().splitlines()]
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-6) and steps[2]["kl"] > 1e-6, "to the base, not to the first stage"
    assert steps[2]["margin"] == pytest.approx(0, abs=1e-5), "the policy that pairs are read by is the first stage's"
    replayed = (tmp_path / "o" / "rounds" / "dpo" / "examples.jsonl").read_text().splitlines()
    assert len(replayed) == card["figures"]["pairs"] and len(card["data"]["replayed"]) == ITEMS // 2
    reference = [c for c in read_charges(tmp_path / "o" / "ledger.sqlite") if c.kind == "reference"]
    assert len(reference) == 4 + 1, "each step's, and the one over all pairs before the second stage"


def test_a_teacher_is_asked_by_its_name_and_is_on_the_ledger(half, run, tmp_path):
    words = words_for("dpo", half, "--with", "teacher=toy:0.3")
    run(*words, "--set", "steps=1", "--set", "n=2", "--set", "negatives=teacher")
    sources = {c.source for c in read_charges(tmp_path / "o" / "ledger.sqlite") if c.kind == "sampled"}
    assert len(sources) == 1 and next(iter(sources)).startswith("toy")


def test_replay_mixes_in_the_bases_own_answers_to_the_other_strata(half, run, tmp_path):
    write_words(tmp_path / "two.toml", strata=2)
    words = words_for("sft", half, "--stratum", "words", task="two.toml")
    run(*words, "--set", "steps=1", "--set", "replay=0.5")
    rows = [json.loads(line) for line in (tmp_path / "o" / "rounds" / "1" / "examples.jsonl").read_text().splitlines()]
    own = [row for row in rows if int(row["messages"][0][1].split()[-1]) < ITEMS]
    assert len(own) == len(rows) - len(own) == ITEMS // 2
    said = {c.reply for c in read_charges(tmp_path / "o" / "ledger.sqlite") if c.kind == "sampled"}
    assert {row["target"] for row in own} == {"right"} and {row["target"] for row in rows if row not in own} == said


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("stf",), "unknown trainer 'stf'; did you mean 'sft'?"),
        (("sft", "--set", "step=3"), "unknown setting of sft 'step'; did you mean 'steps'?"),
        (("sft", "--set", "steps=0"), "steps is 0; give at least 1"),
        (("sft", "--set", "replay=0.5"), "the task has no stratum beside 'words'"),
        (("sft", "--set", "target=x"), "say where the answer goes"),
        (("sft", "--stratum", "sums"), "unknown stratum 'sums'"),
        (
            ("sft", "--profile", "zero3+vllm-4"),
            "has a vLLM server sample, and sft samples with trueup's own engines; give --profile fsdp2-4, or any",
        ),
        (("sft", "--limit", "1"), "--limit is 1"),
        (("sft", "--model", "toy:0.5"), "cannot be trained here"),
        (("sft", "--gguf", "q4"), "--gguf is 'q4'; it takes f16 or q8_0"),
        (("dpo", "--set", "negatives=teacher"), "give --with teacher=MODEL"),
        (("expert_iteration", "--set", "teacher=greedy_allocate"), "answers many items at once"),
        (("star", "--set", "rounds=0"), "rounds is 0"),
        (
            ("dpo", "--with", "teacehr=toy:0.3"),
            "--with teacehr=MODEL is asked by no setting of this training, which takes t",
        ),
        (("dpo", "--with", "teacher=toy:0.3", "--set", "negatives=own"), "which takes none"),
        (
            ("sft", "--with", "foo=toy:0.3"),
            "--with foo=MODEL is asked by no setting of this training, which takes none",
        ),
        (
            ("grpo", "--with", "foo=toy:0.3"),
            "--with foo=MODEL is asked by no setting of this training, which takes none",
        ),
        (
            ("expert_iteration", "--with", "foo=toy:0.3"),
            "--with foo=MODEL is asked by no setting of this training, which ta",
        ),
        (
            ("expert_iteration", "--with", "n=toy:0.3", "--set", "teacher=vote n=2 model=big", "--with", "big=toy:1"),
            "--with n=MODEL is asked by no setting of this training, which takes what teacher 'vote n=2 model=big' n",
        ),
        (
            ("warm_up", "--with", "foo=toy:0.3", "--set", "think_from=own", "--set", "short_from=own"),
            "--with foo=MODEL is",
        ),
        (("grpo", "--profile", "torchrun-2", "--set", "norm=foo"), "norm is 'foo'; it takes sequence, token, constant"),
        (("grpo", "--profile", "torchrun-3", "--set", "batch=8"), "batch 8 does not divide over the 3 processes"),
    ],
)
def test_what_cannot_be_trained_is_one_line(half, run, words, line):
    with_model = () if "--model" in words else ("--model", f"hf:{half}")
    assert line in run("train", *words, "--task", "task.toml", *with_model, "--out", "o", "--samples", "1", code=2)


@pytest.mark.parametrize("teacher", ["vote n=1 model=strong", "cascade n=4"])
def test_a_model_that_the_teacher_of_expert_iteration_asks_may_be_given(half, run, tmp_path, teacher):
    """The second asks it by default."""
    words = words_for("expert_iteration", half, "--with", "strong=toy:1.0", "--set", "graded=false")
    run(*words, "--set", "steps=1", "--set", f"teacher={teacher}")
    assert json.loads((tmp_path / "o" / "card.json").read_text())["settings"]["teacher"] == teacher
    assert any(charge.source.startswith("toy") for charge in read_charges(tmp_path / "o" / "ledger.sqlite"))


def test_references_without_a_right_wording_are_left_out_by_name(half, run, tmp_path):
    pattern = '\nverifier = "exact pattern=(right)"\n'
    (tmp_path / "task.toml").write_text((tmp_path / "task.toml").read_text() + pattern)
    rows = (tmp_path / "words.jsonl").read_text().splitlines()
    (tmp_path / "words.jsonl").write_text(
        "\n".join([*rows[:5], *(row.replace('"right"', '"left"') for row in rows[5:])])
    )
    shown = run(*words_for("sft", half), "--set", "steps=1")
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    told = [json.loads(line) for line in (tmp_path / "o" / "failures.jsonl").read_text().splitlines()]
    assert {row["item"] for row in told} <= {"words-m5", "words-m6", "words-m7"} & set(card["data"]["trained_on"])
    assert card["failures"] == {"wording references": len(told)} and card["figures"]["texts"] == 4 - len(told) < 4
    assert f"wording references: {len(told)} item" in shown


def test_a_text_that_does_not_fit_the_model_is_left_out_by_name(half, run, tmp_path):
    rows = [json.loads(line) for line in (tmp_path / "words.jsonl").read_text().splitlines()]
    for row in rows[:4]:
        row["reference"] = "right" * 60
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = run(*words_for("sft", half), "--set", "steps=1")
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    told = [json.loads(line) for line in (tmp_path / "o" / "failures.jsonl").read_text().splitlines()]
    assert {row["item"] for row in told} == set(card["data"]["trained_on"]) & {f"words-m{place}" for place in range(4)}
    assert card["failures"] == {TOO_LONG: len(told)} and card["figures"]["texts"] == 4 - len(told) < 4
    assert told[0]["reason"].startswith("a text of 3") and f"{TOO_LONG}: {len(told)} item" in shown


def test_a_task_that_says_of_no_answer_whether_it_is_right_is_refused(half, run, tmp_path):
    (tmp_path / "open.jsonl").write_text(
        "".join(f'{{"id": {i}, "prompt": "{i}?", "reference": null}}\n' for i in range(4))
    )
    line = run("train", "sft", "--task", "open.jsonl", "--model", f"hf:{half}", "--out", "o", code=2)
    assert "no reference answers" in line


def test_a_folder_takes_only_the_training_that_it_holds(half, run, tmp_path):
    words = ("train", "sft", "--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--samples", "1")
    run(*words, "--set", "steps=1")
    (line,) = [run(*words, "--set", "steps=2", code=2)]
    assert "'o' holds another training: settings steps 1, not 2; choose another --out" in line


def test_a_refused_training_leaves_its_folder_free_for_another(half, run, tmp_path):
    write_words(tmp_path / "task.toml")
    words = words_for("sft", half)
    assert "steps is 0" in run(*words, "--set", "steps=0", code=2)
    examples = tmp_path / "o" / "rounds" / "1" / "examples.jsonl"
    assert "nothing to train on" in run(*words, "--set", "steps=1", "--set", "target=x{reference}", code=2)
    assert examples.read_text() == ""
    assert "trained on 4 items" in run(*words, "--set", "steps=1") and len(examples.read_text().splitlines()) == 4


def test_a_file_of_the_users_that_is_called_like_an_order_is_left_alone(half, run, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "train.json").write_text('{"rows": []}')
    assert "is no order" in run(*words_for("sft", half), "--set", "steps=1", code=2)
    assert (tmp_path / "o" / "train.json").read_text() == '{"rows": []}'
