"""Offline trainers: their loop against TRL's and against hand counts, killed and resumed, and what each learns from."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from tiny_trained import save_half

from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.methods.revise import REQUEST, ask_again
from trueup.models import HuggingFace
from trueup.train.ask import Graded
from trueup.train.job import Job
from trueup.train.losses.dpo import dpo_loss
from trueup.train.network import Trainee, load
from trueup.train.offline.loop import Course, fit, picks
from trueup.train.offline.mining import preferences
from trueup.train.offline.own import Trace, corrections, pairs, right_ones
from trueup.train.offline.references import written
from trueup.train.offline.supervised import supervised
from trueup.train.profiles import PROFILES
from trueup.train.texts import Example, batch_of, tokens_of
from trueup.verifiers import exact, function_call, number

dpo_file = import_module("trueup.train.offline.dpo")
ASKED = (Message("user", "problem 1"),)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


def trainee_of(folder, **settings):
    usual = {"device": "cpu", "dtype": "float32", "lora_rank": 0, "template": "", "seed": 0}
    return load(folder, **(usual | settings))


def texts_of(trainee, *targets):
    return [tokens_of(Example(ASKED, target), trainee.vocabulary, 256) for target in targets]


def job_of(folder, out, charges=None, watch=lambda progress: None):
    note = (lambda passes: None) if charges is None else charges.append
    return Job(folder, Stratum("words", (), exact()), out, PROFILES["cpu"], 0, note, watch)


def graded(text, right, prompt=ASKED, note="", index=0):
    return Graded(prompt, Attempt(index, text, "eos", Usage(1, 1), text), Grade(float(right), note=note))


# the texts


def test_a_text_begins_with_the_tokens_that_the_engine_samples_behind(half):
    trainee, engine = trainee_of(half), HuggingFace(half).load().network
    for prompt in (ASKED, ask_again(ASKED, "wrong"), (*ASKED, Message("assistant", "ri"))):
        text = tokens_of(Example(prompt, "ght"), trainee.vocabulary, 256)
        assert list(text.ids[: text.start]) == engine.fitting(prompt)
        assert trainee.vocabulary.text(text.ids[text.start : -1], text.ids[text.start - 1]) == "ght"
        assert text.ids[-1] == trainee.vocabulary.tokenizer.eos_token_id


def test_a_target_keeps_the_blanks_that_a_template_would_strip(half, tmp_path):
    stripping = "{% for m in messages %}<s>{{ m.role }}: {{ m.content | trim }}{% endfor %}<s>assistant: "
    (tmp_path / "t.jinja").write_text(stripping)
    trainee = trainee_of(half, template=str(tmp_path / "t.jinja"))
    text = tokens_of(Example(ASKED, "  two blanks"), trainee.vocabulary, 256)
    assert trainee.vocabulary.text(text.ids[text.start : -1], text.ids[text.start - 1]) == "  two blanks"


def test_a_batch_counts_targets_and_their_end_and_nothing_else(half):
    trainee = trainee_of(half)
    short, long = texts_of(trainee, "ab", "abcd")
    batch = batch_of([short, long], 0, trainee.device)
    assert batch.mask_BT.sum(-1).tolist() == [3, 5]
    assert batch.target_BT[0][batch.mask_BT[0]].tolist() == list(short.ids[short.start :])
    assert batch.attended_BT.sum(-1).tolist() == [len(short.ids), len(long.ids) - 1]


def test_a_reference_is_worded_so_that_its_verifier_takes_it():
    def item(reference):
        return Item(Problem("i", "s", ASKED), reference, "i")

    assert written(item("63"), number(), "1 + 62 = {reference}") == "1 + 62 = 63"
    assert written(item(63), number()) == "63"
    assert written(item("six"), number()) is None
    function = {
        "name": "area",
        "description": "",
        "parameters": {
            "type": "dict",
            "required": ["width"],
            "properties": {"width": {"type": "integer"}, "unit": {"type": "string"}},
        },
    }
    call = {"function": [function], "ground_truth": [{"area": {"width": [3, 4], "unit": ["", "cm"]}}]}
    assert json.loads(written(item(call), function_call())) == {"name": "area", "arguments": {"width": 3}}


# what is learned from


def test_corrections_are_second_turns_that_mend_and_with_plus_those_that_hold():
    again = ask_again(ASKED, "x")
    assert again[-1].content == REQUEST
    found = [
        Trace(graded("x", first), graded(f"{first}{second}", second, again))
        for first in (False, True)
        for second in (False, True)
    ]
    assert corrections(found, plus=False) == [Example(again, "FalseTrue")]
    assert corrections(found, plus=True) == [Example(again, "FalseTrue"), Example(again, "TrueTrue")]


def test_pairs_put_a_right_attempt_behind_every_wrong_one():
    item = [graded("a", False), graded("r1", True), graded("b", False), graded("r2", True), graded("c", False)]
    wrong = [Example(ask_again(ASKED, text), better) for text, better in (("a", "r1"), ("b", "r2"), ("c", "r1"))]
    assert pairs([item, [graded("d", False)]], plus=False) == wrong
    held = [Example(ask_again(ASKED, "r1"), "r2"), Example(ask_again(ASKED, "r2"), "r1")]
    assert pairs([item], plus=True) == wrong + held


def test_right_ones_are_taken_once_each_text():
    item = [graded("a", True), graded("a", True), graded("b", False), graded("c", True)]
    assert [example.target for example in right_ones([item])] == ["a", "c"]


def test_preferences_name_the_kind_of_error_and_leave_out_items_without_a_right_answer(tmp_path):
    items = tuple(Item(Problem(name, "words", ASKED), None, name) for name in "pq")
    stratum = Stratum("words", items, number())
    job = replace(job_of(tmp_path, tmp_path), stratum=stratum)
    both = [graded("1", True), graded("2", False, note="off by one"), graded("2", False), graded("3", False)]
    (first, second) = preferences(job, [(0, both), (1, [graded("2", False)])])
    assert (first.chosen, first.rejected, second.rejected, second.error) == ("1", "2", "3", "wrong")


# the loop


def test_every_text_is_picked_once_before_any_comes_again():
    steps = [place for step in range(5) for place in picks(10, 4, step, seed=3)]
    assert sorted(steps[:10]) == list(range(10)) and sorted(steps[10:]) == list(range(10))
    assert steps[:10] != steps[10:] != list(range(10))
    assert picks(10, 4, 2, seed=3) == picks(10, 4, 2, seed=3) != picks(10, 4, 2, seed=4)


def test_a_step_does_not_depend_on_how_many_rows_go_through_the_network_at_a_time(half, tmp_path):
    def trained(rows):
        trainee = trainee_of(half)
        job = replace(job_of(half, tmp_path), profile=replace(PROFILES["cpu"], rows=rows))
        course = Course(2, 3, 1e-3, 0, 0.5, 0.0, 10)
        texts = texts_of(trainee, "a", "bcdef", "gh")
        fit(job, trainee, texts, supervised(trainee, course, half), course, state=tmp_path / f"{rows}.pt")
        return torch.cat([weight.flatten() for weight in trainee.network.parameters()])

    torch.testing.assert_close(trained(1), trained(3), rtol=1e-4, atol=1e-6)


def test_the_distance_to_the_base_is_zero_at_the_base_and_an_adapter_finds_its_base_below_it(half, tmp_path):
    for rank in (0, 4):
        trainee = trainee_of(half, lora_rank=rank)
        objective = supervised(trainee, Course(1, 1, 0.1, rank, 1.0, 0.0, 1), half)
        part = objective.part(texts_of(trainee, "right"))
        assert part.figures["kl"] == pytest.approx(0, abs=1e-6)
        assert objective.asks_reference


def test_charges_are_the_tokens_and_flops_of_each_step_by_hand(half, tmp_path):
    charges, trainee = [], trainee_of(half)
    course = Course(2, 2, 1e-3, 0, 0.1, 0.0, 10)
    texts = texts_of(trainee, "ab", "abcd")
    fit(
        job_of(half, tmp_path, charges), trainee, texts, supervised(trainee, course, half), course, state=tmp_path / "s"
    )
    lengths, start = [len(text.ids) for text in texts], texts[0].start
    N, layers, d = trainee.card.parameters, 2, 16
    forward = sum(2 * N * T + 2 * layers * d * T**2 for T in lengths)
    assert [(c.kind, c.step, c.prompt_tokens, c.completion_tokens) for c in charges] == [
        (kind, step, 2 * start, 3 + 5) for step in (0, 1) for kind in ("trained", "reference")
    ]
    assert {c.flops for c in charges if c.kind == "trained"} == {3 * forward}
    assert {c.flops for c in charges if c.kind == "reference"} == {forward}


def test_an_adapter_costs_two_forward_passes_and_its_own_weights(half):
    trainee = trainee_of(half, lora_rank=2)
    N, layers, d, T = trainee.card.parameters, 2, 16, 10
    own = sum(weight.numel() for weight in trainee.weights)
    assert own < N
    forward = 2 * N * T + 2 * layers * d * T**2
    assert trainee.trained_flops([T]) == 2 * forward + 2 * layers * d * T**2 + 2 * own * T


def test_the_loss_and_its_gradient_are_those_of_trls_sft_trainer(half, tmp_path):
    trl, quiet = pytest.importorskip("trl"), pytest.importorskip("trueup.train.real.quiet").quiet
    datasets = pytest.importorskip("datasets")
    ours = trainee_of(half)
    texts = texts_of(ours, "right", "wrong answer", "r")
    rows = [{"input_ids": list(t.ids), "labels": [-100] * t.start + list(t.ids[t.start :])} for t in texts]
    with quiet():
        settings = {"use_cpu": True, "bf16": False, "report_to": "none", "max_length": None}
        args = trl.SFTConfig(tmp_path, dataset_kwargs={"skip_prepare_dataset": True}, **settings)
        tokenizer = ours.vocabulary.tokenizer
        tokenizer.pad_token = tokenizer.eos_token
        network = trainee_of(half).network
        trainer = trl.SFTTrainer(
            network, args, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer
        )
        theirs = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    theirs.backward()
    part = supervised(ours, Course(1, 3, 0.1, 0, 0.0, 0.0, 1), half).part(texts)
    part.loss.backward()
    torch.testing.assert_close(part.loss, theirs, rtol=1e-5, atol=1e-6)
    for a, b in zip(ours.network.parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


def test_the_loss_of_pairs_is_that_of_trls_dpo_trainer(half, tmp_path):
    trl, quiet = pytest.importorskip("trl"), pytest.importorskip("trueup.train.real.quiet").quiet
    datasets = pytest.importorskip("datasets")
    ours = trainee_of(half)
    chosen, rejected = texts_of(ours, "right", "yes"), texts_of(ours, "wrong", "no, never")
    rows = [
        {
            "prompt_ids": list(a.ids[: a.start]),
            "chosen_ids": list(a.ids[a.start :]),
            "rejected_ids": list(b.ids[b.start :]),
        }
        for a, b in zip(chosen, rejected, strict=True)
    ]
    policy = trainee_of(half)
    with torch.no_grad():
        for weight in policy.network.parameters():
            weight.mul_(1.01)
    with quiet():
        settings = {"use_cpu": True, "bf16": False, "report_to": "none", "max_length": None, "beta": 0.3}
        tokenizer = ours.vocabulary.tokenizer
        tokenizer.pad_token = tokenizer.eos_token
        words = [{"prompt": "p", "chosen": "a", "rejected": "b"}]
        trainer = trl.DPOTrainer(
            policy.network, trainee_of(half).network, trl.DPOConfig(tmp_path, **settings),
            train_dataset=datasets.Dataset.from_list(words), processing_class=tokenizer,
        )  # fmt: skip
        theirs = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    logp = [[untrained_logp(t, side) for side in (chosen, rejected)] for t in (ours, policy)]
    told = [dpo_file.Pair(a, b, float(x), float(y)) for a, b, x, y in zip(chosen, rejected, *logp[0], strict=True)]
    part = dpo_file.preferred(replace(policy, network=trainer.model), dpo_file.Taste(0.3, 0.0), half).part(told)
    torch.testing.assert_close(part.loss, theirs, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(dpo_loss(*logp[1], *logp[0], beta=0.3), theirs, rtol=1e-5, atol=1e-6)


def untrained_logp(trainee: Trainee, texts):
    with torch.no_grad():
        return dpo_file.text_logp(trainee, texts)


# killed and resumed


class Killed(Exception):
    """Stands for the end of a process."""


def test_a_killed_loop_goes_on_to_the_same_weights(half, tmp_path):
    course = Course(12, 2, 1e-3, 4, 0.0, 0.0, 5)

    def trained(out, watch=lambda progress: None):
        trainee = trainee_of(half, lora_rank=4)
        texts = texts_of(trainee, "a", "bc", "def")
        fit(
            job_of(half, out, None, watch),
            trainee,
            texts,
            supervised(trainee, course, half),
            course,
            state=out / "s.pt",
        )
        return torch.cat([weight.flatten() for weight in trainee.weights])

    def kill(progress):
        if progress.step == 8:
            raise Killed

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = trained(tmp_path / "a")
    with pytest.raises(Killed):
        trained(tmp_path / "b", kill)
    steps = []
    assert torch.equal(trained(tmp_path / "b", lambda progress: steps.append(progress.step)), whole)
    assert steps[0] == 6


def test_a_loop_that_was_done_tells_its_last_figures_again(half, tmp_path):
    """A state that knows of no figures tells none."""
    course, state = Course(4, 2, 1e-3, 2, 0.5, 0.0, 2), tmp_path / "s.pt"

    def told():
        trainee, steps = trainee_of(half, lora_rank=2), []
        texts, objective = texts_of(trainee, "a", "bc"), supervised(trainee, course, half)
        return fit(job_of(half, tmp_path, None, steps.append), trainee, texts, objective, course, state=state), steps

    first, _ = told()
    assert list(first) == ["loss", "kl", "grad_norm"] and told() == (first, [])
    table = torch.load(state, weights_only=True)
    torch.save({name: value for name, value in table.items() if name != "figures"}, state)
    assert told() == ({}, [])


def test_ctrl_c_ends_after_a_whole_step_that_is_kept(half, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    trainee, steps = trainee_of(half, lora_rank=2), []
    course = Course(9, 2, 1e-3, 2, 0.0, 0.0, 100)

    def interrupt(progress):
        steps.append(progress.step)
        if progress.step == 3:
            signal.raise_signal(signal.SIGINT)

    texts = texts_of(trainee, "a", "bc")
    with pytest.raises(KeyboardInterrupt):
        fit(
            job_of(half, tmp_path, None, interrupt), trainee, texts, supervised(trainee, course, half), course,
            state=tmp_path / "s.pt",
        )  # fmt: skip
    assert steps == [1, 2, 3] and torch.load(tmp_path / "s.pt")["step"] == 3
    assert signal.getsignal(signal.SIGINT) is before
