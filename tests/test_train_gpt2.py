"""Trainings of models that are not shaped and named as a Llama is: what a step costs, and what nothing drops out of."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from tiny import byte_tokenizer, save_tiny
from tiny_trl import STOPS, stratum
from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM

from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Message
from trueup.models.huggingface.folder import read_shape
from trueup.train.job import Job
from trueup.train.network import load
from trueup.train.offline import dpo, iterated_sft, pair_sft, sft, star
from trueup.train.offline.loop import Course, fit
from trueup.train.offline.supervised import supervised
from trueup.train.profiles import PROFILES
from trueup.train.real import grpo
from trueup.train.texts import Example, tokens_of
from trueup.verifiers import exact

dpo_file = import_module("trueup.train.offline.dpo")
ASKED = (Message("user", "problem 1"),)
LAYERS, WIDTH = 2, 16
TOKENS = {"vocab_size": 258, "bos_token_id": 256, "eos_token_id": 257}
"""Of the tokenizer of bytes."""


class Killed(Exception):
    """Stands for the end of a process."""


def save_whole(network, folder):
    with torch.no_grad():
        network.get_output_embeddings().weight.mul_(10)
    network.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A GPT-2 with its usual dropout, a tenth of everything."""
    torch.manual_seed(0)
    config = GPT2Config(n_positions=256, n_embd=WIDTH, n_layer=LAYERS, n_head=2, **TOKENS)
    assert config.resid_pdrop == config.embd_pdrop == config.attn_pdrop == 0.1
    return save_whole(GPT2LMHeadModel(config), tmp_path_factory.mktemp("gpt2") / "model")


@pytest.fixture(scope="module")
def opt(tmp_path_factory):
    """An OPT, whose dropout is in no module of its own; that of attention is another."""
    torch.manual_seed(0)
    config = OPTConfig(
        hidden_size=WIDTH, word_embed_proj_dim=WIDTH, ffn_dim=32, num_hidden_layers=LAYERS, num_attention_heads=2,
        max_position_embeddings=256, dropout=0.3, attention_dropout=0.3, pad_token_id=257, **TOKENS,
    )  # fmt: skip
    return save_whole(OPTForCausalLM(config), tmp_path_factory.mktemp("opt") / "model")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A Llama whose attention drops out."""
    return save_tiny(tmp_path_factory.mktemp("llama") / "model", 0, attention_dropout=0.3)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def trainee_of(folder, rank=0):
    return load(folder, device="cpu", dtype="float32", lora_rank=rank, template="", seed=0)


def texts_of(trainee, *targets):
    return [tokens_of(Example(ASKED, target), trainee.vocabulary, 256) for target in targets]


def job_of(folder, out, charge=lambda passes: None, watch=lambda progress: None):
    out.mkdir(exist_ok=True)
    return Job(folder, Stratum("words", (), exact()), out, PROFILES["cpu"], 0, charge, watch)


# the shape


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        ({"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 20}, (3, 20)),
        ({"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 20, "head_dim": 8}, (3, 32)),
        ({"n_layer": 3, "n_head": 4, "n_embd": 20}, (3, 20)),
        ({"n_layer": 3, "num_attention_heads": 4, "n_embed": 20}, (3, 20)),
        ({"n_layers": 3, "n_heads": 4, "d_model": 20}, (3, 20)),
        ({"num_layers": 3, "num_heads": 4, "hidden_size": 20}, (3, 20)),
        ({"num_layers": 3, "attention_heads": 4, "d_model": 20}, (3, 20)),
        ({"n_layer": None, "num_layers": 3, "n_head": 4, "n_embd": 20}, (3, 20)),
        ({"num_hidden_layers": 3, "hidden_size": 20}, (3, None)),
        ({"n_layer": "3", "n_head": 4, "n_embd": 20}, (None, 20)),
    ],
    ids=["Llama", "heads of their own", "GPT-2", "BLOOM", "MPT", "GPT-Neo", "XGLM", "empty", "Mamba", "malformed"],
)
def test_a_shape_is_read_whatever_its_parts_are_called(tmp_path, words, shape):
    (tmp_path / "config.json").write_text(json.dumps(words))
    read = read_shape(tmp_path)
    assert (read.layers, read.width) == shape


@pytest.mark.parametrize("rank", [0, 2], ids=["full", "lora"])
def test_a_step_of_a_gpt2_costs_what_is_counted_by_hand(gpt2, tmp_path, rank):
    charges, trainee = [], trainee_of(gpt2, rank)
    course = Course(2, 2, 1e-3, rank, 0.1, 0.0, 10)
    texts = texts_of(trainee, "ab", "abcd")
    objective = supervised(trainee, course, gpt2)
    fit(job_of(gpt2, tmp_path, charges.append), trainee, texts, objective, course, state=tmp_path / "s")
    N, lengths = read_shape(gpt2).parameters, [len(text.ids) for text in texts]
    forward = sum(2 * N * T + 2 * LAYERS * WIDTH * T**2 for T in lengths)
    learning = sum(weight.numel() for weight in trainee.weights) if rank else N
    backward = sum(2 * (N + learning) * T + 4 * LAYERS * WIDTH * T**2 for T in lengths)
    assert [(one.kind, one.flops) for one in charges] == 2 * [("trained", forward + backward), ("reference", forward)]
    assert all(one.seconds > 0 for one in charges)


def quantized(config):
    return config | {"quantization_config": {"quant_method": "none"}}


def nameless(config):
    return {key: value for key, value in config.items() if not key.startswith("n_")}


@pytest.mark.parametrize("trainer", [dpo, grpo, iterated_sft, pair_sft, sft, star])
@pytest.mark.parametrize(
    ("ruin", "told"),
    [
        (nameless, r"config\.json does not say its layers and heads; no FLOPs can be counted$"),
        (quantized, r"config\.json tells of quantized weights; no FLOPs can be counted, take the model as it was befo"),
    ],
    ids=["no names", "quantized"],
)
def test_what_cannot_be_counted_is_refused_before_anything_is_asked(gpt2, tmp_path, ruin, told, trainer):
    """There is nobody to ask."""
    folder, charges = shutil.copytree(gpt2, tmp_path / "model"), []
    config = folder / "config.json"
    config.write_text(json.dumps(ruin(json.loads(config.read_text()))))
    job = replace(job_of(folder, tmp_path / "o", charges.append), stratum=stratum())
    with pytest.raises(BadInput, match=told):
        trainer(job)
    with pytest.raises(BadInput, match=told):
        trainee_of(folder)
    assert not charges and not list((tmp_path / "o").iterdir())


# dropout


@pytest.mark.parametrize("rank", [0, 2], ids=["full", "lora"])
@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_a_seed_gives_the_same_weights_however_often_it_was_killed(request, tmp_path, name, rank):
    folder, course = request.getfixturevalue(name), Course(5, 2, 0.01, rank, 0.0, 0.0, 2)

    def trained(out, dice, watch=lambda progress: None):
        trainee = trainee_of(folder, rank)
        torch.manual_seed(dice)
        texts, objective = texts_of(trainee, "a", "bc", "def"), supervised(trainee, course, folder)
        fit(job_of(folder, out, watch=watch), trainee, texts, objective, course, state=out / "s.pt")
        return torch.cat([weight.flatten() for weight in trainee.weights])

    def kill(progress):
        if progress.step == 3:
            raise Killed

    whole = trained(tmp_path / "a", 1)
    assert torch.equal(trained(tmp_path / "b", 2), whole)
    with pytest.raises(Killed):
        trained(tmp_path / "c", 3, kill)
    assert torch.equal(trained(tmp_path / "c", 4), whole)


@pytest.mark.parametrize("rank", [0, 2], ids=["full", "lora"])
@pytest.mark.parametrize("name", ["gpt2", "opt"])
def test_dpo_begins_at_log_2_and_no_distance(request, tmp_path, name, rank):
    folder = request.getfixturevalue(name)
    trainee = trainee_of(folder, rank)
    sides = zip(texts_of(trainee, "right", "yes"), texts_of(trainee, "wrong", "no, never"), strict=True)
    given = [dpo_file.Pair(*pair) for pair in sides]
    given = dpo_file._referred(job_of(folder, tmp_path), trainee, given, tmp_path / "reference.pt")
    part = dpo_file.preferred(trainee, dpo_file.Taste(0.5, 0.0), folder, kl=0.1).part(given)
    assert float(part.loss.detach()) == pytest.approx(math.log(2), abs=1e-6)
    assert part.figures["margin"] == pytest.approx(0, abs=1e-5) and part.figures["kl"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rank", [0, 2], ids=["full", "lora"])
@pytest.mark.parametrize("name", ["gpt2", "opt", "llama"])
def test_an_online_training_begins_at_its_reference(request, tmp_path, name, rank):
    job = replace(job_of(request.getfixturevalue(name), tmp_path), stratum=stratum(stop=STOPS))
    figures = grpo(job, steps=1, n=4, batch=8, beta=0.1, lora_rank=rank, random_reward=True).figures
    assert figures["kl"] == pytest.approx(0, abs=1e-6)
