"""A chat template that is not the model's own: kept with what was trained behind it, told, and what it refuses."""

from __future__ import annotations

import asyncio
import json

import gguf
import pytest
from terminal import at_problems
from tiny import CHAT, save_tiny
from tiny_gguf import save_gguf
from tiny_trained import save_half
from tiny_trl import asking, job
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Sampling
from trueup.models import GgufFile, HuggingFace, LlamaCpp, agreement
from trueup.models.huggingface.folder import find_folder
from trueup.train.export import BARE, write_gguf
from trueup.train.job import save
from trueup.train.network import load
from trueup.train.offline.supervised import LEFT_OUT, Refused
from trueup.train.real import grpo, multi_turn
from trueup.train.real.replay import longest_replayed
from trueup.verifiers import exact

OTHER = CHAT.replace("<s>{{ m.role }}: ", "<s>({{ m.role }}) ").replace("<s>assistant: ", "<s>(assistant) ")
REFUSES = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}{% endfor %}"
    + CHAT
)
PROMPTS = [f"problem {place}" for place in range(8)]
ASKED = (Message("user", "problem 1"),)
SYSTEM = (Message("system", "be brief"), *ASKED)
SETS = ("steps=60", "batch=4", "lora_rank=0", "lr=0.01")
WORDS = ("--samples", "1", "-q", *(word for one in SETS for word in ("--set", one)))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A model of random weights that is right about nothing."""
    return save_tiny(tmp_path_factory.mktemp("raw") / "model", 0, hidden_size=32, intermediate_size=32)


def template_of(file):
    return gguf.GGUFReader(file).fields["tokenizer.chat_template"].contents()


def scored(out):
    """The share of right answers at held-out items that a study without further settings finds."""
    study = json.loads((out / "study.json").read_text())
    (point,) = study["strata"]["w"]["points"]
    return point["accuracy"]


# kept


def test_a_model_is_studied_behind_the_template_that_it_was_trained_behind(raw, tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, PROMPTS)
    (tmp_path / "t.jinja").write_text(OTHER)
    words = ("--task", "w.jsonl", "--model", f"hf:{raw}", "--set", "model.template=t.jinja", "--gguf", "f16")
    shown = go("train", "sft", *words, "--out", "o", *WORDS).out
    assert shown.rstrip().endswith("--model o)")
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert card["template"] == "t.jinja" and card["evaluation"]["w"]["first_turn"]["after"]["accuracy"] == 1.0
    assert "- template: `t.jinja`, saved with the tokenizer" in (tmp_path / "o" / "card.md").read_text()
    kept = load(find_folder("o"), device="cpu", dtype="float32", lora_rank=0, template="", seed=0).vocabulary
    assert kept.tokenizer.decode(kept.ids(ASKED)) == "<s>(user) problem 1<s>(assistant) "
    assert template_of(tmp_path / "o" / "model.gguf") == OTHER
    go("study", "w.jsonl", "--model", "o", "--methods", "once", "--samples", "1", "--out", "s", "-q")
    assert scored(tmp_path / "s") == 1.0


def test_a_gguf_with_a_header_of_the_bases_has_the_template_that_was_trained_behind(tmp_path):
    base = save_tiny(tmp_path / "base", 0, hidden_size=32, intermediate_size=32)
    (tmp_path / "t.jinja").write_text(OTHER)
    for template, kept in (("", CHAT), ("plain", BARE), (str(tmp_path / "t.jinja"), OTHER)):
        trainee = load(base, device="cpu", dtype="float32", lora_rank=0, template=template, seed=0)
        save(trainee.network, trainee.vocabulary.tokenizer, tmp_path / "o")
        begun = save_gguf(base, tmp_path / "b.gguf")
        file = write_gguf(tmp_path / "o" / "model", begun, tmp_path / "m.gguf", "f16", template)
        assert template_of(file) == kept


BEGINS_WITH_A_MARK = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 256)])
CHATS = (
    ASKED,
    SYSTEM,
    (*SYSTEM, Message("assistant", "so\n"), Message("user", " {{ it }} \n\n")),
    (*ASKED, Message("assistant", "wri")),
)


@pytest.mark.parametrize("is_marked", [False, True])
@pytest.mark.parametrize("own", [CHAT, None])
def test_a_gguf_is_asked_as_the_model_was_trained_behind_bare_contents(tmp_path, own, is_marked):
    """The embedded engine reads the same tokens as transformers: the next ones are as likely, of any chat."""
    base = save_tiny(tmp_path / "base", 0, template=own, hidden_size=32, intermediate_size=32, sharpness=0.1)
    if is_marked:
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.backend_tokenizer.post_processor = BEGINS_WITH_A_MARK
        tokenizer.save_pretrained(base)
    faithful = HuggingFace(base, template="plain")
    assert (faithful.load().vocabulary.ids(ASKED)[0] == 256) == is_marked
    file = write_gguf(base, None, tmp_path / "m.gguf", "f16", "plain")
    embedded = LlamaCpp(GgufFile.read(file), threads=1, slots=1)

    async def compare():
        try:
            return await agreement(embedded, faithful, CHATS, tolerance=0.01)
        finally:
            await embedded.close()

    assert asyncio.run(compare()).agrees


def test_a_gguf_of_a_training_behind_bare_contents_is_right_where_it_is(raw, tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, PROMPTS)
    words = ("--task", "w.jsonl", "--model", f"hf:{raw}", "--set", "model.template=plain", "--gguf", "f16")
    go("train", "sft", *words, "--out", "o", *WORDS)
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert card["evaluation"]["w"]["first_turn"]["after"]["accuracy"] == 1.0
    study = ("study", "w.jsonl", "--model", "gguf:o/model.gguf", "--methods", "once", "--samples", "1", "-q")
    go(*study, "--out", "s")
    assert scored(tmp_path / "s") == 1.0


@pytest.mark.parametrize("is_based", [True, False])
def test_of_several_templates_a_gguf_has_the_one_that_chats_are_written_by(tmp_path, is_based):
    base = save_tiny(tmp_path / "base", 0, hidden_size=32, intermediate_size=32)
    trainee = load(base, device="cpu", dtype="float32", lora_rank=0, template="", seed=0)
    trainee.vocabulary.tokenizer.chat_template = {"default": OTHER, "tool_use": CHAT}
    save(trainee.network, trainee.vocabulary.tokenizer, tmp_path / "o")
    header = save_gguf(base, tmp_path / "b.gguf") if is_based else None
    assert template_of(write_gguf(tmp_path / "o" / "model", header, tmp_path / "m.gguf", "f16")) == OTHER


def test_a_training_without_a_template_says_what_to_set_and_that_is_what_it_takes(raw, tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, PROMPTS)
    words = ("--task", "w.jsonl", "--model", f"hf:{raw}", "--set", "model.template=plain", "--out", "o")
    shown = go("train", "sft", *words, *WORDS).out
    command = shown.rstrip().rpartition("(trueup ")[2].removesuffix(")").split()
    assert command == ["study", "w.jsonl", "--model", "o", "--set", "model.template=plain"]
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert card["template"] == "plain" and card["evaluation"]["w"]["first_turn"]["after"]["accuracy"] == 1.0
    assert "- template: `plain`, which is not saved" in (tmp_path / "o" / "card.md").read_text()
    go(*command, "--methods", "once", "--samples", "1", "--out", "s", "-q")
    assert scored(tmp_path / "s") == 1.0


def test_a_model_with_its_own_template_is_told_without_one(tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, PROMPTS)
    half = save_half(tmp_path / "half")
    words = ("--task", "w.jsonl", "--model", f"hf:{half}", "--out", "o", "--samples", "1", "--set", "steps=1", "-q")
    assert go("train", "sft", *words).out.rstrip().endswith("--model o)")
    assert json.loads((tmp_path / "o" / "card.json").read_text())["template"] == ""
    assert "template" not in (tmp_path / "o" / "card.md").read_text()


# refused


def test_prompts_that_the_template_refuses_are_left_out_by_name(raw, tmp_path, monkeypatch, capsys):
    go = at_problems(tmp_path, monkeypatch, capsys, PROMPTS)
    rows = [json.loads(line) for line in (tmp_path / "w.jsonl").read_text().splitlines()]
    for row in rows[4:]:
        asked = row.pop("prompt")
        row["messages"] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": asked}]
    (tmp_path / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "t.jinja").write_text(REFUSES)
    words = ("--task", "w.jsonl", "--model", f"hf:{raw}", "--set", "model.template=t.jinja", "--out", "o")
    go("train", "sft", *words, *WORDS, "--set", "steps=1")
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    refused = [one for one in card["data"]["trained_on"] if int(one[1:]) >= 4]
    told = [json.loads(line) for line in (tmp_path / "o" / "failures.jsonl").read_text().splitlines()]
    assert refused and card["figures"]["texts"] == len(card["data"]["trained_on"]) - len(refused)
    assert [row["item"] for row in told if row["what"] == LEFT_OUT[Refused]] == refused
    assert card["failures"][LEFT_OUT[Refused]] == len(refused)


@pytest.mark.parametrize("trainer", [grpo, multi_turn])
def test_an_online_trainer_names_the_item_that_the_template_refuses(tmp_path, trainer):
    model = save_tiny(tmp_path / "model", 0, template=REFUSES)
    asked = {"fine": ASKED, "odd": SYSTEM}
    items = [Item(Problem(name, "s", prompt, Sampling(max_tokens=4)), "e", name) for name, prompt in asked.items()]
    told = "^item 'odd': the chat template does not take this prompt: no system here; leave it out, or set "
    with pytest.raises(BadInput, match=told):
        trainer(job(model, tmp_path, stratum=Stratum("s", tuple(items), exact())), n=2, batch=2, steps=1)


def test_what_the_template_refuses_is_not_replayed_and_stops_no_online_trainer(tmp_path):
    model = save_tiny(tmp_path / "model", 0, template=REFUSES)
    asked = {"fine": ASKED, "odd": SYSTEM}
    problems = [Problem(name, "o", prompt, Sampling(max_tokens=4)) for name, prompt in asked.items()]
    others = (Stratum("o", tuple(Item(one, "e", one.id) for one in problems), exact()),)
    with asking(tmp_path / "ledger.sqlite") as ask:
        given = job(model, tmp_path, others=others, ask=ask)
        vocabulary = load(model, device="cpu", dtype="float32", lora_rank=0, template="", seed=0).vocabulary
        assert longest_replayed(given, 0.5, vocabulary, 256) == len(vocabulary.ids(ASKED)) + 4 + 1
        settings = {"steps": 1, "n": 2, "batch": 2, "lora_rank": 2, "replay": 0.5, "random_reward": True}
        assert grpo(given, **settings).steps == 1
