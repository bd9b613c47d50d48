"""What online trainers replay beside their rollouts, held to explicit formulas on tiny random models."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from terminal import trueup
from tiny import save_tiny
from tiny_trained import ITEMS, save_half, write_words
from tiny_trl import RECIPE, asking, job, other, steps_of
from transformers import AutoModelForCausalLM

from trueup.core.errors import BadInput
from trueup.core.ledger import read_charges, verify
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.train.ask import Graded, NothingSampled
from trueup.train.losses.policy import group_advantage, grpo_loss, kl_k3, sequence_mean
from trueup.train.network import load
from trueup.train.offline import own
from trueup.train.offline.loop import picks
from trueup.train.offline.supervised import TOO_LONG, keep_examples, read_examples
from trueup.train.real import grpo, multi_turn, score
from trueup.train.real.episodes import Record
from trueup.train.real.objectives import each_turn
from trueup.train.real.passes import Size, Ways, passes
from trueup.train.real.replay import Place, Replay, gather
from trueup.train.texts import Example, Tokens
from trueup.verifiers import exact

SHARE = 0.3
"""Three texts a step beside eight rollouts."""
SAID = ("a", "bcd", "ef")
TEXTS = tuple(Example(item.problem.prompt, said) for item, said in zip(other().items, SAID, strict=True))
SETTINGS = {"steps": 2, "n": 4, "batch": 8, "lora_rank": 2, "lr": 1e-2, "random_reward": True}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("replay") / "model", 3, sharpness=0.2, max_position_embeddings=512)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def kept(out):
    return out / "rounds" / "replay" / "examples.jsonl"


def given(model, out, **more):
    """A job whose texts to replay are on file already."""
    keep_examples(kept(out), TEXTS)
    return job(model, out, **more)


def tokens(model):
    vocabulary = load(model, device="cpu", dtype="float32", lora_rank=0, template="", seed=0).vocabulary
    ends = [vocabulary.tokenizer.eos_token_id]
    asked = [vocabulary.ids(one.prompt) for one in TEXTS]
    said = [vocabulary.tokenizer(one.target, add_special_tokens=False)["input_ids"] for one in TEXTS]
    return [Tokens((*a, *b, *ends), len(a)) for a, b in zip(asked, said, strict=True)]


def nll(network, texts):
    """The mean over all target tokens, a text at a time, unpadded."""
    found = []
    for text in texts:
        logp_TV = network(input_ids=torch.tensor([text.ids])).logits[0, text.start - 1 : -1].log_softmax(-1)
        found.append(-logp_TV.gather(1, torch.tensor(text.ids[text.start :])[:, None])[:, 0])
    return torch.cat(found).mean()


@pytest.mark.parametrize(("share", "count"), [(SHARE, 3), (0.5, 8), (0.01, 1)])
@pytest.mark.parametrize(("rank", "rows"), [(0, 8), (2, 2)], ids=["full at once", "lora"])
def test_a_steps_loss_is_its_rollouts_and_its_replayed_texts_by_their_share(tiny, tmp_path, rank, rows, share, count):
    """Texts are taken in turn over the steps, and read at temperature 1 whatever the rollouts were sampled at."""
    told, values, network = [], [], []

    def formula(step):
        advantage_B1 = group_advantage(step.rewards(0)).reshape(-1, 1)
        kl_BT = kl_k3(step.logp_BT, step.reference_logp_BT) * (step.logp_BT - step.old).exp()
        policy = grpo_loss(step.logp_BT, step.old, advantage_B1, step.mask)
        rollouts = policy + RECIPE.beta * sequence_mean(kl_BT, step.mask)
        texts = [tokens(tiny)[place] for place in picks(3, count, len(values), 0)]
        again = nll(network[0], texts)
        values.append((((1 - share) * rollouts + share * again).item(), again.item()))
        return (1 - share) * rollouts + share * again

    recipe = replace(RECIPE, lora_rank=rank, replay=share)
    asked = given(tiny, tmp_path, rows=rows, watch=told.append)

    def make(vocabulary):
        return each_turn(1, divide_by_std=False)

    steps, trainer = steps_of(asked, recipe, make, formula, formula, policy=network.append)
    for step in steps:
        for found, wanted in zip(step.found, step.wanted, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    figures = [(one.figures["loss"], one.figures["replay_loss"]) for one in told]
    assert figures == [pytest.approx(pair, abs=1e-5) for pair in values]
    assert trainer.replay.count == count


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_parts_of_a_step_add_up_however_it_is_cut(tiny, processes, parts, count):
    network = AutoModelForCausalLM.from_pretrained(tiny)
    replay = Replay(0.5, count, tuple(tokens(tiny)), 0, 0, torch.device("cpu"))
    reads = []
    network.register_forward_hook(lambda *ignored: reads.append(1))
    with torch.no_grad():
        wanted, total = nll(network, replay.of_step(5)), 0.0
        for part in range(parts):
            made = []
            for process in range(processes):
                before = len(reads)
                total += float(replay.loss(network, 5, Place(part, parts, process, processes))) / processes
                made.append(len(reads) - before)
            assert len(set(made)) == 1, "where one process reads all do"
    assert total == pytest.approx(float(wanted), rel=1e-5)


def test_nothing_is_replayed_unless_it_is_set(tiny, tmp_path):
    booked, told = [], []
    grpo(job(tiny, tmp_path, charge=booked.append, watch=told.append), **SETTINGS)
    assert not (tmp_path / "rounds").exists() and "replay_loss" not in told[0].figures


def test_replayed_tokens_are_booked_with_those_that_are_trained_on():
    size, ways = Size(1000, 10, 2, 4), Ways(samples=True, reference=True, old_policy=False, recompute=False)
    records = [Record((5,), (3,), (0,), (False,), (True,), (1.0,), 8, 0)]
    texts = [Tokens((1, 2, 3, 4, 5, 6), 4), Tokens((1, 2, 3), 1)]
    alone, beside = ({p.kind: p for p in passes(1, records, size, ways, {}, some)} for some in ([], texts))
    trained = alone.pop("trained")
    flops = trained.flops + sum(size.training(length, recompute=False) for length in (6, 3))
    assert beside.pop("trained") == replace(trained, prompt_tokens=5 + 4 + 1, completion_tokens=3 + 2 + 2, flops=flops)
    assert beside == alone, "they are neither sampled in a step nor read by the reference"


def test_a_run_books_the_texts_that_its_steps_have_read(tiny, tmp_path):
    """The rollouts of the first step are the same with replay and without."""
    runs = {}
    for share in (0.0, SHARE):
        booked = []
        grpo(given(tiny, tmp_path / str(share), charge=booked.append), replay=share, **SETTINGS)
        assert len({(one.kind, one.step) for one in booked}) == len(booked), "one row of a kind and step"
        (runs[share],) = (one for one in booked if (one.kind, one.step) == ("trained", 1))
    texts = tokens(tiny)
    assert runs[SHARE].prompt_tokens - runs[0.0].prompt_tokens == sum(text.start for text in texts)
    assert runs[SHARE].completion_tokens - runs[0.0].completion_tokens == sum(map(len, SAID)) + 3


@pytest.mark.parametrize("trainer", [multi_turn, score])
def test_what_is_replayed_is_sampled_from_the_base_once(tiny, tmp_path, trainer):
    """No more than all steps read: one text in each of two."""
    with asking(tmp_path / "ledger.sqlite") as ask:
        trainer(job(tiny, tmp_path, ask=ask), replay=0.1, **SETTINGS)
        assert [total.kind for total in ask.ledger.totals()].count("sampled") == 1
    prompts = {item.problem.prompt for item in other().items}
    assert len({one.prompt for one in read_examples(kept(tmp_path))} & prompts) == 2
    said = {c.reply for c in read_charges(tmp_path / "ledger.sqlite") if c.kind == "sampled"}
    assert {one.target for one in read_examples(kept(tmp_path))} == said and len(said) == 2


# which items


def test_strata_are_replayed_in_turn_and_no_more_of_their_items_are_asked_than_are_wanted(tmp_path, monkeypatch):
    given, asked = of_sizes(tmp_path, a=4, b=1, c=3), []
    monkeypatch.setattr(own, "attempts", answering(asked))
    everything = said_of(own.own_answers(given, 0.5, 99))
    assert [name[0] for name in everything] == list("abcacaca") and len(set(everything)) == 8
    asked.clear()
    assert said_of(own.own_answers(given, 0.5, 4)) == everything[:4] == sorted(asked, key=everything.index)
    texts = [Example((Message("user", "?"),), "right")] * 3
    assert [one.target for one in own.with_replay(given, texts, 0.5)[3:]] == everything[:3]
    gather(given, SimpleNamespace(replay=0.5, batch=2, steps=2), has_modes=False)
    assert [one.target for one in read_examples(kept(tmp_path))] == everything[:4]
    again = replace(given, seed=1)
    assert said_of(own.own_answers(again, 0.5, 99)) != everything, "the seed says which come first"


def test_where_fewer_items_than_texts_are_wanted_they_come_again(tmp_path, monkeypatch):
    given, asked = of_sizes(tmp_path, a=2, b=1), []
    monkeypatch.setattr(own, "attempts", answering(asked))
    texts = [Example((Message("user", "?"),), "right")] * 7
    targets = [one.target for one in own.with_replay(given, texts, 0.5)[7:]]
    assert len(targets) == 7 and targets == (targets[:3] * 3)[:7] and sorted(asked) == ["a0", "a1", "b0"]


def test_many_texts_to_replay_take_no_more_memory_than_they_are(tmp_path, monkeypatch):
    """A pool that is repeated as often as texts are wanted has 4 million places here, of 8 bytes each."""
    monkeypatch.setattr(own, "attempts", answering([]))
    given, texts = of_sizes(tmp_path, a=2000), [Example((Message("user", "?"),), "right")] * 2000
    tracemalloc.start()
    try:
        assert len(own.with_replay(given, texts, 0.5)) == 4000
        assert tracemalloc.get_traced_memory()[1] < 16e6
    finally:
        tracemalloc.stop()


def test_a_first_item_that_cannot_be_sampled_gives_way_and_none_is_one_line(tmp_path, monkeypatch):
    given = of_sizes(tmp_path, a=2, b=2)
    monkeypatch.setattr(own, "attempts", answering([], unable="a0 a1 b0"))
    assert said_of(own.own_answers(given, 0.5, 1)) == ["b1"]
    monkeypatch.setattr(own, "attempts", answering([], unable="a0 a1 b0 b1"))
    with pytest.raises(NothingSampled, match=r"^replay is 0\.5, and no item of another stratum could be sampled; set "):
        own.own_answers(given, 0.5, 1)


def of_sizes(out, **sizes):
    """A job with other strata of so many items."""
    others = tuple(
        Stratum(name, tuple(Item(Problem(f"{name}{i}", name, ()), "r", f"{name}{i}") for i in range(size)), exact())
        for name, size in sizes.items()
    )
    return job(out, out, others=others)


def answering(asked, unable=""):
    """Stands for `attempts`: each item is answered with its own name, but for those that cannot be."""

    def attempts(job, folder, n, start, stratum):
        names = [item.problem.id for item in stratum.items]
        asked.extend(names)
        told = [Graded((), Attempt(0, one, "eos", Usage(1, 1)), Grade(0.0)) for one in names if one not in unable]
        if not told:
            raise NothingSampled("no item could be sampled")
        return [[one] for one in told]

    return attempts


def said_of(found):
    return [one.attempt.text for one in found]


@pytest.mark.parametrize("trainer", [grpo, multi_turn, score])
def test_shares_that_cannot_be_are_refused(tiny, tmp_path, trainer):
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(BadInput, match=rf"^replay is {share}; give a share from 0 to below 1$"):
            trainer(job(tiny, tmp_path), replay=share)
    told = r"^replay is 0\.5, and the task has no stratum beside 's'; set replay=0$"
    for others in ((), (Stratum("o", (), other().verifier),)):
        with pytest.raises(BadInput, match=told):
            trainer(job(tiny, tmp_path, others=others, is_rehearsal=True), replay=0.5)


def test_texts_that_do_not_fit_are_left_out_by_name_and_none_is_an_error(tiny, tmp_path):
    missed = []
    asked = given(tiny, tmp_path, failed=lambda *row: missed.append(row[:2]))
    keep_examples(kept(tmp_path), [TEXTS[0], Example(TEXTS[1].prompt, "b" * 600)])
    grpo(asked, replay=SHARE, **SETTINGS)
    assert missed == [(TOO_LONG, "o2")]
    keep_examples(kept(tmp_path), [Example(TEXTS[1].prompt, "b" * 600)])
    with pytest.raises(BadInput, match="no text to replay fits the model's 512 tokens"):
        grpo(replace(asked, out=tmp_path), replay=SHARE, **SETTINGS)


def test_a_training_with_replay_tells_what_it_has_learned_from(half, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_words(Path("two.toml"), strata=2)
    words = ("--task", "two.toml", "--stratum", "words", "--model", f"hf:{half}", "--out", "o", "--samples", "1")
    sets = ("steps=2", "n=2", "batch=4", "lora_rank=2", "replay=0.5")
    trueup(monkeypatch, "train", "grpo", *words, *(word for pair in sets for word in ("--set", pair)), "--json", code=0)
    card = json.loads(capsys.readouterr().out)
    replayed = card["data"]["replayed"]
    assert len(replayed) == ITEMS // 2 and all(name.startswith("words1-") for name in replayed)
    charges = list(read_charges(tmp_path / "o" / "ledger.sqlite"))
    said = [c.reply for c in charges if c.kind == "sampled" and c.stratum == "words1"]
    assert len(said) == ITEMS // 2 and {one.target for one in read_examples(kept(tmp_path / "o"))} == set(said)
    assert card["gradient_tokens"] == sum(c.completion_tokens for c in charges if c.kind == "trained")
    assert not verify(tmp_path / "o" / "ledger.sqlite").discrepancies
    assert card["figures"]["replay_loss"] > 0
    again = ("--set", "replay=0.5", "--set", "steps=1", "--set", "n=2", "--set", "batch=4")
    trueup(monkeypatch, "train", "grpo", "--task", "words.jsonl", *words[4:], "--out", "alone", *again, code=2)
    assert "the task has no stratum beside 'words'; set replay=0" in capsys.readouterr().err
