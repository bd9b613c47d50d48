"""The benchmark of training: what is counted, and what a ratio is of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trueup.bench import BENCHMARKS, benchmark
from trueup.bench.machine import Limits
from trueup.bench.tiny_llama import CONTROLS, save_tiny_llama
from trueup.bench.train import RIVAL, _ratio, _row, _speed
from trueup.bench.train_laboratory import laboratory_rows
from trueup.bench.train_memory import memory_row
from trueup.bench.train_race import BATCH, MAX_TOKENS, Clock, Lap, N, ours, stratum, trl
from trueup.core.errors import UnknownName
from trueup.train.job import Passes

PROMPT = len("<s>user: What is 10 + 89?") - 2 + len("<s>assistant: ") - 2
"""Tokens of a prompt, a byte each and `<s>` one."""


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "model"
    save_tiny_llama(folder, stratum().items[0].problem.prompt, width=32, layers=1)
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@pytest.mark.parametrize("run", [trl, lambda model, steps: ours("grpo", model, steps)], ids=["trl", "trueup"])
def test_a_step_of_either_reads_samples_refers_and_trains_the_same_tokens(llama, run):
    lap = run(llama, 2)
    assert lap.tokens["prefill"] == BATCH * PROMPT
    assert BATCH < lap.tokens["sampled"] <= BATCH * MAX_TOKENS
    assert lap.tokens["reference"] == lap.tokens["trained"] == lap.tokens["prefill"] + lap.tokens["sampled"]
    assert set(lap.tokens) == {"prefill", "sampled", "reference", "trained"}
    assert lap.seconds > 0 and lap.cpu_seconds > 0 and lap.flops > 0
    assert list(Path.cwd().iterdir()) == [], "nothing is left behind"


def test_the_tiny_llama_can_be_trained_to_choose_a_mode(llama):
    lap = ours("degrpo", llama, 2)
    assert lap.tokens["prefill"] == BATCH * PROMPT
    tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModelForCausalLM.from_pretrained(llama)
    chat = [{"role": "user", "content": stratum().items[-1].problem.prompt[0].content}]
    given = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    share_V = model(input_ids=given["input_ids"]).logits[0, -1].detach().softmax(-1)
    share = float(share_V[tokenizer.convert_tokens_to_ids(CONTROLS)].sum())
    assert 0.2 < share < 0.95


def test_the_first_step_is_no_part_of_a_lap():
    clock = Clock()
    clock.note()
    clock.note()
    lap = Lap.of([Passes("trained", 1, 100, 100, 100, 1.0), Passes("trained", 2, 3, 4, 5, 1.0)], clock)
    assert (lap.tokens, lap.all_tokens, lap.flops) == ({"trained": 7}, 7, 5)


def test_a_ratio_is_the_median_over_rounds_of_that_round_alone():
    rival = [lap(100, 1.0), lap(100, 10.0), lap(100, 2.0)]
    mine = [lap(100, 2.0), lap(100, 10.0), lap(100, 1.0)]
    assert _ratio(mine, rival, _speed) == 1.0
    row = _row("x", mine, rival, Limits(1, 1.0, 400.0))
    assert (row["ratio"], row["flops_ratio"], row["tokens_per_second"]) == (1.0, 1.0, 50.0)
    assert row["share_of_arithmetic_limit"] == 0.25
    assert (row["tokens"], row["sampled_tokens"], row["seconds"]) == (300, 120, 13.0)
    assert _row(RIVAL, rival, rival, Limits(1, 1.0, 400.0))["ratio"] == 1.0


def lap(tokens, seconds):
    return Lap({"sampled": 40, "trained": tokens - 40}, 2 * tokens, seconds, seconds)


def test_the_laboratorys_share_is_of_the_cores_multiply_adds():
    rows = laboratory_rows(Limits(1, 1.0, 1e12), steps=1)
    assert [row["system"] for row in rows] == [
        f"laboratory, {kind} steps, width {width}" for width in (64, 128) for kind in ("supervised", "reinforced")
    ]
    for row in rows:
        assert row["share_of_arithmetic_limit"] == pytest.approx(row["flops_per_second"] / 1e12)
        assert 0 < row["share_of_arithmetic_limit"] < 1


def test_memory_is_skipped_with_a_note_where_there_are_no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    row = memory_row()
    assert "peak_memory_gb" not in row
    assert "SmolLM2" in row["skipped"]


def test_every_benchmark_is_found_by_its_name():
    assert all(callable(benchmark(name)) for name in BENCHMARKS)
    with pytest.raises(UnknownName, match="unknown benchmark 'speed'"):
        benchmark("speed")


def test_groups_are_whole():
    assert BATCH % N == 0
