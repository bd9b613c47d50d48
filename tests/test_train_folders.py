"""Models' folders that hold more than the weights: a second copy of them, tokens without a row."""

from __future__ import annotations

import fnmatch
import json
import shutil

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file
from terminal import in_folder
from tiny import save_tiny
from tiny_trained import write_words
from tiny_trl import job
from transformers import AutoModelForCausalLM, AutoTokenizer

from trueup.core.errors import BadInput
from trueup.models import GgufFile
from trueup.models.huggingface.folder import find_folder, read_shape
from trueup.train.network import load
from trueup.train.real import grpo

PARTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def model(tmp_path):
    return save_tiny(tmp_path / "model", 0, hidden_size=32, intermediate_size=32)


def cut(folder):
    """Put a folder's weights in two files and a table of them."""
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    for part, some in zip(PARTS, (names[:3], names[3:]), strict=True):
        save_file({name: weights[name] for name in some}, folder / part, metadata={"format": "pt"})
    table = {"metadata": {}, "weight_map": {name: PARTS[int(name in names[3:])] for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(table))
    (folder / "model.safetensors").unlink()


def loaded(folder):
    network = AutoModelForCausalLM.from_pretrained(folder)
    return sum(weight.numel() for weight in network.parameters())


# a second copy


@pytest.mark.parametrize("is_cut", [False, True])
def test_weights_are_counted_once_whatever_copies_lie_beside_them(model, is_cut):
    known = read_shape(model).parameters
    shutil.copy(model / "model.safetensors", model / "consolidated.safetensors")
    if is_cut:
        cut(model)
    assert read_shape(model).parameters == known == loaded(model)
    trainee = load(model, device="cpu", dtype="float32", lora_rank=0, template="", seed=0)
    assert trainee.card.parameters == sum(weight.numel() for weight in trainee.network.parameters())


def test_a_table_that_names_what_is_not_there_is_one_line(model):
    cut(model)
    (model / PARTS[1]).unlink()
    with pytest.raises(BadInput, match=rf"index\.json names '{PARTS[1]}', which is not there; save the model again"):
        read_shape(model)
    for table in ("[]", '{"weight_map": [1]}', '{"weight_map": {"a": {}}}'):
        (model / "model.safetensors.index.json").write_text(table)
        with pytest.raises(BadInput, match="is no table of weights"):
            read_shape(model)


@pytest.mark.parametrize("is_cut", [False, True])
def test_the_hub_is_asked_for_no_second_copy(model, tmp_path, monkeypatch, is_cut):
    shutil.copy(model / "model.safetensors", model / "consolidated.safetensors")
    if is_cut:
        cut(model)
    hub = {path.name: path for path in model.iterdir()}
    there, asked = tmp_path / "snapshots" / "0a1b2c", []

    def snapshot_download(name, *, revision=None, allow_patterns):
        asked.append(revision)
        there.mkdir(parents=True, exist_ok=True)
        for one in (file for file in hub if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns)):
            shutil.copy(hub[one], there / one)
        return str(there)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert find_folder("owner/name") == there
    assert {path.name for path in there.iterdir()} == {*hub} - {"consolidated.safetensors"}
    assert asked == [None, "0a1b2c"][: 1 + is_cut] and loaded(there) == read_shape(there).parameters


# tokens without a row


@pytest.fixture
def padded(model):
    """A tokenizer with a token for padding, whose model was never given a row for it."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(model)
    assert tokenizer.pad_token_id == json.loads((model / "config.json").read_text())["vocab_size"]
    return model


def test_an_online_trainer_pads_with_a_token_that_the_model_has(padded, tmp_path):
    torch.set_num_threads(1)
    settings = {"steps": 1, "n": 2, "batch": 4, "lora_rank": 2, "random_reward": True}
    assert grpo(job(padded, tmp_path / "o"), **settings).steps == 1


def test_a_gguf_leaves_out_tokens_that_the_model_has_no_row_for(padded, tmp_path):
    write_words(tmp_path / "task.toml")
    words = ("--task", "task.toml", "--model", f"hf:{padded}", "--out", "o", "--samples", "1", "--gguf", "f16", "-q")
    in_folder(tmp_path, "train", "sft", *words, "--set", "steps=1", "--set", "lora_rank=0")
    fields = gguf.GGUFReader(tmp_path / "o" / "model.gguf").fields
    size = fields["llama.vocab_size"].contents()
    assert (
        len(fields["tokenizer.ggml.tokens"].contents()) == len(fields["tokenizer.ggml.token_type"].contents()) == size
    )
    assert "tokenizer.ggml.padding_token_id" not in fields and "[PAD]" not in fields["tokenizer.ggml.tokens"].contents()
    assert GgufFile.read(tmp_path / "o" / "model.gguf").parameters == read_shape(padded).parameters
