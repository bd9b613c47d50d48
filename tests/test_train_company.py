"""Offline trainings in two processes: as in one but for rounding, booked alike; killed, resumed, refused in a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

import psutil  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tiny_trained import save_half, write_words  # noqa: E402

from trueup.core.ledger import read_charges  # noqa: E402
from trueup.train.profiles import find_profile  # noqa: E402

TESTS = Path(__file__).parent
WHOLE = ("lora_rank=0", "lr=0.0003")
SETS = {
    "iterated_sft": ("rounds=2", "n=2", "steps=8", "save_every=3"),
    "dpo": ("n=4", "negatives=own", "steps=4", "kl=0.1", "replay=0.3", "save_every=3"),
    "dpo whole": ("n=4", "negatives=own", "steps=4", "kl=0.1", *WHOLE),
    "star whole": ("rounds=2", "n=2", "steps=8", "kl=0.1", "save_every=3", *WHOLE),
}
"""A trainer, of LoRA or of all weights."""
TOGETHER = [*((name, "torchrun-2") for name in SETS if "whole" not in name), *((name, "cut-2") for name in SETS)]
"""All weights in either process, and cut over both, a text at a time."""


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time, beside a task of two strata."""
    folder = tmp_path_factory.mktemp("half")
    write_words(folder / "task.toml", strata=2)
    return save_half(folder)


def words_for(trainer, half, out, profile, *more):
    """An odd batch, so that one of two processes reads more texts than the other."""
    sets = [word for pair in ("batch=3", "lora_rank=2", *SETS[trainer], *more) for word in ("--set", pair)]
    what = ("--task", str(half.parent / "task.toml"), "--stratum", "words")
    where = (*what, "--model", f"hf:{half}", "--out", str(out), "--profile", profile)
    words = ["train", trainer.split()[0], *where, "--samples", "1", *sets]
    if profile == "cut-2":
        return find_profile("torchrun-2").command(words, module="tiny_sharded")
    return [sys.executable, "-m", "trueup", *words]


def trained(*given):
    ended = subprocess.run(words_for(*given), env=environment(), capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}


def weights_of(out):
    return load_file(next(out.glob("[am]*/*model.safetensors")))


def moved(out, base):
    """How far each weight is from where it began; an adapter's are told as they are."""
    before = load_file(base / "model.safetensors")
    return {name: weight - before.get(name, torch.zeros(())) for name, weight in weights_of(out).items()}


def booked(out):
    """What was charged, of whom and how often; seconds and moments hang on the machine."""
    rows = read_charges(out / "ledger.sqlite")
    return sorted((c.kind, c.stratum, c.prompt_tokens, c.completion_tokens, c.flops) for c in rows)


def of_training(rows):
    """All but the evaluation: processes that were launched by hand leave that to a command that never was."""
    return [row for row in rows if row[0] != "evaluation"]


@pytest.fixture(scope="module")
def made(half, tmp_path_factory):
    """The folder of a training by a trainer at a profile, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("made")

    @cache
    def out_of(trainer, profile):
        out = folder / f"{trainer}-{profile}".replace(" ", "-")
        trained(trainer, half, out, profile)
        return out

    return out_of


@pytest.mark.parametrize(("trainer", "profile"), TOGETHER)
def test_two_processes_train_what_one_does_and_book_the_same(made, half, trainer, profile):
    alone, together = made(trainer, "cpu"), made(trainer, profile)
    found, wanted = moved(together, half), moved(alone, half)
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert weight.any(), "it has moved"
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=1e-3)
    if profile == "cut-2":
        assert booked(together) == of_training(booked(alone))
    else:
        assert booked(together) == booked(alone)
    steps = [[json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()] for out in (alone, together)]
    assert len(steps[0]) == len(steps[1]) > 3
    for one, two in zip(*steps, strict=True):
        assert one == pytest.approx(two, rel=1e-3, abs=1e-5)


def begun(half, out, number, *more, profile="torchrun-2", trainer="iterated_sft"):
    """A training in two processes, once its first or second round has a checkpoint."""
    words = words_for(trainer, half, out, profile, *more)
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # which a shell has its background ignore
    child = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    while not (out / "checkpoints" / f"round-{number}.pt").exists() and child.poll() is None:
        time.sleep(0.01)
    return child, psutil.Process(child.pid).children(recursive=True)


@pytest.mark.parametrize(("profile", "trainer"), [("torchrun-2", "iterated_sft"), ("cut-2", "star whole")])
def test_both_are_killed_and_go_on_to_the_same_bytes(made, half, tmp_path, profile, trainer):
    whole = made(trainer, profile)
    child, others = begun(half, tmp_path, 2, profile=profile, trainer=trainer)
    assert len(others) == 2 + (profile == "torchrun-2"), "two that train, and their launcher but where it is the child"
    for process in (child, *others):
        process.kill()
    child.communicate()
    assert (tmp_path / "checkpoints" / "round-2.pt").exists() and not (tmp_path / "trained.json").exists()
    before = len((tmp_path / "log.jsonl").read_text().splitlines())
    trained(trainer, half, tmp_path, profile)
    steps = [json.loads(row)["step"] for row in (tmp_path / "log.jsonl").read_text().splitlines()[before:]]
    assert 12 <= steps[0] <= 15 and steps[-1] == 16, "it goes on from a checkpoint of the second round"
    assert all(torch.equal(weight, weights_of(tmp_path)[name]) for name, weight in weights_of(whole).items())
    assert [row for row in booked(tmp_path) if row[0] != "retried"] == booked(whole)


def test_none_trains_on_when_the_command_is_killed(half, tmp_path):
    child, others = begun(half, tmp_path, 1, "steps=4000")
    child.kill()
    child.communicate()
    _, alive = psutil.wait_procs(others, timeout=60)
    assert not alive


def test_ctrl_c_lets_a_step_end_in_all_of_them(half, tmp_path):
    child, others = begun(half, tmp_path, 1, "steps=4000")
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    done = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"]
    assert torch.load(tmp_path / "checkpoints" / "round-1.pt", weights_only=True)["step"] == done
    assert child.returncode == 2 and told.splitlines()[-1].startswith("error: interrupted; what was paid is kept")
    assert "Traceback" not in told and not psutil.wait_procs(others, timeout=10)[1]


def test_a_round_that_was_trained_and_not_left_holds_nobody_up(half, tmp_path):
    """The main process takes no step of it, and leaves while the other one still reads."""
    words = find_profile("torchrun-2").command([str(half), str(tmp_path)], module="tiny_company")
    ended = subprocess.run(words, env=environment(), cwd=TESTS, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert sorted((tmp_path / "told.txt").read_text().split()) == ["0:0", "0:2"]


def test_what_the_main_process_refuses_ends_the_others_too(half, tmp_path):
    words = words_for("iterated_sft", half, tmp_path / "o", "torchrun-2", "rounds=0")
    ended = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=600)
    assert ended.returncode == 2 and ended.stderr.strip().splitlines()[-1] == "error: rounds is 0; give at least 1"


def test_a_launched_process_leaves_with_what_it_said_and_tears_nothing_down():
    """The threads of process groups would abort it now and then, and the launcher would end the others for it."""
    words = (
        "import atexit, os; atexit.register(os.abort); from trueup.train.profiles import leave; print('said'); leave()"
    )
    ended = subprocess.run([sys.executable, "-c", words], env=environment(), capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "said\n")
