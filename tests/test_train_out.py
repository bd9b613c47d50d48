"""What a training leaves: weights that every engine reads alike, a card, and what a study makes of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from decimal import Decimal

import gguf
import numpy as np
import pytest
import torch
from terminal import in_folder
from tiny import save_tiny
from tiny_gguf import save_gguf
from tiny_trained import ITEMS, save_half, write_words
from toys import PRICES, attempts, finish, problem

from trueup.arms import make_arm
from trueup.catalog import open_model
from trueup.core.asks import Sample
from trueup.core.errors import BadInput
from trueup.core.ledger import Ledger, read_charges
from trueup.core.types import Message
from trueup.methods import vote
from trueup.methods.elsewhere import elsewhere
from trueup.models import GgufFile, HuggingFace, LlamaCpp, agreement
from trueup.models.huggingface.folder import base_of, digest, find_folder, read_shape
from trueup.plan import read_policy
from trueup.plan.past import read_past
from trueup.train.books import Books, training_usd
from trueup.train.export import gguf_of, is_embedded, turned, write_base, write_gguf
from trueup.train.job import Passes
from trueup.train.network import load, merged
from trueup.train.texts import Example, tokens_of

WIDE = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
PROMPTS = [(Message("user", f"problem {place}"),) for place in range(3)]


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time, wide enough for 8-bit blocks."""
    return save_half(tmp_path_factory.mktemp("half"), **WIDE)


@pytest.fixture(scope="module")
def tuned(half, tmp_path_factory):
    """The folder of a short training of it on `words`, in a task of two strata."""
    folder = tmp_path_factory.mktemp("tuned")
    write_words(folder / "task.toml", strata=2)
    words = ("--task", "task.toml", "--stratum", "words", "--model", f"hf:{half}", "--out", "tuned", "--samples", "2")
    in_folder(folder, "train", "sft", *words, "--set", "steps=12", "--set", "lr=0.01", "--set", "lora_rank=2")
    return folder / "tuned"


def told(model, prompt=PROMPTS[0]):
    async def ask():
        try:
            return await model.next_token(prompt, 3)
        finally:
            await model.close()

    return asyncio.run(ask())


# weights


def test_a_trainings_folder_is_a_model_by_its_bare_name_and_as_hf(tuned, half):
    bare, named = open_model(str(tuned)), open_model(f"hf:{tuned}")
    assert bare.card == named.card
    assert bare.card.name == "tuned" and bare.card.parameters == read_shape(half).parameters
    assert bare.card.fingerprint != HuggingFace(half).card.fingerprint


def test_an_adapter_is_sampled_as_its_weights_added_to_the_base(tuned, half, tmp_path):
    whole = write_base(find_folder(str(tuned)), tmp_path / "whole")
    assert base_of(find_folder(str(tuned))) == half and base_of(whole) is None
    ours, theirs = told(HuggingFace(tuned)), told(HuggingFace(whole))
    assert ours == pytest.approx(theirs, abs=1e-6)
    trainee = load(find_folder(str(tuned)), device="cpu", dtype="float32", lora_rank=2, template="", seed=0)
    text = tokens_of(Example(PROMPTS[0], "right"), trainee.vocabulary, 256)
    with torch.no_grad():
        logp = trainee.network(torch.tensor([text.ids[: text.start]])).logits[0, -1].log_softmax(-1)
    assert float(logp[text.ids[text.start]]) == pytest.approx(ours["r"], abs=1e-5)


def test_an_adapters_fingerprint_follows_its_base_and_a_lost_base_is_one_line(tuned, tmp_path):
    folder = find_folder(str(tuned))
    config = json.loads((folder / "adapter_config.json").read_text())
    copy = tmp_path / "adapter"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert digest(copy) == digest(folder)
    other = save_tiny(tmp_path / "other", 1, **WIDE)
    (copy / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(other)}))
    assert digest(copy) != digest(folder)
    (copy / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "nowhere"}))
    with pytest.raises(BadInput, match=r"is not at 'nowhere'; put it back"):
        HuggingFace(copy)


def test_rows_turned_for_llama_cpp_are_pairs_head_by_head():
    rows = np.arange(8)[:, None]
    assert turned(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert turned(rows, 1).ravel().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@pytest.mark.parametrize(("kind", "apart"), [("f16", 0.01), ("q8_0", 0.1)])
def test_the_embedded_engine_agrees_with_transformers_on_what_was_trained(tuned, half, tmp_path, kind, apart):
    folder = find_folder(str(tuned))
    file = write_gguf(folder, save_gguf(half, tmp_path / "base.gguf"), tmp_path / "model.gguf", kind)
    read = GgufFile.read(file)
    assert (read.parameters, read.layers, read.width) == (read_shape(half).parameters, 2, 64)
    assert agree(file, folder, apart)
    assert open_model(f"gguf:{file}").card.fingerprint.startswith(f"{tmp_path.name}:{read.gguf_sha256[:16]}")


def agree(file, folder, apart):
    async def compare():
        embedded, faithful = LlamaCpp(GgufFile.read(file), threads=1, slots=1), HuggingFace(folder)
        try:
            return await agreement(embedded, faithful, PROMPTS, tolerance=apart)
        finally:
            await embedded.close()

    return asyncio.run(compare()).agrees


def test_a_chain_of_trainings_that_began_as_a_folder_is_written_with_a_header_of_its_own(tuned, half, tmp_path):
    """Both engines agree, so the shape, the tokens and the order of rows in the header are right."""
    write_words(tmp_path / "task.toml")
    words = ("--task", "task.toml", "--model", tuned, "--out", "o", "--samples", "1", "--seed", "3")
    in_folder(tmp_path, "train", "sft", *words, "--set", "steps=2", "--set", "lora_rank=2", "--gguf", "f16")
    file = tmp_path / "o" / "model.gguf"
    assert agree(file, tmp_path / "o", 0.01) and not agree(file, half, 0.01)
    read, base = (gguf.GGUFReader(path).fields for path in (file, save_gguf(half, tmp_path / "base.gguf")))
    for key, field in base.items():
        if key not in ("general.name", "general.file_type", "GGUF.kv_count"):
            assert read[key].contents() == field.contents(), key


def test_tied_weights_are_written_once_and_digits_are_cut_as_smollm_cuts_them(tmp_path):
    folder = save_tiny(tmp_path / "tied", 4, tie_word_embeddings=True, sharpness=0.02, padding=2, **WIDE)
    table = json.loads((folder / "tokenizer.json").read_text())
    steps = [{"type": "Digits", "individual_digits": True}, table["pre_tokenizer"]]
    table["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    (folder / "tokenizer.json").write_text(json.dumps(table))
    file = write_gguf(folder, None, tmp_path / "model.gguf", "f16")
    reader = gguf.GGUFReader(file)
    assert reader.fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert "output.weight" not in {tensor.name for tensor in reader.tensors}
    assert reader.fields["tokenizer.ggml.tokens"].contents()[-2:] == ["[PAD258]", "[PAD259]"]
    assert agree(file, folder, 0.02)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"model_type": "qwen2"}, "its model_type is 'qwen2', not 'llama'"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}}, "its rope is 'llama3', not 'default'"),
        ({"intermediate_size": 72}, "are no multiples of 32 wide, as q8_0 wants; take f16"),
        (None, "its tokenizer is none of gpt-2 or smollm"),
    ],
)
def test_a_folder_that_no_gguf_can_be_made_of_is_refused_before_it_is_trained(half, tmp_path, capsys, change, line):
    shutil.copytree(half, tmp_path / "m")
    write_words(tmp_path / "task.toml")
    file = tmp_path / "m" / ("config.json" if change else "tokenizer.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | (change or {"pre_tokenizer": {"type": "Whitespace"}})))
    with pytest.raises(SystemExit):
        in_folder(tmp_path, "train", "sft", "--task", "task.toml", "--model", "hf:m", "--out", "o", "--gguf", "q8_0")
    told = capsys.readouterr().err
    assert line in told and told.count("\n") == 1 and not (tmp_path / "o").exists()


def test_a_chain_that_began_with_the_embedded_model_is_known_by_its_card(tmp_path):
    row = {"stratum": "s", "usd": "0", "prompts": [], "trainer": "sft"}
    for name, models in {"one": ["smollm2"], "two": ["hf:smollm2", "one"], "other": ["hf:x", "smollm2"]}.items():
        (tmp_path / name).mkdir()
        card = {"trainings": [row | {"model": model} for model in models], "stratum": "s", "training_usd": "0"}
        (tmp_path / name / "card.json").write_text(json.dumps(card | {"data": {"prompts": []}}))
    known = {name: is_embedded(f"hf:{tmp_path / name}") for name in ("one", "two", "other")}
    assert known == {"one": True, "two": True, "other": False}
    assert is_embedded("smollm2") and not is_embedded("hf:elsewhere") and gguf_of("hf:elsewhere") is None


def test_a_gguf_that_is_none_is_one_line(tmp_path):
    (tmp_path / "x.gguf").write_text("no")
    for name, line in (("x.gguf", "is no GGUF file"), ("y.gguf", "no file")):
        with pytest.raises(BadInput, match=line):
            open_model(f"gguf:{tmp_path / name}")


def test_full_weights_are_a_model_of_their_own(half, tmp_path):
    write_words(tmp_path / "task.toml")
    usual = ("--task", "task.toml", "--model", f"hf:{half}", "--out", "full", "--samples", "1")
    in_folder(tmp_path, "train", "sft", *usual, "--set", "steps=2", "--set", "lora_rank=0", "--set", "kl=0.1")
    assert (
        find_folder(str(tmp_path / "full")) == tmp_path / "full" / "model"
        and base_of(tmp_path / "full" / "model") is None
    )
    before, after = merged(half)[0].state_dict(), merged(tmp_path / "full" / "model")[0].state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if "norm" not in name)
    kinds = {charge.kind for charge in read_charges(tmp_path / "full" / "ledger.sqlite")}
    assert {"trained", "reference"} <= kinds


# the card


def test_the_card_says_what_was_trained_what_it_cost_and_what_it_changed(tuned):
    card = json.loads((tuned / "card.json").read_text())
    assert card["trainer"] == "sft" and card["settings"]["steps"] == 12 == card["steps"]
    words, guard = card["evaluation"]["words"], card["evaluation"]["words1"]
    assert words["items"] == guard["items"] == ITEMS // 2 and words["attempts"] == 2
    for told_of in (words, guard):
        row = told_of["first_turn"]
        assert row["difference"]["points"] == pytest.approx(
            100 * (row["after"]["accuracy"] - row["before"]["accuracy"])
        )
        assert row["difference"]["ci95"][0] <= row["difference"]["points"] <= row["difference"]["ci95"][1]
    assert words["first_turn"]["after"]["accuracy"] > words["first_turn"]["before"]["accuracy"]
    assert set(card["distance"]) == {"words", "words1"} and card["distance"]["words"]["kl"] > 0
    charges = list(read_charges(tuned / "ledger.sqlite"))
    spent = sum(charge.usd for charge in charges if charge.kind != "evaluation")
    assert Decimal(card["training_usd"]) == spent > 0
    assert sum(c.kind == "trained" for c in charges) == 12
    page = (tuned / "card.md").read_text()
    assert "words, first turn (n = 4)" in page and "12" in page and "| trained | 12 |" in page


def test_a_step_told_again_is_booked_once_and_the_work_as_retried(tmp_path):
    with Ledger(tmp_path / "l") as ledger:
        books = Books(ledger, PRICES, "f", "sft", {"steps": 1}, "s", 0, gpus=0)
        step = Passes("trained", 0, 10, 5, 1000, 3600.0)
        for passes in (step, step, Passes("evaluation", 0, 1, 1, 1, 3600.0)):
            books.charge(passes)
        assert {total.kind: total.charges for total in ledger.totals()} == {"evaluation": 1, "retried": 1, "trained": 1}
        assert training_usd(ledger) == 2 * PRICES.core_hour
        Books(ledger, PRICES, "f", "sft", {"steps": 2}, "s", 0, gpus=1).charge(step)
        assert training_usd(ledger) is None


# in a study


def test_any_method_can_be_asked_of_another_model():
    asks, _ = finish(elsewhere(vote(problem(), n=2), "tuned"), [attempts("a", "a")])
    assert asks == [Sample(problem().prompt, 2, model="tuned")]
    arm = make_arm("vote n=2 model=tuned")
    assert arm.label == "vote n=2 model=tuned" and next(arm.start(problem())).model == "tuned"
    assert next(make_arm("vote n=2").start(problem())).model == ""


def test_a_study_leaves_out_what_a_model_was_trained_on_and_counts_what_training_cost(tuned, half):
    folder, card = tuned.parent, json.loads((tuned / "card.json").read_text())
    words = ("--model", f"hf:{half}", "--with", "tuned=tuned", "--samples", "4", "--out", "s")
    in_folder(folder, "study", "task.toml", *words, "--methods", "once,vote n=4", "--volume", "1e6")
    study = json.loads((folder / "s" / "study.json").read_text())
    assert study["left_out"] == {"words": ITEMS // 2}
    assert study["strata"]["words"]["items"] == ITEMS // 2 and study["strata"]["words1"]["items"] == ITEMS
    labels = {name: [point["label"] for point in stratum["points"]] for name, stratum in study["strata"].items()}
    assert labels == {"words": ["once", "vote n=4", "once model=tuned"], "words1": ["once", "vote n=4"]}
    points = {point["label"]: point for point in study["strata"]["words"]["points"]}
    rows = [row for row in study["plan"]["breakeven"] if row["a"] == "training" and row["stratum"] == "words"]
    assert rows and all(row["b"] != "once model=tuned" for row in rows)
    fixed = float(card["training_usd"])
    for row in rows:
        saved = points[row["b"]]["cost"]["usd"] - points["once model=tuned"]["cost"]["usd"]
        assert row["fixed_usd"] == pytest.approx(fixed)
        assert row["volume"] == (pytest.approx(fixed / saved) if saved > 0 else None)
    choice = study["plan"]["choices"]["words"]
    if choice["label"] == "once model=tuned":
        assert choice["training_usd"] == pytest.approx(fixed)
    assert read_policy(folder / "s" / "policy.toml").models == {"tuned": "tuned"}
    assert study["models"]["tuned"]["training"] == {"stratum": "words", "usd": pytest.approx(fixed)}


def test_a_trained_model_is_studied_on_the_other_items_alone(tuned):
    folder = tuned.parent
    in_folder(folder, "study", "task.toml", "--model", "tuned", "--samples", "2", "--out", "t", "--methods", "once")
    study = json.loads((folder / "t" / "study.json").read_text())
    assert study["left_out"] == {"words": ITEMS // 2} and study["model"]["training"]["stratum"] == "words"
    assert study["model"]["name"] == "tuned"
    past = read_past(str(tuned))
    assert past is not None and len(past.prompts) == ITEMS // 2
    assert read_past("openai:http://x/v1#m") is None
