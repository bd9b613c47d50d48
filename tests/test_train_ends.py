"""How a text that is trained on ends: as a turn does, with its stop string, or not at all where it was cut."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from terminal import trueup
from tiny import CHAT, save_tiny
from tiny_trained import ITEMS, save_half, write_words
from tiny_trl import asking, job
from transformers import AutoModelForCausalLM, AutoTokenizer

from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.methods.revise import ask_again
from trueup.train.ask import Graded
from trueup.train.exam import Sitting, distance
from trueup.train.network import load
from trueup.train.offline.mining import mined
from trueup.train.offline.own import Trace, corrections, pairs, right_ones
from trueup.train.offline.supervised import LEFT_OUT, as_read, keep_examples, read_examples
from trueup.train.real.replay import gather, read_replay
from trueup.train.texts import CUT, Example, Unsaid, tokens_of
from trueup.verifiers import exact, number

ASKED = (Message("user", "problem 1"),)
TURNS = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
THINKS = TURNS.replace("assistant: ", "assistant: <think>")
ASKS = TURNS.replace("<end>", "{% if m.role == 'user' %}<end>{% endif %}")
COUNTS = "{{ messages | length }} " + ASKS
ONCE = "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}" + TURNS
END, EOS = "<end>", "</s>"


def save_turns(folder, template=TURNS, ends=(EOS, END)):
    """A model whose turns may end with a token that is not its tokenizer's end of text."""
    save_tiny(folder, 0, template=template, padding=1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [END]})
    tokenizer.save_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder)
    network.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(list(ends))
    network.save_pretrained(folder)
    return folder


def vocabulary_of(folder, template=""):
    return load(folder, device="cpu", dtype="float32", lora_rank=0, template=template, seed=0).vocabulary


def targets(example, vocabulary):
    """The target's tokens as text, their end included."""
    text = tokens_of(example, vocabulary, 256)
    return vocabulary.tokenizer.decode(text.ids[text.start :])


def said(text, right=True, finish="eos", index=0, prompt=ASKED):
    return Graded(prompt, Attempt(index, text, finish, Usage(1, 1), text), Grade(float(right)))


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    return save_turns(tmp_path_factory.mktemp("turns") / "model")


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


# the end of a turn


@pytest.mark.parametrize(
    ("template", "ends", "end"),
    [
        (TURNS, (EOS, END), END),
        (THINKS, (EOS, END), END),
        (TURNS, (EOS,), EOS),
        (ASKS, (EOS, END), EOS),
        (COUNTS, (EOS, END), EOS),
        (CHAT, (EOS, END), EOS),
        (ONCE, (EOS, END), EOS),
    ],
)
def test_a_text_ends_as_the_template_ends_a_turn_where_generation_stops_there(tmp_path, template, ends, end):
    vocabulary = vocabulary_of(save_turns(tmp_path / "model", template, ends))
    for prompt in (ASKED, (*ASKED, Message("assistant", "ri"))):
        assert targets(Example(prompt, "ght"), vocabulary) == f"ght{end}"


def test_a_text_without_a_template_ends_with_the_end_of_text(turns):
    assert targets(Example(ASKED, "right"), vocabulary_of(turns, "plain")) == f"right{EOS}"


# the end of an attempt


@pytest.mark.parametrize(
    ("finish", "learned"),
    [("eos", f"right{END}"), ("stop", f"right{END}"), ("stop:\n\n", "right\n\n"), ("stop::", "right:"), (CUT, "right")],
)
def test_a_text_is_learned_as_it_was_ended_and_one_that_was_cut_has_no_end(turns, finish, learned):
    assert targets(Example(ASKED, "right", finish), vocabulary_of(turns)) == learned


def test_every_use_of_an_attempt_knows_how_it_ended():
    item = [said("a", finish=CUT), said("b", right=False), said("b2", finish="stop:\n"), said("a")]
    assert right_ones([item]) == [Example(ASKED, "a"), Example(ASKED, "b2", "stop:\n")], "whole rather than cut"
    assert [one.finish for one in pairs([item], plus=False)] == [CUT]
    again = ask_again(ASKED, "b")
    trace = Trace(said("b", right=False), said("c", finish=CUT, prompt=again))
    assert corrections([trace], plus=False) == [Example(again, "c", CUT)]


def test_pairs_of_preferences_are_kept_with_their_ends(tmp_path, half, monkeypatch):
    items = (Item(Problem("p", "s", ASKED), None, "p"),)
    given = job(half, tmp_path, stratum=Stratum("s", items, number()))
    found = [said("1", finish="stop:\n"), said("2", right=False, finish=CUT)]
    monkeypatch.setattr("trueup.train.offline.mining._sampled", lambda *given: [(0, found)])
    for _ in range(2):
        (pair,) = mined(given, 1, "own")
        assert (pair.right, pair.wrong) == (Example(ASKED, "1", "stop:\n"), Example(ASKED, "2", CUT))


def test_examples_are_kept_with_their_ends(tmp_path):
    kept = [Example(ASKED, "a", CUT), Example(ASKED, "b"), Example(ASKED, "c", "stop:\n")]
    keep_examples(tmp_path / "e.jsonl", kept)
    assert read_examples(tmp_path / "e.jsonl") == kept
    (tmp_path / "e.jsonl").write_text(json.dumps({"messages": [["user", "?"]], "target": "a"}) + "\n")
    assert [one.finish for one in read_examples(tmp_path / "e.jsonl")] == ["eos"], "as kept by older runs"


def test_a_text_that_was_cut_before_its_first_word_is_left_out_by_name(half, tmp_path):
    missed = []
    items = (Item(Problem("p", "s", ASKED), None, "p"),)
    given = job(half, tmp_path, stratum=Stratum("s", items, number()), failed=lambda *told: missed.append(told[:2]))
    (none, whole) = as_read(given, vocabulary_of(half), 256, [Example(ASKED, "", CUT), Example(ASKED, "")])
    assert none is None and whole.targets == 1 and missed == [(LEFT_OUT[Unsaid], "p")]


def test_the_distance_is_taken_over_what_the_base_wrote_and_nothing_behind_a_cut(half):
    attempts = (said("right"), said("wro", finish=CUT), said("rig", finish="stop:h"), said("", finish=CUT))
    items = tuple(Item(Problem(f"i{i}", "s", ASKED), "right", f"i{i}") for i in range(4))
    sitting = Sitting(Stratum("s", items, exact()), tuple((one,) for one in attempts))
    told = distance(half, half, [sitting], device="cpu", template="", charge=lambda passes: None)["s"]
    assert told == {"kl": pytest.approx(0, abs=1e-6), "texts": 3, "tokens": 6 + 3 + 4}


# replay


def test_what_an_offline_trainer_replays_has_no_end_where_it_was_cut(half, tmp_path, monkeypatch):
    """Of `right` and its end there are 6 tokens, of an answer that was cut at 3 there are 3."""
    monkeypatch.chdir(tmp_path)
    write_words(tmp_path / "task.toml", strata=2)
    sets = ("steps=1", "batch=8", "lora_rank=2", "replay=0.5", "words1.max_tokens=3")
    words = ("--task", "task.toml", "--stratum", "words", "--model", f"hf:{half}", "--out", "o", "--samples", "1")
    trueup(monkeypatch, "train", "sft", *words, *(word for one in sets for word in ("--set", one)), "-q")
    rows = read_examples(tmp_path / "o" / "rounds" / "1" / "examples.jsonl")
    assert [one.finish for one in rows] == ["eos"] * (ITEMS // 2) + [CUT] * (ITEMS // 2)
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert card["gradient_tokens"] == ITEMS // 2 * (6 + 3)


def test_what_an_online_trainer_replays_has_no_end_where_it_was_cut(tmp_path):
    model = save_tiny(tmp_path / "model", 3, sharpness=0.2)
    with asking(tmp_path / "ledger.sqlite") as ask:
        given, recipe = job(model, tmp_path, ask=ask), SimpleNamespace(replay=0.5, batch=2, steps=2)
        gather(given, recipe, has_modes=False)
    kept = read_examples(tmp_path / "rounds" / "replay" / "examples.jsonl")
    vocabulary = vocabulary_of(model)
    texts = read_replay(given, recipe, vocabulary, 256, None).texts
    assert {one.finish for one in kept} == {CUT} and len(kept) == 3
    assert [vocabulary.tokenizer.eos_token_id in text.ids[text.start :] for text in texts] == [False] * 3
