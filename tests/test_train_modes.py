"""Two ways to answer, from a base that knows neither token to a policy that chooses: `warm_up`, then `degrpo`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from terminal import trueup
from tiny import save_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from trueup.core.errors import BadInput
from trueup.core.ledger import read_charges
from trueup.core.types import Attempt, Grade, Message, Usage
from trueup.methods.reread import put_behind
from trueup.train.ask import Graded
from trueup.train.control_tokens import Modes, apart, find_modes, spare_tokens, taught_tokens, unwritten
from trueup.train.job import Job, save
from trueup.train.network import load, read, vocabulary_of
from trueup.train.offline.loop import Course, fit
from trueup.train.offline.supervised import supervised
from trueup.train.offline.ways import Both, Way, whole_and_right
from trueup.train.profiles import PROFILES
from trueup.train.real.difficulty import Thirds
from trueup.train.texts import Example, tokens_of

ITEMS = 8
REQUESTS = {"think_request": "Slowly.", "short_request": "Fast."}
SAID = {"Slowly.": ("hm, right", "hm, wrong"), "Fast.": ("right", "wrong")}
SPARE = ("<one>", "<two>", "<three>")
PROMPT = (Message("user", "problem 0"),)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def able(tmp_path_factory) -> Path:
    """A model that is right about half the time, slowly or fast as it is asked, and has three tokens to spare."""
    folder = tmp_path_factory.mktemp("able")
    base = save_tiny(folder / "raw", 0, padding=len(SPARE), max_position_embeddings=512)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(list(SPARE), special_tokens=True)
    tokenizer.save_pretrained(base)
    trainee = load(base, device="cpu", dtype="float32", lora_rank=0, template="", seed=0)
    asked = [(put_behind(prompt, request), request) for prompt in prompts() for request in SAID]
    texts = [
        tokens_of(Example(prompt, said), trainee.vocabulary, 256) for prompt, request in asked for said in SAID[request]
    ]
    course = Course(60, 16, 0.01, 0, 0.0, 0.0, 1000)
    job = Job(base, None, folder, PROFILES["cpu"], 0, lambda passes: None, lambda progress: None)
    fit(job, trainee, texts, supervised(trainee, course, base), course, state=folder / "state.pt")
    save(trainee.network, trainee.vocabulary.tokenizer, folder)
    return folder / "model"


def write_task(path, references):
    """Eight problems whose right answers are these words in turn."""
    rows = [
        {"id": f"g{i}", "prompt": prompt[0].content, "reference": references[i % len(references)]}
        for i, prompt in enumerate(prompts())
    ]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path.write_text(
        f'[task]\nname = "words"\n[[stratum]]\nname = "words"\nsource = "jsonl:{path.stem}.jsonl"\nmax_tokens = 12\n'
        'verifier = {name = "exact", pattern = "(right|wrong)$"}\n'
    )


def prompts():
    return [(Message("user", f"problem {place}"),) for place in range(ITEMS)]


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """The command line in this process, in a folder of this test's; its standard output, or the error's line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_task(tmp_path / "task.toml", ["right"])
    write_task(tmp_path / "uneven.toml", ["right", "wrong"])

    def call(method, model, out, code=0, task="task.toml", stratum="words", **sets):
        pairs = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
        words = ["train", method, "--task", task, "--model", str(model), "--out", out, "--samples", "1", *pairs]
        words += ["--stratum", stratum]
        trueup(monkeypatch, *words, code=code)
        if not code:
            return capsys.readouterr().out
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        return line

    return call


def opened(folder):
    network, tokenizer = read(folder, torch.float32)
    return network, vocabulary_of(network, tokenizer, "", folder)


def test_a_base_that_knows_neither_token_is_warmed_up_and_then_learns_to_choose(able, run, tmp_path):
    run("warm_up", f"hf:{able}", "warm", n=6, steps=40, batch=16, lr=0.01, lora_rank=0, **REQUESTS)
    card = json.loads((tmp_path / "warm" / "card.json").read_text())
    _, vocabulary = opened(tmp_path / "warm" / "model")
    think, short = (vocabulary.tokenizer.decode([int(card["figures"][key])]) for key in ("think_token", "short_token"))
    assert {think, short} < set(SPARE)
    rows = [
        json.loads(line) for line in (tmp_path / "warm" / "rounds" / "1" / "examples.jsonl").read_text().splitlines()
    ]
    targets = [row["target"] for row in rows]
    assert set(targets) == {f"{think}hm, right", f"{short}right"}, "right ones alone, each behind its own token"
    assert targets.count(f"{think}hm, right") == targets.count(f"{short}right") > 0
    assert all(len(row["messages"]) == 1 and row["messages"][0][1] in {p[0].content for p in prompts()} for row in rows)
    assert (card["figures"]["length_think"], card["figures"]["length_short"]) == (9, 5)

    run("sft", "warm", "between", steps=1, batch=2, lr=1e-9, lora_rank=0)
    between = json.loads((tmp_path / "between" / "card.json").read_text())
    assert between["figures"]["short_token"] == card["figures"]["short_token"] and between["modes"]

    run("degrpo", "between", "chosen", task="uneven.toml", n=4, batch=16, steps=2, lr=1e-4, lora_rank=2)
    log = [json.loads(line) for line in (tmp_path / "chosen" / "log.jsonl").read_text().splitlines()]
    assert len(log) == 2 and all(min(row["think_rate"], row["short_rate"]) > 0.1 for row in log)
    assert all(row["think_rate"] + row["short_rate"] > 0.9 for row in log), "it was taught to begin with one of both"
    assert all(row["length_think"] > row["length_short"] for row in log)
    assert all(0 <= row[f"think_rate_{place}_of_2"] <= 1 for row in log for place in (1, 2))
    assert all(row["right_before_1_of_2"] < 0.5 < row["right_before_2_of_2"] for row in log)
    figures = json.loads((tmp_path / "chosen" / "card.json").read_text())["figures"]
    assert figures["think_token"] == card["figures"]["think_token"], "what it was taught goes on to the next card"
    probes = [c for c in read_charges(tmp_path / "chosen" / "ledger.sqlite") if c.kind == "evaluation" and c.reply]
    assert len(probes) >= 4 * ITEMS // 2

    other = (tmp_path / "task.toml").read_text().replace('name = "words"', 'name = "other"').partition("[[stratum]]")[2]
    (tmp_path / "two.toml").write_text((tmp_path / "task.toml").read_text() + f"[[stratum]]{other}")
    run("degrpo", "warm", "kept", task="two.toml", n=4, batch=16, steps=1, lr=1e-4, lora_rank=2, probe=0, replay=0.3)
    rows = (tmp_path / "kept" / "rounds" / "replay" / "examples.jsonl").read_text().splitlines()
    targets = [json.loads(row)["target"] for row in rows]
    assert len(targets) == ITEMS // 2 and all(target.startswith((think, short)) for target in targets)
    assert all(("hm, " in target) == target.startswith(think) for target in targets), "each behind its own token"
    again = [
        c for c in read_charges(tmp_path / "kept" / "ledger.sqlite") if c.kind == "prefill" and "step -1" in c.reply
    ]
    assert len(again) == 1 and again[0].prompt_tokens > 0


def test_the_tokens_of_a_card_are_found_beside_weights_and_above_them(tmp_path):
    told = {"think_token": 3.0, "short_token": 4.0}
    (tmp_path / "card.json").write_text(json.dumps({"figures": told | {"loss": 0.1}}))
    assert taught_tokens(tmp_path / "model") == taught_tokens(tmp_path / "adapter") == taught_tokens(tmp_path) == told
    assert taught_tokens(tmp_path / "elsewhere") == {}
    (tmp_path / "card.json").write_text(json.dumps({"figures": {"loss": 0.1}}))
    assert taught_tokens(tmp_path) == {}


# which tokens


def test_tokens_to_spare_are_special_ones_that_nothing_uses(tmp_path):
    folder = save_tiny(tmp_path / "m", 0, padding=4)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<plain>"])
    tokenizer.add_tokens(["<ends>", "<written>", "<image>"], special_tokens=True)
    tokenizer.chat_template = tokenizer.chat_template + "{% if tools %}<written>{% endif %}"
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ends, image = tokenizer.convert_tokens_to_ids(["<ends>", "<image>"])
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, ends]
    model.save_pretrained(folder)
    network, vocabulary = opened(folder)
    assert spare_tokens({}, vocabulary, PROMPT) == [image], "no end, nothing of the template, no ordinary token"
    assert spare_tokens({"image_token_id": image}, vocabulary, PROMPT) == []
    with pytest.raises(BadInput, match="this model has 1 special tokens that nothing uses, and two are needed"):
        unwritten(network, vocabulary, PROMPT, think="", short="", learns=True)


def test_of_tokens_to_spare_the_two_that_differ_most_are_taken(able):
    network, vocabulary = opened(able)
    ids = vocabulary.tokenizer.convert_tokens_to_ids(list(SPARE))
    with torch.no_grad():
        for layer in (network.get_input_embeddings(), network.get_output_embeddings()):
            layer.weight[ids[1]] = layer.weight[ids[0]]
            layer.weight[ids[2]] = -layer.weight[ids[0]]
    told = unwritten(network, vocabulary, PROMPT, think="", short="", learns=False)
    assert told == Modes(ids[0], ids[2], ("<one>", "<three>"))
    assert apart(network, ids)[0].tolist() == pytest.approx([0, 0, float(apart(network, ids)[0, 2])])
    with pytest.raises(BadInput, match="'<one>' and '<two>' have one embedding, which an adapter leaves as it is"):
        unwritten(network, vocabulary, PROMPT, think="<one>", short="<two>", learns=False)
    assert unwritten(network, vocabulary, PROMPT, think="<one>", short="<two>", learns=True).names == ("<one>", "<two>")


def test_a_token_that_would_stand_in_the_graded_text_is_refused(able):
    network, vocabulary = opened(able)
    with pytest.raises(BadInput, match="'a' would stand in the text that is graded; name a special token, or none"):
        unwritten(network, vocabulary, PROMPT, think="a", short="<one>", learns=True)
    assert find_modes(vocabulary, PROMPT, think="a", short="b").names == ("a", "b"), (
        "degrpo takes what a model was taught"
    )


# which texts


def test_pairs_put_a_longer_thought_beside_each_short_text():
    def pairs(short, thought):
        texts = (tuple(Example(PROMPT, text) for text in way) for way in (short, thought))
        return [(one.target, other.target) for one, other in Both(*texts).pairs]

    assert pairs(("333", "1"), ("4444", "22", "55555")) == [("1", "55555"), ("333", "4444")]
    assert pairs(("22", "1"), ("33", "2")) == [("1", "33")], "a thought as short as the answer is none"
    assert pairs((), ("33",)) == pairs(("1",), ()) == []


def test_each_source_is_asked_in_the_words_of_the_way_behind_its_own_examples():
    def turns(*texts):
        return tuple(Message(("user", "assistant")[place % 2], text) for place, text in enumerate(texts))

    system = Message("system", "Sums.")
    recipe = {"system": "Sums.", "template": "Q: {question}", "shots": [{"question": "1+1", "answer": "2"}]}
    prompt = (system, *turns("Q: 1+1", "2", "Q: 3+4"))
    own, strong = Way("Slowly.", ("", "strong")).asks(prompt, recipe, 5)
    assert (own.model, strong.model, own.n) == ("", "strong", 5)
    assert own.prompt == (system, *turns("Q: 1+1", "2", "Q: 3+4\n\nSlowly."))
    worked = [{"question": "2+2", "answer": "1+1+1+1 = 4"}, {"question": "2+1", "answer": "1+1+1 = 3"}]
    (shown,) = Way("", ("",), tuple(worked)).asks(prompt, recipe, 1)
    assert shown.prompt == (system, *turns("Q: 2+2", "1+1+1+1 = 4", "Q: 2+1", "1+1+1 = 3", "Q: 3+4"))
    (bare,) = Way("", ("",), tuple(worked[:1])).asks(turns("3+4"), {}, 1)
    assert bare.prompt == turns("2+2", "1+1+1+1 = 4", "3+4")


def test_what_is_wrong_or_cut_or_said_twice_is_left_out_and_the_rest_ends_as_it_did():
    def one(text, right, finish="eos"):
        return Graded(put_behind(PROMPT, "Slowly."), Attempt(0, text, finish, Usage(1, 1), text), Grade(float(right)))

    found = [one("a", 1), one("b", 0), one("a", 1), one("c", 1, "length"), one("d", 1, "stop:x")]
    assert whole_and_right(found, PROMPT) == (Example(PROMPT, "a"), Example(PROMPT, "d", "stop:x"))


# how hard


def test_think_rates_are_told_by_thirds_of_what_was_right_before():
    thirds = Thirds.of({0: 0.0, 1: 0.25, 2: 0.25, 3: 0.5, 4: 1.0, 5: 1.0}, rows=7)
    assert thirds.bins == {0: 0, 1: 1, 2: 1, 3: 2, 4: 2, 5: 2}
    for item, has_thought in zip((0, 0, 2, 2, 4, 5, 9), (True, True, True, False, False, False, True), strict=True):
        thirds.note(item, has_thought=has_thought)
    assert thirds.figures == {
        "think_rate_1_of_3": 1.0, "think_rate_2_of_3": 0.5, "think_rate_3_of_3": 0.0,
        "right_before_1_of_3": 0.0, "right_before_2_of_3": 0.25, "right_before_3_of_3": pytest.approx(2.5 / 3),
    }  # fmt: skip
    for _ in range(7):
        thirds.note(4, has_thought=True)
    assert thirds.figures == {"think_rate_3_of_3": 1.0, "right_before_3_of_3": pytest.approx(2.5 / 3)}, (
        "the last step's rows alone count"
    )


def test_where_all_items_are_equally_hard_there_are_no_thirds():
    thirds = Thirds.of({0: 0.5, 1: 0.5}, rows=2)
    thirds.note(0, has_thought=True)
    assert thirds.figures == {} == Thirds.none().figures


# what is refused


@pytest.mark.parametrize(
    ("method", "sets", "line"),
    [
        ("warm_up", {"think": "<one>"}, "think is '<one>' and short ''; name both tokens, or neither"),
        ("warm_up", {"think": "a", "short": "b"}, "'a' would stand in the text that is graded"),
        (
            "warm_up",
            {"think": "<think>", "short": "<one>"},
            "'<think>' is 7 tokens of this model; name one of its tokens",
        ),
        (
            "warm_up",
            {"think_from": "strong"},
            "unknown think_from 'strong'; known: all, own (give --with strong=MODEL)",
        ),
        ("warm_up", {"n": 1, "steps": 1, "think_request": "Fast."}, "no pair to train on: of 4 items of 'words'"),
        ("warm_up", {"think_shots": "no.jsonl"}, "no file 'no.jsonl'; give the path of a JSONL file"),
        ("warm_up", {"think_shots": "task.jsonl"}, 'it takes {"question", "answer"}'),
        ("warm_up", {"n": 0}, "n is 0; give at least 1"),
        ("degrpo", {}, "train it by warm_up first and name the folder that this leaves, or name the tokens"),
        ("degrpo", {"short": "<one>"}, "think is '' and short '<one>'; name both tokens, or neither"),
        ("degrpo", {"average": "token"}, "average is 'token'; it takes paper, reference_code, grpo"),
        ("degrpo", {"average": "grpo", "alpha": 0.1}, "average=grpo weighs no token apart; leave alpha out"),
        ("degrpo", {"probe": -1}, "probe -1 must not be below 0"),
    ],
)
def test_what_cannot_be_taught_is_one_line(able, run, method, sets, line):
    usual = {} if "think_request" in sets or method == "degrpo" else REQUESTS
    assert line in run(method, f"hf:{able}", "o", code=2, **{**usual, **sets})
