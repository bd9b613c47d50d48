"""What goes wrong in an offline training: one line or a counted skip, and the last good checkpoint stays."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import replace

import pytest
import tiny_trl
import torch
from terminal import trueup
from tiny import byte_tokenizer, save_tiny
from tiny_trained import ITEMS, save_half, write_words
from transformers import AutoModelForCausalLM, GenerationConfig

from trueup.core.errors import AskFailed, BadInput, Unavailable
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.models import HuggingFace
from trueup.run.grading import is_right
from trueup.train.ask import Graded
from trueup.train.failures import in_one_line
from trueup.train.job import Job
from trueup.train.network import load, merged
from trueup.train.offline import sft
from trueup.train.offline.loop import Course, Objective, fit
from trueup.train.offline.mining import preferences
from trueup.train.offline.references import WORDING, all_written
from trueup.train.offline.supervised import Plan, supervised, train_rounds
from trueup.train.profiles import PROFILES, launch
from trueup.train.real import grpo, score
from trueup.train.real.objective import Recipe
from trueup.train.real.objectives import each_turn
from trueup.train.real.quiet import quiet
from trueup.train.real.run import build
from trueup.train.texts import Example, tokens_of
from trueup.verifiers import exact, number

ASKED = (Message("user", "problem 1"),)
COURSE = Course(5, 2, 1e-3, 0, 0.0, 0.0, 2)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("base"), 3)


def items(*names, reference="7"):
    return tuple(Item(Problem(name, "s", (Message("user", f"{name}?"),)), reference, name) for name in names)


def job_of(base, out, watch=lambda progress: None, **given):
    usual = Job(base, Stratum("s", items("p", "q"), exact()), out, PROFILES["cpu"], 0, lambda passes: None, watch)
    return replace(usual, **given)


def loaded(base, rank=0):
    return load(base, device="cpu", dtype="float32", lora_rank=rank, template="", seed=0)


def trained(base, out, watch=lambda progress: None, ruin=None, **given):
    """Five steps on two texts; `ruin` makes another objective of the usual one."""
    trainee = loaded(base)
    texts = [tokens_of(Example(ASKED, target), trainee.vocabulary, 256) for target in ("a", "bc")]
    objective = supervised(trainee, COURSE, base)
    objective = ruin(objective) if ruin else objective
    fit(job_of(base, out, watch, **given), trainee, texts, objective, COURSE, state=out / "s.pt")
    return torch.cat([weight.flatten() for weight in trainee.weights])


# the loop


def test_a_loss_that_is_no_number_stops_before_the_checkpoint(base, tmp_path):
    steps = []

    def ruin(objective):
        def part(texts):
            usual = objective.part(texts)
            return replace(usual, loss=usual.loss * float("nan")) if len(steps) == 3 else usual

        return Objective(part, objective.weight, objective.tokens)

    with pytest.raises(BadInput, match=r"^loss of step 4 is nan; set a lower lr .*; step 2 is kept$"):
        trained(base, tmp_path, steps.append, ruin)
    kept = torch.load(tmp_path / "s.pt", weights_only=True)
    assert kept["step"] == 2 and all(weight.isfinite().all() for weight in kept["weights"].values())
    assert torch.equal(trained(base, tmp_path), trained(base, tmp_path / "undisturbed"))


def test_broken_weights_are_one_line(base, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.lm_head.weight[7] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    byte_tokenizer().save_pretrained(tmp_path / "broken")
    with pytest.raises(BadInput, match=r"^loss of step 1 is nan; .* look for broken weights; no checkpoint was kept"):
        trained(tmp_path / "broken", tmp_path)
    assert not (tmp_path / "s.pt").exists()


def test_a_loop_without_memory_or_disk_says_so_and_goes_on_to_the_same_weights(base, tmp_path):
    """Memory runs out in the third step; then files of half a checkpoint are the largest that can be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def at(step, what):
        return lambda progress: what() if progress.step == step else None

    with pytest.raises(Unavailable, match=r"^out of memory in training \(.*\); .*; step 2 is kept$"):
        trained(base, tmp_path, at(3, lambda: torch.empty(1 << 52)))
    half = (tmp_path / "s.pt").stat().st_size // 2
    try:
        with pytest.raises(Unavailable, match=r"^cannot write under '.*' \(.*\); make room .*: step 2 is kept$"):
            trained(base, tmp_path, at(3, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (half, hard))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.load(tmp_path / "s.pt", weights_only=True)["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["s.pt"], "half a checkpoint takes no room"
    assert torch.equal(trained(base, tmp_path), trained(base, tmp_path / "undisturbed"))


def test_an_error_of_ours_is_not_put_in_other_words(tmp_path):
    with (
        pytest.raises(BadInput, match=r"^No space left on device is what the task is called$"),
        in_one_line(tmp_path, lambda: ""),
    ):
        raise BadInput("No space left on device is what the task is called")


def test_a_damaged_checkpoint_is_told_and_its_steps_are_done_again(base, tmp_path):
    def stop(progress):
        if progress.step == 4:
            raise KeyError

    with pytest.raises(KeyError):
        trained(base, tmp_path, stop)
    whole = (tmp_path / "s.pt").read_bytes()
    (tmp_path / "s.pt").write_bytes(whole[: len(whole) // 2])
    told, steps = [], []
    again = trained(base, tmp_path, steps.append, tell=told.append)
    assert [one.step for one in steps] == [1, 2, 3, 4, 5]
    assert told == [f"the checkpoint '{tmp_path / 's.pt'}' is damaged; its steps are done again"]
    assert torch.equal(again, trained(base, tmp_path / "undisturbed"))


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "optimizer.pt"])
def test_an_online_training_goes_on_before_a_damaged_checkpoint(tmp_path, file):
    model = save_tiny(tmp_path / "model", 0, max_position_embeddings=512)
    tiny_trl.main(str(model), str(tmp_path), "cpu")
    weights, kept = tmp_path / "adapter" / "adapter_model.safetensors", tmp_path / "checkpoints" / "online"
    before, damaged = weights.read_bytes(), kept / "checkpoint-4" / file
    damaged.write_bytes(damaged.read_bytes()[:-100])
    told, steps = [], []
    asked = tiny_trl.job(model, tmp_path, watch=steps.append, tell=told.append)
    score(asked, random_reward=True, **tiny_trl.LAUNCHED)
    assert told == [f"'{kept / 'checkpoint-4'}' is damaged and left out; the training goes on before it"]
    assert [one.step for one in steps] == [3, 4] and weights.read_bytes() == before


# what is learned from


def test_rounds_without_an_example_are_one_line(base, tmp_path):
    with pytest.raises(BadInput, match="nothing to train on: of 2 items of 's' none gave an example"):
        train_rounds(job_of(base, tmp_path), lambda folder, number: [], Plan(COURSE))
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize("grades", [(True, True), (False, False), ()])
def test_preferences_of_one_side_alone_are_no_pairs(base, tmp_path, grades):
    said = [
        Graded(ASKED, Attempt(place, str(right), "eos", Usage(1, 1), str(right)), Grade(float(right)))
        for place, right in enumerate(grades)
    ]
    unanswered = Stratum("s", items("p", reference=None), exact())
    assert preferences(job_of(base, tmp_path, stratum=unanswered), [(0, said)]) == []


class Fickle:
    """Breaks on one item, hangs on another."""

    name, needs_reference = "fickle", True

    def __init__(self, breaks="", hangs=""):
        self.breaks, self.hangs = breaks, hangs

    def read(self, text):
        return text

    def check(self, answer, problem, reference):
        if problem.id == self.breaks:
            raise ZeroDivisionError("no")
        if problem.id == self.hangs:
            time.sleep(60)
        return Grade(1.0)


def test_a_verifier_that_breaks_or_hangs_costs_the_item_and_is_told():
    told = []
    stratum = Stratum("s", items("p", "q"), Fickle(breaks="p"))
    assert all_written(stratum, lambda *words: told.append(words)) == [None, "7"]
    assert told == [(WORDING, "p", "verifier 'fickle' broke on '7' (item 'p'): ZeroDivisionError: no")]
    with pytest.raises(AskFailed, match=r"\(item 'q'\): TimeoutError: took longer than 0\.1 s"):
        is_right(Fickle(hangs="q"), stratum.items[1], "7", seconds=0.1)
    alone = replace(stratum, items=items("p"))
    with pytest.raises(BadInput, match="wording references: no item of 's' could be checked: verifier 'fickle' broke"):
        all_written(alone, lambda *words: None)


def test_a_reference_is_read_behind_the_turn_that_its_prompt_has_begun():
    begun = Problem("p", "s", (Message("user", "3 + 4"), Message("assistant", "The answer is ")))
    assert all_written(Stratum("s", (Item(begun, 7, "p"),), number()), lambda *words: None) == ["7"]


def test_fine_tuning_leaves_out_what_its_verifier_breaks_on(base, tmp_path):
    told = []
    stratum = Stratum("s", items("p", "q"), Fickle(breaks="p"))
    job = job_of(base, tmp_path, stratum=stratum, failed=lambda what, item, reason: told.append(item))
    figures = sft(job, steps=1, batch=1, lora_rank=2).figures
    assert told == ["p"] and figures["texts"] == 1


# the model


def test_every_loader_reads_the_same_ends_and_the_same_template(base, tmp_path):
    """A turn ends with `\\n` by the generation settings, a text by the tokenizer's own end."""
    folder = save_tiny(tmp_path / "model", 3, max_position_embeddings=512)
    tokenizer = byte_tokenizer()
    (line,) = tokenizer("\n")["input_ids"]
    GenerationConfig(eos_token_id=[line]).save_pretrained(folder)
    (tmp_path / "t.jinja").write_text("{% for m in messages %}{{ m.content }}!{% endfor %}")
    engine = HuggingFace(folder, template=str(tmp_path / "t.jinja")).load().vocabulary
    offline = load(folder, device="cpu", dtype="float32", lora_rank=0, template=str(tmp_path / "t.jinja"), seed=0)
    recipe = Recipe(1, 2, 2, 1e-3, 0.0, 0, 1.0, "sequence", 1, 0.2, True, False, 99)
    job = job_of(folder, tmp_path / "o", template=str(tmp_path / "t.jinja"))
    with quiet():
        online = build(job, recipe, lambda vocabulary: each_turn(1, divide_by_std=False))._vocabulary
    assert engine.ends == offline.vocabulary.ends == online.ends == {line, tokenizer.eos_token_id}
    assert engine.ids(ASKED) == offline.vocabulary.ids(ASKED) == online.ids(ASKED)


def test_an_adapter_of_a_base_of_another_shape_is_one_line(base, tmp_path):
    sft(
        job_of(save_tiny(tmp_path / "base", 3), tmp_path, stratum=Stratum("s", items("p"), exact())),
        steps=1,
        lora_rank=2,
    )
    save_tiny(tmp_path / "base", 3, hidden_size=32)
    for read in (merged, lambda folder: loaded(folder, rank=2)):
        with pytest.raises(BadInput, match=r"does not fit its base '.*base' \(.*\); put back the one that it was"):
            read(tmp_path / "adapter")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def test_weights_and_adapters_that_end_too_early_are_one_line(tmp_path):
    folder = save_tiny(tmp_path / "base", 3)
    sft(job_of(folder, tmp_path, stratum=Stratum("s", items("p"), exact())), steps=1, lora_rank=2)
    readers = (merged, lambda folder: loaded(folder, rank=2), lambda folder: HuggingFace(folder).load())
    for model, file in ((tmp_path / "adapter", "adapter_model.safetensors"), (folder, "model.safetensors")):
        cut(model / file)
        for read in readers:
            with pytest.raises(BadInput, match=rf"^'{model}' cannot be loaded \(.*\); save model and tokenizer there"):
                read(model)


# through the command line


def test_an_error_of_a_launched_process_is_shown_alone(half, tmp_path, capfd, monkeypatch):
    write_words(tmp_path / "task.toml")
    monkeypatch.chdir(tmp_path)
    words = ("train", "sft", "--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--set", "steps=0")
    with pytest.raises(BadInput, match=r"^steps is 0; give at least 1$"):
        launch(PROFILES["cpu"], words)
    assert "steps is 0" not in capfd.readouterr().err
    assert launch(PROFILES["cpu"], ["list", "nothing"]) == 2 and "nothing" in capfd.readouterr().err


def test_a_rehearsal_looks_at_the_settings_and_does_nothing(base, tmp_path):
    job = tiny_trl.job(base, tmp_path / "o", profile="torchrun-2", is_rehearsal=True)
    with pytest.raises(BadInput, match="norm is 'foo'"):
        grpo(job, norm="foo")
    assert grpo(job).steps == 0 and not (tmp_path / "o").exists()


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in this process; its last line of error where it ends with 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*words, code=0):
        trueup(monkeypatch, *words, code=code)
        if not code:
            return capsys.readouterr().out
        told = capsys.readouterr().err
        assert "Traceback" not in told
        return told.strip().splitlines()[-1]

    return call


def test_a_full_disk_is_one_line_and_a_run_with_room_ends_as_if_nothing_had_been(run, tmp_path):
    """No file may grow over a megabyte: the ledger does not, a checkpoint of all weights does."""
    half = save_half(tmp_path / "half", hidden_size=64, intermediate_size=128, num_hidden_layers=4)
    write_words(tmp_path / "task.toml")
    words = ("train", "sft", "--task", "task.toml", "--model", f"hf:{half}", "--samples", "1", "--out")
    sets = ("--set", "steps=4", "--set", "save_every=2", "--set", "lora_rank=0")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        line = run(*words, "a", *sets, code=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line.startswith("error: cannot write under") and line.endswith("no checkpoint was kept yet")
    for out in "ab":
        run(*words, out, *sets)
    first, second = ((tmp_path / out / "model" / "model.safetensors").read_bytes() for out in "ab")
    assert first == second
    assert json.loads((tmp_path / "a" / "card.json").read_text())["failures"] == {}


def test_no_right_attempt_and_no_pair_are_one_line(run, base, tmp_path):
    rows = [{"id": place, "prompt": f"problem {place}", "reference": "never"} for place in range(ITEMS)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.toml").write_text(
        '[task]\nname = "t"\n[[stratum]]\nname = "t"\nsource = "jsonl:t.jsonl"\nmax_tokens = 4\n'
    )
    words = ("--task", "task.toml", "--model", f"hf:{base}", "--samples", "1", "--set", "n=1", "--out")
    assert "nothing to train on: of 4 items of 't' none gave an example" in run("train", "star", *words, "a", code=2)
    assert not (tmp_path / "a" / "adapter").exists()
