"""Online trainers on TRL, held to explicit formulas on tiny random models.

These tests are also the watch on TRL's private methods that `train/real/online.py` stands on.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_trl
import torch
from safetensors.torch import load_file
from tiny import byte_tokenizer, save_tiny
from tiny_trl import RECIPE, STOPS, asking, job, steps_of, stratum
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from trueup.core.errors import AskFailed, BadInput, Unavailable, UnknownName
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem, Sampling
from trueup.methods.revise import ask_again
from trueup.models.huggingface.vocabulary import Vocabulary
from trueup.train.card import FLAT, notes_of
from trueup.train.control_tokens import Modes, find_modes
from trueup.train.job import Passes, Progress
from trueup.train.losses.degrpo import balanced_alpha, degrpo_loss, degrpo_token_loss
from trueup.train.losses.policy import (
    constant_mean,
    dapo_loss,
    dr_grpo_loss,
    group_advantage,
    grpo_loss,
    kl_k3,
    sequence_mean,
    token_mean,
)  # fmt: skip
from trueup.train.losses.score import of_turn, stage_one_loss, stage_two_loss
from trueup.train.network import merged
from trueup.train.profiles import PROFILES, Split, find_profile, require, sharding_file, split_batch
from trueup.train.real import degrpo, grpo, multi_turn, score
from trueup.train.real.draw import Draw
from trueup.train.real.episodes import Episode, Record, Turn, ended, request_after, second_context
from trueup.train.real.figures import figures_of
from trueup.train.real.grading import Grader
from trueup.train.real.modes import by_mode, mode_figures, mode_reward, token_weights
from trueup.train.real.objectives import each_turn, in_stages
from trueup.train.real.online import OnlineTrainer
from trueup.train.real.passes import Size, Ways, passes
from trueup.train.real.quiet import quiet
from trueup.train.real.run import build, run
from trueup.verifiers.exact import exact

TESTS = Path(__file__).parent
LIMIT, ALPHA, BETA2 = 6, 0.07, 0.7
PROMPT = (Message("user", "?"),)
MODES: dict[str, Any] = {"think_reward": 0.5, "wrong_reward": -1.0, "divide_by_std": False}
EACH = pytest.mark.parametrize(("rank", "rows"), [(0, 4), (0, 8), (2, 4)], ids=["full", "full at once", "lora"])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("trl") / "model", 3, sharpness=0.2, max_position_embeddings=512)


@pytest.fixture(scope="module")
def taught(tiny, tmp_path_factory):
    """The same model, which begins with `a` or `b` as if it had been taught to."""
    folder = tmp_path_factory.mktemp("trl") / "taught"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    with torch.no_grad():
        last_H = model.model(torch.tensor([vocabulary_of(tokenizer).ids(PROMPT)])).last_hidden_state[0, -1]
        for token in tokenizer("ab")["input_ids"]:
            model.lm_head.weight[token] += 8 * last_H / last_H.square().sum()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def kept_objects():
    """Trainers collect garbage when they end; what the packages hold need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def same(step, *, tolerance=2e-6):
    assert max(float(one.abs().max()) for one in step.wanted) > 1e-3, "nothing to compare"
    for found, wanted in zip(step.found, step.wanted, strict=True):
        torch.testing.assert_close(found, wanted, atol=tolerance, rtol=1e-4)


def unbiased_kl(step):
    """TRL's estimate: k3 by the ratio of the policies, which is 1 but has a gradient."""
    return kl_k3(step.logp_BT, step.reference_logp_BT) * (step.logp_BT - step.old).exp()


@pytest.mark.parametrize(
    ("norm", "rank", "rows"), [("sequence", 0, 8), ("sequence", 2, 4), ("token", 0, 4), ("constant", 2, 4)]
)
def test_one_turn_is_our_policy_loss_and_a_kl_in_each_average(tiny, tmp_path, rank, rows, norm):
    loss, mean = {
        "sequence": (grpo_loss, sequence_mean),
        "token": (partial(dapo_loss, clip_high=0.2), token_mean),
        "constant": (partial(dr_grpo_loss, length=LIMIT), partial(constant_mean, length=LIMIT)),
    }[norm]

    def formula(step):
        advantage_B1 = group_advantage(step.rewards(0), divide_by_std=True).reshape(-1, 1)
        policy = loss(step.logp_BT, step.old, advantage_B1, step.mask)
        return policy + RECIPE.beta * mean(unbiased_kl(step), step.mask)

    recipe = replace(RECIPE, lora_rank=rank, norm=norm)
    make = each_turn(1, divide_by_std=True)
    (step,), trainer = steps_of(job(tiny, tmp_path, rows=rows), recipe, lambda _: make, formula)
    assert len({len(episode.tokens) for episode in step.episodes}) > 2, "lengths must differ for the average to matter"
    same(step)
    assert trainer.told["loss"] == pytest.approx(step.loss, abs=1e-5)


def test_without_unbiased_kl_grpos_own_estimate_is_differentiated(tiny, tmp_path):
    def formula(step):
        advantage_B1 = group_advantage(step.rewards(0)).reshape(-1, 1)
        kl = sequence_mean(kl_k3(step.logp_BT, step.reference_logp_BT), step.mask)
        return grpo_loss(step.logp_BT, step.old, advantage_B1, step.mask) + RECIPE.beta * kl

    make = each_turn(1, divide_by_std=False)
    (step,), trainer = steps_of(job(tiny, tmp_path), replace(RECIPE, unbiased_kl=False), lambda _: make, formula)
    same(step)
    assert trainer.told["loss"] == pytest.approx(step.loss, abs=1e-5)


@EACH
def test_a_second_update_is_clipped_against_the_policy_that_sampled(tiny, tmp_path, rank, rows):
    sampled = []

    def formula(step):
        sampled.append(step.old)
        old_BT = sampled[0]
        advantage_B1 = group_advantage(step.rewards(0)).reshape(-1, 1)
        kl_BT = kl_k3(step.logp_BT, step.reference_logp_BT) * (step.logp_BT - old_BT).exp()
        policy = grpo_loss(step.logp_BT, old_BT, advantage_B1, step.mask)
        return policy + RECIPE.beta * sequence_mean(kl_BT, step.mask)

    recipe = replace(RECIPE, lora_rank=rank, updates=2, lr=2e-2)
    booked = []
    asked = job(tiny, tmp_path, rows=rows, charge=booked.append)
    steps, trainer = steps_of(asked, recipe, lambda _: each_turn(1, divide_by_std=False), formula, formula)
    for step in steps:
        same(step, tolerance=1e-5)
    assert trainer.told["clip_ratio"] > 0, "the clip must have bound something"
    kinds = [one.kind for one in booked]
    assert sorted(kinds) == ["check", "old_policy", "prefill", "reference", "sampled", "trained", "trained"]


@pytest.mark.parametrize("rank", [0, 2], ids=["full", "lora"])
@pytest.mark.parametrize("trainer", [grpo, multi_turn, score, degrpo])
def test_the_reference_is_the_base_whatever_was_learned(tiny, taught, tmp_path, monkeypatch, trainer, rank):
    """The log-probabilities that a later step is held by, beside those of the base loaded apart."""
    steps, compute = [], OnlineTrainer._compute_loss

    def kept(self, model, inputs):
        loss = compute(self, model, inputs)
        steps.append((self.state.global_step, inputs))
        return loss

    monkeypatch.setattr(OnlineTrainer, "_compute_loss", kept)
    has_modes = trainer is degrpo
    base, modes = (taught, {"think": "a", "short": "b"}) if has_modes else (tiny, {})
    asked = job(base, tmp_path, stratum=stratum(stop=STOPS[2:] if has_modes else STOPS))
    trainer(asked, steps=2, n=4, batch=8, lr=0.02, beta=0.5, lora_rank=rank, random_reward=True, **modes)
    network = AutoModelForCausalLM.from_pretrained(base)
    last = [inputs for step, inputs in steps if step == 1]
    for inputs in last:
        found_BT, mask_BT = inputs["ref_per_token_logps"], inputs["turn_BT"] > 0
        base_BT = logp_of(network, inputs)
        torch.testing.assert_close(found_BT[mask_BT], base_BT[mask_BT], atol=1e-5, rtol=1e-5)
        moved_BT = logp_of(learned(base, tmp_path), inputs)
        assert float((moved_BT - base_BT)[mask_BT].abs().max()) > 1e-2, "what was learned must be seen"


def logp_of(network, inputs):
    """The log-probability of each completion token, a row at a time without its padding; axes BT."""
    logp_BT = torch.zeros(inputs["completion_ids"].shape)
    for row, (prompt, is_prompt, said, is_said) in enumerate(
        zip(*(inputs[f"{part}_{kind}"] for part in ("prompt", "completion") for kind in ("ids", "mask")), strict=True)
    ):
        prompt, said = prompt[is_prompt.bool()], said[is_said.bool()]
        with torch.no_grad():
            logits_TV = network(input_ids=torch.cat([prompt, said])[None]).logits[0, len(prompt) - 1 : -1]
        logp_BT[row, : len(said)] = logits_TV.log_softmax(-1).gather(1, said[:, None])[:, 0]
    return logp_BT


def learned(base, out):
    """The network that a training has left."""
    return merged(out / "adapter" if (out / "adapter").exists() else out / "model")[0]


@EACH
def test_score_is_the_papers_two_stages_against_one_reference(tiny, tmp_path, rank, rows):
    """TRL's value has the ratio of the policies where the paper has log p, which has the same gradient."""
    values = []

    def held(step, loss, advantage_BK, **betas):
        paper, ratio = (
            loss(said_BT, advantage_BK, unbiased_kl(step), step.turn_BT, beta1=RECIPE.beta, **betas) / LIMIT
            for said_BT in (step.logp_BT, (step.logp_BT - step.old).exp())
        )
        values.append(ratio.item())
        return paper

    def first_stage(step):
        second_B = group_advantage(step.rewards(1)).reshape(-1)
        return held(step, stage_one_loss, torch.stack([torch.zeros(8), second_B], 1), beta2=BETA2)

    def second_stage(step):
        credited = (step.rewards(0), 11 * step.rewards(1) - 10 * step.rewards(0))
        return held(step, stage_two_loss, torch.stack([group_advantage(one_PG).reshape(-1) for one_PG in credited], 1))

    recipe = replace(RECIPE, lora_rank=rank, norm="constant")
    make = in_stages(1, alpha=10.0, beta2=BETA2, divide_by_std=False)
    told: list[Progress] = []
    asked = job(tiny, tmp_path, rows=rows, watch=told.append)
    steps, trainer = steps_of(asked, recipe, lambda _: make, first_stage, second_stage)
    for step in steps:
        same(step, tolerance=1e-5)
    assert [one.figures["loss"] for one in told] == pytest.approx(values, abs=1e-5)
    assert min(map(abs, values)) > 1e-2, "nothing to compare"
    assert "ref" not in getattr(trainer.model, "peft_config", {}), "the reference must be the base, not a copy"


@pytest.mark.parametrize(("norm", "rows"), [("sequence", 8), ("token", 4)])
def test_the_anchor_is_averaged_as_the_rest_of_the_loss(tiny, tmp_path, rows, norm):
    loss, mean = {"sequence": (grpo_loss, sequence_mean), "token": (dapo_loss, token_mean)}[norm]

    def formula(step):
        advantage_BK = torch.stack([torch.zeros(8), group_advantage(step.rewards(1)).reshape(-1)], 1)
        policy = loss(step.logp_BT, step.old, of_turn(advantage_BK, step.turn_BT), step.mask)
        kl_BT = unbiased_kl(step)
        anchor = mean(torch.where(step.turn_BT == 1, kl_BT, 0.0), step.mask)
        return policy + RECIPE.beta * mean(kl_BT, step.mask) + BETA2 * anchor

    make = in_stages(1, alpha=10.0, beta2=BETA2, divide_by_std=False)
    (step,), trainer = steps_of(job(tiny, tmp_path, rows=rows), replace(RECIPE, norm=norm), lambda _: make, formula)
    same(step)
    assert trainer.told["loss"] == pytest.approx(step.loss, abs=1e-5)


@pytest.mark.parametrize(
    ("average", "rank", "rows"),
    [("paper", 0, 8), ("paper", 2, 4), ("reference_code", 0, 4), ("reference_code", 2, 8), ("grpo", 2, 4)],
)
def test_degrpo_is_a_weight_on_advantages(taught, tmp_path, rank, rows, average):
    loss = {
        "paper": partial(degrpo_loss, alpha=ALPHA),
        "reference_code": partial(degrpo_token_loss, alpha=ALPHA),
        "grpo": grpo_loss,
    }[average]

    def formula(step):
        advantage_B1 = group_advantage(step.rewards(0)).reshape(-1, 1)
        policy = loss(step.logp_BT, step.old, advantage_B1, step.mask)
        return policy + RECIPE.beta * sequence_mean(unbiased_kl(step), step.mask)

    find = partial(find_modes, prompt=PROMPT, think="a", short="b")
    make = by_mode(find, **MODES, alpha=ALPHA, average=average)
    asked = job(taught, tmp_path, rows=rows, stratum=stratum(stop=STOPS[2:]))
    (step,), trainer = steps_of(asked, replace(RECIPE, lora_rank=rank), make, formula)
    same(step)
    assert trainer.told["loss"] == pytest.approx(step.loss, abs=1e-5)


def vocabulary_of(tokenizer):
    return Vocabulary(tokenizer, frozenset({tokenizer.eos_token_id}), len(tokenizer), template="", name="tiny")


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """A launched training in one process that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    tiny_trl.main(str(tiny), str(folder), "cpu")
    return folder


def child(command, **given):
    env = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=env, cwd=TESTS, capture_output=True, text=True, timeout=600, **given)


def weights_of(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def charges_of(folder):
    return (folder / "charges.txt").read_text().splitlines()


def test_a_killed_run_goes_on_to_the_same_bytes_and_books_the_same(tiny, whole, tmp_path):
    ended = child([sys.executable, "-m", "tiny_trl", str(tiny), str(tmp_path), "cpu", "3"])
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    kept = tmp_path / "checkpoints" / "online"
    shutil.copytree(kept / "checkpoint-2", kept / "checkpoint-3", ignore=lambda *_: ["whole", "trainer_state.json"])
    tiny_trl.main(str(tiny), str(tmp_path), "cpu")
    assert not (kept / "checkpoint-3").exists(), "half a checkpoint is no checkpoint"
    for name, weight in weights_of(whole).items():
        assert torch.equal(weights_of(tmp_path)[name], weight), name
    told = charges_of(tmp_path)
    assert set(told) == set(charges_of(whole)), "a step told twice must be told alike"
    assert sum(", 3," in line for line in told) == 2 * sum(", 3," in line for line in charges_of(whole))
    before = weights_of(tmp_path)
    tiny_trl.main(str(tiny), str(tmp_path), "cpu")
    assert charges_of(tmp_path) == told, "what is done is not done again"
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(tmp_path).items())


def test_a_run_that_was_done_tells_its_last_figures_and_notes_again(tiny, tmp_path):
    """Of a checkpoint without figures what TRL told, and the groups."""
    asked = job(tiny, tmp_path, stratum=Stratum("s", stratum().items, exact(pattern="(never)")))

    def told():
        shutil.rmtree(tmp_path / "adapter", ignore_errors=True)
        return grpo(asked, steps=2, n=4, batch=8, lora_rank=2, save_every=2).figures

    first = told()
    assert notes_of(first, is_guarded=True) == [FLAT] and {"reward", "right", "length", "flat"} < set(first)
    assert [*told().items()] == [*first.items()]
    state = tmp_path / "checkpoints" / "online" / "checkpoint-2" / "trainer_state.json"
    table = json.loads(state.read_text())
    for row in table["log_history"]:
        del row["figures"]
    state.write_text(json.dumps(table))
    kept = ("loss", "grad_norm", "kl", "entropy", "clip_ratio", "groups", "flat_groups")
    assert told() == {name: first[name] for name in kept}


def test_two_processes_train_what_one_does(tiny, whole, tmp_path):
    profile = find_profile("torchrun-2")
    ended = child(profile.command([str(tiny), str(tmp_path), profile.name], module="tiny_trl"))
    assert ended.returncode == 0, ended.stderr[-2000:]
    for name, weight in weights_of(whole).items():
        torch.testing.assert_close(weights_of(tmp_path)[name], weight, atol=1e-5, rtol=1e-3)
    assert charges_of(tmp_path) == charges_of(whole), "both processes' tokens are booked, once"


def test_a_launcher_that_starts_too_few_processes_is_an_error(tiny, tmp_path):
    asked = job(tiny, tmp_path, profile="torchrun-2")
    with pytest.raises(BadInput, match="has 2 processes, but 1 run; start it by `trueup train --profile torchrun-2`"):
        grpo(asked, steps=1, n=4, batch=8)


# what a step is made of


def test_a_token_is_drawn_from_the_policy_and_only_its_own_dice_matter():
    logits_V = torch.tensor([1.0, 0.0, 2.0, -1.0])
    draw, names = Draw(temperature=0.7), [str(place) for place in range(4000)]
    draw.begin(names)
    drawn = draw(torch.zeros(4000, 1), logits_V.expand(4000, -1)).argmax(-1)
    share_V = drawn.bincount(minlength=4) / 4000
    torch.testing.assert_close(share_V, (logits_V / 0.7).softmax(-1), atol=0.025, rtol=0)
    draw.begin(names[17:18])
    assert draw(torch.zeros(1, 1), logits_V[None]).argmax(-1) == drawn[17]
    draw.begin(names[:2])
    first, second = (draw(torch.zeros(2, 1), logits_V.expand(2, -1)).argmax(-1) for _ in range(2))
    assert first.tolist() == drawn[:2].tolist(), "the same names draw the same"
    assert not torch.equal(second, first) or not torch.equal(draw(torch.zeros(2, 1), logits_V.expand(2, -1)), second)


PENALTIES: dict[str, Any] = {
    "no_repeat_ngram_size": 1, "repetition_penalty": 1.5, "min_length": 2, "bad_words_ids": [[98], [99, 100]],
    "suppress_tokens": [101, 102], "temperature": 0.1, "top_k": 2, "do_sample": True,
}  # fmt: skip


def penalized(tiny, folder):
    """The model with settings for sampling that its policy knows nothing of, and another end."""
    file = shutil.copytree(tiny, folder) / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | PENALTIES | {"eos_token_id": [257, 103]}))
    return folder


@pytest.mark.parametrize("rank", [0, 2], ids=["full", "lora"])
def test_nothing_that_a_folder_sets_for_sampling_stands_between_the_policy_and_a_token(tiny, tmp_path, rank):
    """The ends of a text do: there it is cut."""
    folder, said = penalized(tiny, tmp_path / "model"), []
    for model in (tiny, folder):
        with quiet():
            asked = job(model, tmp_path / "o", stratum=stratum(max_tokens=60, stop=()))
            trainer = build(asked, replace(RECIPE, lora_rank=rank), lambda _: each_turn(1, divide_by_std=False))
            said.append([episode.turns[0].ids for episode in trainer.rollout([0] * 8)])
    bare, found = said
    assert any(len(set(ids)) < len(ids) for ids in bare)
    cut = [ids[: ids.index(103) + 1] if 103 in ids else ids for ids in bare]
    assert found == cut and cut != bare


def test_what_a_folder_sets_for_sampling_is_saved_with_its_weights(tiny, tmp_path):
    folder = penalized(tiny, tmp_path / "model")
    grpo(job(folder, tmp_path / "o"), steps=1, n=4, batch=4, lora_rank=0, random_reward=True)
    saved = json.loads((tmp_path / "o" / "model" / "generation_config.json").read_text())
    assert {**PENALTIES, "eos_token_id": [257, 103]}.items() <= saved.items()


def test_the_second_turn_stands_behind_the_very_prompt_that_revise_asks():
    tokenizer = byte_tokenizer()
    vocabulary = vocabulary_of(tokenizer)
    prompt = (Message("system", "Sums."), Message("user", "1 + 1 ="))
    first = ended(vocabulary.ids(prompt), tokenizer("two")["input_ids"], (), vocabulary)
    context = second_context(first, request_after(prompt, vocabulary), vocabulary.ends)
    assert list(context) == vocabulary.ids(ask_again(prompt, "two"))


def test_an_end_that_was_sampled_is_not_written_a_second_time():
    turn = Turn((1, 2), (7, 9), "x", 0, is_clipped=False)
    assert second_context(turn, (9, 3), frozenset({9})) == (1, 2, 7, 9, 3)
    assert second_context(replace(turn, ids=(7, 8)), (9, 3), frozenset({9})) == (1, 2, 7, 8, 9, 3)


@pytest.mark.parametrize(
    ("text", "end", "told", "kept", "cut", "is_clipped"),
    [
        ("one\ntwo", False, "one", 4, 3, False),
        ("one", True, "one", 4, 0, False),
        ("one", False, "one", 3, 0, True),
        ("one\n", True, "one", 4, 0, False),
    ],
    ids=["stop inside", "end of turn", "limit", "filled behind a stop"],
)
def test_a_turn_ends_where_a_study_would_end_it(text, end, told, kept, cut, is_clipped):
    tokenizer = byte_tokenizer()
    ids = tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] * end
    turn = ended((5,), ids, ("\n",), vocabulary_of(tokenizer))
    assert (turn.text, len(turn.ids), turn.cut, turn.is_clipped) == (told, kept, cut, is_clipped)


def test_rewards_are_what_the_strata_verifier_says_or_a_coin():
    kept = stratum()
    grader = Grader(kept.verifier, kept.items, is_random=False)
    assert [grader.is_right(0, text, "") for text in ("xe", "ex", "", "17")] == [True, False, False, False]
    coin = Grader(kept.verifier, kept.items, is_random=True)
    tossed = [coin.is_right(0, text, str(name)) for name in range(400) for text in ("xe", "ex")]
    assert tossed[::2] == tossed[1::2], "a coin does not read"
    assert 150 < sum(tossed[::2]) < 250


def test_a_verifier_that_breaks_stops_the_training_with_its_item():
    class Broken:
        name, needs_reference = "broken", False

        def read(self, text):
            raise ZeroDivisionError("no")

    with pytest.raises(AskFailed, match=r"verifier 'broken' broke on 'a text' \(item 'p1'\): ZeroDivisionError: no"):
        Grader(Broken(), stratum().items, is_random=False).is_right(0, "a text", "")


def test_the_turn_that_a_prompt_has_begun_is_read_with_the_text():
    begun = Problem("p", "s", (Message("user", "?"), Message("assistant", "e")), Sampling())
    grader = Grader(stratum().verifier, (Item(begun, "e", "p"),), is_random=False)
    assert grader.is_right(0, "", "")


SIGNS = [(0, 0, 0.0, 0.0), (0, 1, 0.0, 11.0), (1, 0, 1.0, -10.0), (1, 1, 1.0, 1.0)]


def test_scores_bonus_never_rewards_a_wrong_first_turn():
    """The papers' second stage at alpha 10; the group's mean is what is left out."""
    make = in_stages(1, alpha=10.0, beta2=0.1, divide_by_std=False)
    reward_PGK = torch.tensor([[one[:2] for one in SIGNS]], dtype=torch.float)
    wanted_GK = torch.tensor([one[2:] for one in SIGNS])
    torch.testing.assert_close(make.credit(reward_PGK, 1)[0], wanted_GK - wanted_GK.mean(0))
    first_GK = torch.tensor([[0.0, one[1]] for one in SIGNS])
    torch.testing.assert_close(make.credit(reward_PGK, 0)[0], first_GK - first_GK.mean(0))
    assert (make.anchor(0), make.anchor(1)) == (0.1, 0.0)


# modes


def test_a_mode_is_rewarded_as_the_released_code_does():
    reward = mode_reward(Modes(7, 8, ("t", "s")), think_reward=0.5, wrong_reward=-1.0)
    turns = {first: (Turn((1,), (first, 2), "", 0, is_clipped=False),) for first in (7, 8, 9)}
    told = {
        (first, right): reward(Episode(0, turn), [right])[0] for first, turn in turns.items() for right in (True, False)
    }
    assert told == {(7, True): 0.5, (8, True): 1.0, (9, True): -1.0} | {(first, False): -1.0 for first in (7, 8, 9)}


@pytest.mark.parametrize("first", [7, 8, 9], ids=["think", "short", "no mode"])
def test_a_random_reward_knows_nothing_of_the_mode(first):
    find, by_coin = lambda _: Modes(7, 8, ("t", "s")), {"by_coin": True, "alpha": ALPHA, "average": "paper"}
    make = by_mode(find, **MODES, **by_coin)(None)
    episode = Episode(0, (Turn((1,), (first, 2), "", 0, is_clipped=False),))
    assert [make.reward(episode, [tossed]) for tossed in (True, False)] == [(1.0,), (-1.0,)]
    assert not {"right_think", "right_short"} & set(make.figures([record(7, 9), record(8, 3)]))


def record(first: int, length: int, *, right: bool = True) -> Record:
    return Record((3,), (length,), (0,), (False,), (right,), (0.0,), 3 + length, first)


def test_mode_weights_by_hand():
    records = [record(7, 4), record(8, 1)]
    mask_BT = torch.tensor([[True] * 4, [True, False, False, False]])
    paper = token_weights(Modes(7, 8, ("t", "s")), alpha=0.1, average="paper")(mask_BT, records)
    torch.testing.assert_close(paper[0], torch.tensor([0.4, 4 / 3, 4 / 3, 4 / 3]))
    assert paper[1, 0].item() == pytest.approx(0.1)
    code = token_weights(Modes(7, 8, ("t", "s")), alpha=0.1, average="reference_code")(mask_BT, records)
    torch.testing.assert_close(code[0], torch.tensor([0.4, 8 / 3, 8 / 3, 8 / 3]))
    vanilla = token_weights(Modes(7, 8, ("t", "s")), alpha=0.1, average="grpo")(mask_BT, records)
    assert vanilla.tolist() == [[1.0] * 4] * 2, "no token is weighed apart"


def test_mode_figures_say_how_often_how_right_and_how_long():
    told = mode_figures([record(7, 9), record(7, 5, right=False), record(8, 3), record(1, 2)], Modes(7, 8, ("t", "s")))
    assert told == {
        "think_rate": 0.5, "short_rate": 0.25, "right_think": 0.5, "length_think": 7.0, "right_short": 1.0,
        "length_short": 3.0, "alpha_even": balanced_alpha(2, 6),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("think", "short", "template", "told"),
    [
        ("ab", "b", None, "'ab' is 2 tokens of this model"),
        ("a", "a", None, "think and short are both 'a'"),
        ("a", "b", "{{ messages[0].content }}a\n", "the chat template writes 'a' itself"),
    ],
)
def test_modes_that_cannot_be_told_apart_are_refused(think, short, template, told):
    tokenizer = byte_tokenizer(template) if template else byte_tokenizer()
    with pytest.raises(BadInput, match=told):
        find_modes(vocabulary_of(tokenizer), PROMPT, think=think, short=short)


def test_degrpo_tells_how_often_each_mode_is_chosen(taught, tmp_path):
    asked = job(taught, tmp_path, rows=16, stratum=stratum(stop=STOPS[2:]))
    figures = degrpo(asked, steps=1, n=8, batch=16, lora_rank=2, think="a", short="b", alpha=ALPHA).figures
    assert min(figures["think_rate"], figures["short_rate"]) > 0
    assert figures["think_rate"] + figures["short_rate"] > 0.5, "it was taught both, and little else"
    assert 0 < figures["alpha_even"] <= 1
    assert figures["reward"] == pytest.approx(-1.0), "no text of a random model is right"


def test_degrpos_random_reward_is_a_coins_in_every_mode(taught, tmp_path):
    asked = job(taught, tmp_path, rows=16, stratum=stratum(stop=STOPS[2:]))
    given = {"steps": 1, "n": 8, "batch": 16, "lora_rank": 2, "think": "a", "short": "b", "random_reward": True}
    told = degrpo(asked, **given, wrong_reward=-0.5).figures
    assert "right" not in told and "right_think" not in told
    heads = (told["reward"] + 0.5) / 1.5 * 16
    assert 0 < round(heads) < 16 and heads == pytest.approx(round(heads)), "each earns 1 or -0.5"


def test_a_model_that_knows_no_mode_is_sent_to_its_warm_up_first(tiny, tmp_path):
    with pytest.raises(
        BadInput, match=r"none of 4 attempts began with '\\x00' or '\\x01'; teach the model both by warm_up"
    ):
        degrpo(job(tiny, tmp_path), steps=1, n=4, batch=4, lora_rank=2, think="\x00", short="\x01", temperature=0.01)


# what is booked and told


def test_flops_of_a_step_by_hand():
    """N = 1000 of which 10 are trained, 2 layers of width 4; one attempt of 3 tokens behind 5, one of 2 behind 5."""
    size, ways = Size(1000, 10, 2, 4), Ways(samples=True, reference=True, old_policy=False, recompute=False)
    records = [
        Record((5,), (3,), (0,), (False,), (True,), (1.0,), 8, 0),
        Record((5,), (2,), (1,), (False,), (False,), (0.0,), 7, 0),
    ]
    told = {one.kind: one for one in passes(4, records, size, ways, {"sampled": 2.0, "check": 0.5})}
    reach = 2 * 4
    prefill = 2 * 1000 * 5 + 2 * reach * 25
    assert told["prefill"] == Passes("prefill", 4, 10, 0, 2 * prefill, 0.0)
    decode = [2 * 1000 * kept + 4 * reach * 5 * kept + 2 * reach * kept**2 for kept in (3, 2)]
    assert told["sampled"] == Passes("sampled", 4, 0, 5, sum(decode), 2.0)
    assert told["discarded"] == Passes("discarded", 4, 0, 1, 2 * 1000 + 4 * reach * 7 + 2 * reach, 0.0)
    base = [2 * 990 * tokens + 2 * reach * tokens**2 for tokens in (8, 7)]
    assert told["reference"] == Passes("reference", 4, 10, 5, sum(base), 0.0)
    lora = [(4 * 1000 + 2 * 10) * tokens + 3 * 2 * reach * tokens**2 for tokens in (8, 7)]
    assert told["trained"] == Passes("trained", 4, 10, 5, sum(lora), 0.0)
    assert told["check"] == Passes("check", 4, 0, 0, 0, 0.5)
    full = Size(1000, 1000, 2, 4)
    assert full.training(8, recompute=False) == 3 * full.forward(8)
    assert full.training(8, recompute=True) == 4 * full.forward(8)


def test_a_further_update_on_a_batch_books_its_training_alone():
    (one,) = passes(2, [record(7, 4)], Size(10, 10, 1, 1), Ways(False, True, True, recompute=False), {})
    assert (one.kind, one.prompt_tokens, one.completion_tokens) == ("trained", 3, 4)


def test_a_shared_prompt_is_read_once_and_an_old_policy_is_booked():
    records = [Record((5, 9), (3, 2), (0, 0), (False,) * 2, (True,) * 2, (1.0,) * 2, 11, 0)] * 4
    ways = Ways(samples=True, reference=False, old_policy=True, recompute=False, shared_prompt=4)
    told = {one.kind: one for one in passes(1, records, Size(10, 10, 1, 1), ways, {})}
    assert told["prefill"].prompt_tokens == 5 + 4 * 9
    assert (told["old_policy"].prompt_tokens, told["old_policy"].completion_tokens) == (4 * 6, 4 * 5)
    assert "reference" not in told
    assert "discarded" not in told


def test_every_token_of_a_run_is_booked_as_counted_by_hand(tiny, tmp_path):
    """Every text is cut at 6 tokens; a prompt is as long as its question, and a second one holds the request."""
    booked: list[Passes] = []
    told: list[Progress] = []
    asked = job(tiny, tmp_path, stratum=stratum(stop=()), charge=booked.append, watch=told.append)
    multi_turn(asked, steps=2, n=4, batch=8, lora_rank=2, beta=0.1, temperature=0.2)
    vocabulary = vocabulary_of(AutoTokenizer.from_pretrained(tiny))
    request = len(request_after(PROMPT, vocabulary))
    assert all((one.figures["clipped"], one.figures["length2"]) == (1.0, 6.0) for one in told)
    per_step = {step: {one.kind: one for one in booked if one.step == step} for step in (1, 2)}
    assert list(per_step) == [one.step for one in told] == [1, 2]
    prompts = 0
    for kinds in per_step.values():
        assert kinds["sampled"].completion_tokens == 2 * 8 * 6
        assert kinds["trained"].completion_tokens == kinds["reference"].completion_tokens == 2 * 8 * 6
        first = (kinds["prefill"].prompt_tokens - 8 * (6 + request)) // 2
        assert kinds["trained"].prompt_tokens == kinds["reference"].prompt_tokens == first + 8 * request
        assert all(one.seconds > 0 for kind, one in kinds.items() if kind != "check")
        prompts += first
    lengths = [len(vocabulary.ids(item.problem.prompt)) for item in asked.stratum.items]
    assert prompts % 4 == 0
    assert prompts // 4 in {sum(lengths) - left for left in lengths}, "four of the five items, n times each"


def test_figures_of_two_turns_say_what_changed():
    rights = [(False, True), (True, False), (True, True), (False, False)]
    records = [
        Record((3,) * 2, (2, 4), (0, 0), (True, False), right, tuple(map(float, right)), 9, 0, edited=place < 2)
        for place, right in enumerate(rights)
    ]
    credit_PGK = torch.tensor(rights).float().view(2, 2, 2)
    told = figures_of(records, {"loss": 0.5, "kl": None, "step_time": 3.0}, credit_PGK)
    assert told == {
        "loss": 0.5, "reward": 0.5, "right": 0.5, "length": 2.0, "clipped": 1.0, "reward2": 0.5, "right2": 0.5,
        "length2": 4.0, "clipped2": 0.0, "flat": 0.0, "edited": 0.5, "mended": 0.25, "spoilt": 0.25,
    }  # fmt: skip
    by_coin = figures_of(records, {"loss": 0.5}, credit_PGK, by_coin=True)
    assert by_coin == {key: told[key] for key in told if key not in ("right", "right2", "mended", "spoilt")}


@pytest.mark.parametrize(
    ("rights", "alpha", "flat"),
    [
        ([(0, 1), (1, 1)], 10.0, (1.0, 0.0)),
        ([(0, 0), (0, 1)], 10.0, (0.0, 0.0)),
        ([(1, 0), (1, 0)], 10.0, (1.0, 1.0)),
        ([(0, 1), (1, 1)], 0.0, (1.0, 0.0)),
    ],
    ids=["first turns differ", "second turns differ", "none differ", "no bonus"],
)
def test_a_group_is_flat_where_nothing_that_its_stage_credits_differs(rights, alpha, flat):
    make = in_stages(1, alpha=alpha, beta2=0.1, divide_by_std=False)
    reward_PGK = torch.tensor([rights], dtype=torch.float)
    told = [figures_of([record(0, 1)], {}, make.credit(reward_PGK, step))["flat"] for step in (0, 1)]
    assert told == list(flat)


def test_groups_that_stage_one_learns_nothing_from_are_counted(tiny, tmp_path):
    """Every first turn is a coin's, every second is right."""
    make = in_stages(1, alpha=10.0, beta2=BETA2, divide_by_std=False)
    make = replace(make, reward=lambda episode, rights: (float(rights[0]), 1.0))
    told: list[Progress] = []
    run(job(tiny, tmp_path, watch=told.append), "score", replace(RECIPE, steps=2), lambda _: make, {})
    assert [(one.figures["flat"], one.figures["flat_groups"]) for one in told] == [(1.0, 2.0), (0.0, 2.0)]


def test_nothing_of_the_packages_underneath_is_said(tiny, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._telemetry.get_session", None)
    grpo(job(tiny, tmp_path), steps=1, n=4, batch=4, lora_rank=2)
    assert capfd.readouterr() == ("", "")


def test_learning_brings_what_is_rewarded(taught, tmp_path):
    """`a` is right from here on, `b` is not; both were as likely."""
    told: list[Progress] = []
    items = tuple(replace(item, reference="a") for item in stratum(max_tokens=1, stop=()).items)
    right = Stratum("s", items, exact(pattern="([a-z])"))
    asked = job(taught, tmp_path, rows=16, stratum=right, watch=told.append)
    grpo(asked, steps=10, n=8, batch=16, lora_rank=0, lr=1e-2, beta=0.0)
    rights = [one.figures["right"] for one in told]
    assert sum(rights[-3:]) / 3 > sum(rights[:3]) / 3 + 0.3, rights


# settings and places


def test_a_step_is_cut_for_the_place_and_stays_the_same_step():
    assert split_batch(PROFILES["cpu"], batch=32, n=8) == Split(4, 8)
    assert split_batch(PROFILES["gpu"], batch=32, n=8) == Split(16, 2)
    assert split_batch(PROFILES["torchrun-2"], batch=32, n=8) == Split(4, 4)
    assert split_batch(PROFILES["fsdp2"], batch=48, n=8) == Split(6, 1)
    for profile in PROFILES.values():
        split = split_batch(profile, batch=64, n=8)
        assert split.rows * split.accumulation * profile.processes == 64


def test_rows_that_need_much_memory_are_trained_on_fewer_at_a_time():
    cpu = PROFILES["cpu"]
    rows = {mb: split_batch(cpu, batch=32, n=8, row_bytes=mb * 1_000_000).rows for mb in (0, 225, 226, 388, 2000)}
    assert rows == {0: 4, 225: 4, 226: 2, 388: 2, 2000: 1}
    assert split_batch(PROFILES["gpu"], batch=32, n=8, row_bytes=2_000_000_000).rows == 16


@pytest.mark.parametrize(
    ("name", "batch", "n", "told"),
    [
        ("cpu", 10, 4, "batch 10 is no multiple of n = 4; set batch=8"),
        ("cpu", 8, 1, "n is 1; a group needs at least 2"),
        (
            "fsdp2",
            36,
            6,
            "batch 36 does not divide over the 8 processes of profile 'fsdp2'; set batch to a multiple of 24",
        ),
    ],
)
def test_a_step_that_cannot_be_cut_is_refused(name, batch, n, told):
    with pytest.raises(BadInput, match=told):
        split_batch(find_profile(name), batch=batch, n=n)


def test_profiles_are_found_by_name_and_number():
    assert (find_profile("torchrun-4").processes, find_profile("fsdp2-2").sharding) == (4, "fsdp2")
    assert find_profile("zero3+vllm-16").vllm
    assert (find_profile("gpu-2").gpus, find_profile("gpu-2").launcher, PROFILES["gpu"].launcher) == (2, "torchrun", "")
    for name in ("tpu", "torchrun-1", "gpu-1"):
        with pytest.raises(UnknownName, match="unknown profile"):
            find_profile(name)
    if torch.cuda.device_count() < 2:
        with pytest.raises(Unavailable, match="needs 2 GPUs, this machine has"):
            require(find_profile("fsdp2-2"))


def test_profiles_start_the_whole_command_in_every_process():
    assert find_profile("cpu").command(["train", "x"])[1:] == ["-m", "trueup", "train", "x"]
    words = find_profile("torchrun-2").command(["train"])
    assert words[1:] == [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "trueup",
        "train",
    ]
    assert find_profile("gpu-2").command(["train"]) == words
    assert find_profile("gpu-2").placement() == find_profile("gpu").placement()
    words = find_profile("zero3+vllm-4").command(["train"])
    assert words[words.index("--num_processes") + 1] == "4"
    assert words[-3:] == ["-m", "trueup", "train"]


def test_sharded_profiles_name_a_configuration_that_accelerate_reads():
    from accelerate.commands.config.config_args import load_config_from_file

    fsdp, zero = (
        load_config_from_file(str(sharding_file(PROFILES[name].sharding))) for name in ("fsdp2", "zero3+vllm")
    )
    assert (str(fsdp.distributed_type.value), fsdp.fsdp_config["fsdp_version"]) == ("FSDP", 2)
    assert (str(zero.distributed_type.value), zero.deepspeed_config["zero_stage"]) == ("DEEPSPEED", 3)
    assert (fsdp.mixed_precision, zero.mixed_precision) == ("bf16", "bf16")


def test_a_place_says_nothing_of_the_method():
    told = {name: profile.placement() for name, profile in PROFILES.items()}
    assert {frozenset(one) for one in told.values()} == {frozenset(told["cpu"])}
    assert told["cpu"]["use_cpu"] and not told["cpu"]["bf16"] and told["cpu"]["ddp_backend"] is None
    assert told["torchrun-2"]["ddp_backend"] == "gloo"
    assert told["zero3+vllm"]["use_vllm"] and told["zero3+vllm"]["vllm_mode"] == "server"
    assert told["gpu"]["bf16"] and told["gpu"]["activation_checkpointing"]
    names = {field.name for field in fields(GRPOConfig)}
    assert set(told["cpu"]) <= names


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"norm": "batch"}, "norm is 'batch'; it takes sequence, token, constant"),
        ({"steps": 0}, "steps is 0; it must be above 0"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"beta": -1.0}, "must not be below 0"),
        ({"beta": float("nan")}, "must not be below 0"),
        ({"lr": 1e30}, r"lr is 1e\+30; give a learning rate above 0 and below 1"),
        ({"lr": float("nan")}, "lr is nan; it must be above 0"),
        ({"steps": 3, "updates": 2}, "steps 3 is no multiple of updates = 2"),
        ({"batch": 6}, "batch 6 is no multiple of n = 8"),
    ],
)
def test_settings_that_cannot_be_are_refused(tiny, tmp_path, settings, told):
    with pytest.raises(BadInput, match=told):
        grpo(job(tiny, tmp_path), **settings)


def test_score_needs_a_reference_and_a_share_for_its_first_stage(tiny, tmp_path):
    with pytest.raises(BadInput, match=r"beta is 0\.0; Stage I holds the first turn to the base"):
        score(job(tiny, tmp_path), beta=0.0)
    with pytest.raises(BadInput, match=r"stage_one_share is 1\.0"):
        score(job(tiny, tmp_path), stage_one_share=1.0)


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({"steps": 10, "stage_one_share": 0.96}, 9),
        ({"steps": 10, "stage_one_share": 0.01}, 1),
        ({"steps": 4, "stage_one_share": 0.7, "updates": 2}, 2),
        ({"steps": 10}, 5),
        ({"steps": 1, "stage_one": False}, 0),
    ],
)
def test_either_stage_of_score_has_a_batch_of_its_own(tiny, tmp_path, monkeypatch, settings, first):
    kept = []
    monkeypatch.setattr("trueup.train.real.run.run", lambda job, name, recipe, make, settings: kept.append(make(None)))
    score(job(tiny, tmp_path), **settings)
    held = [step for step in range(settings["steps"]) if kept[0].anchor(step)]
    assert held == list(range(first))


@pytest.mark.parametrize(
    ("trainer", "settings", "told"),
    [
        (score, {"steps": 1}, "steps is 1; two stages take at least 2, or set stage_one=false"),
        (score, {"steps": 2, "updates": 2}, "steps is 2; two stages take at least 4, or set stage_one=false"),
        (score, {"beta2": -5.0}, r"beta2 is -5\.0; give a weight of 0 or more"),
        (score, {"alpha": -1.0}, r"alpha is -1\.0; give a weight of 0 or more"),
        (score, {"alpha": float("nan")}, "alpha is nan; give a weight of 0 or more"),
        (
            degrpo,
            {"think_reward": -7.0},
            r"think_reward is -7\.0, for a right answer; give more than wrong_reward -1\.0",
        ),
        (degrpo, {"wrong_reward": 1.0}, r"wrong_reward is 1\.0; a right short answer earns 1, so give less"),
        (degrpo, {"wrong_reward": 0.5}, r"think_reward is 0\.5, for a right answer; give more than wrong_reward 0\.5"),
        (degrpo, {"alpha": float("nan")}, "alpha nan and probe 4 must not be below 0"),
    ],
)
def test_weights_that_turn_a_method_round_are_refused(tiny, tmp_path, trainer, settings, told):
    with pytest.raises(BadInput, match=told):
        trainer(job(tiny, tmp_path), **settings)


def test_turns_that_may_not_fit_the_context_are_refused(tiny, tmp_path):
    asked = job(tiny, tmp_path, stratum=stratum(max_tokens=250))
    with pytest.raises(BadInput, match=r"2 turns at item 'p1' may take \d+ tokens, the model's context has 512"):
        multi_turn(asked, n=4, batch=8)


def test_a_grammar_and_mixed_limits_are_refused(tiny, tmp_path):
    kept = stratum()
    problem = replace(kept.items[0].problem, sampling=Sampling(grammar="start: /a/"))
    with pytest.raises(BadInput, match="is sampled under a grammar"):
        grpo(job(tiny, tmp_path, stratum=Stratum("s", (replace(kept.items[0], problem=problem),), kept.verifier)))
    problem = replace(problem, sampling=Sampling(max_tokens=7))
    mixed = (kept.items[0], replace(kept.items[1], problem=problem))
    with pytest.raises(BadInput, match="differ in max_tokens or stop"):
        grpo(job(tiny, tmp_path, stratum=Stratum("s", mixed, kept.verifier)))


def test_checkpoints_of_another_run_are_refused(tiny, tmp_path, whole):
    shutil.copytree(whole, tmp_path / "out")
    again = job(tiny, tmp_path / "out")
    with pytest.raises(BadInput, match=r"holds checkpoints of a run with alpha=10\.0; choose another --out"):
        score(again, alpha=3.0, random_reward=True, **tiny_trl.LAUNCHED)
    with pytest.raises(BadInput, match="with trainer 'score', not 'grpo'"):
        grpo(again)


# what goes wrong


def test_groups_that_all_earn_the_same_are_counted_and_teach_nothing(tiny, tmp_path):
    """No text of six tokens is a sixth `e`; without a KL nothing is left to learn from."""
    asked = job(tiny, tmp_path, stratum=Stratum("s", stratum().items, exact(pattern="(never)")))
    figures = grpo(asked, steps=2, n=4, batch=8, lora_rank=2, beta=0.0, lr=0.1).figures
    assert (figures["flat"], figures["right"], figures["loss"], figures["grad_norm"]) == (1.0, 0.0, 0.0, 0.0)
    learned = [weight for name, weight in weights_of(tmp_path).items() if "lora_B" in name]
    assert learned and not any(weight.any() for weight in learned)


def test_a_loss_that_is_no_number_stops_before_the_checkpoint(tiny, tmp_path):
    def credit(reward_PGK, step):
        return torch.full_like(reward_PGK, float("nan") if step >= 2 else 1.0)

    recipe, told = replace(RECIPE, steps=5, save_every=1), []
    make = replace(each_turn(1, divide_by_std=False), credit=credit)
    with pytest.raises(BadInput, match=r"^loss of step 3 is nan; set a lower lr .*; checkpoint-2 is kept$"):
        run(job(tiny, tmp_path, watch=told.append), "grpo", recipe, lambda _: make, {})
    assert [one.step for one in told] == [1, 2, 3]
    assert not (tmp_path / "adapter").exists()
    names = sorted(path.name for path in (tmp_path / "checkpoints" / "online").glob("checkpoint-*"))
    assert names == ["checkpoint-1", "checkpoint-2"]
    for file in (tmp_path / "checkpoints").rglob("adapter_model.safetensors"):
        assert all(weight.isfinite().all() for weight in load_file(file).values())


def test_broken_weights_are_one_line(tiny, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny)
    with torch.no_grad():
        model.lm_head.weight[7] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "broken")
    with pytest.raises(BadInput, match=r"of step 1 is nan; .* look for broken weights; no checkpoint was kept yet$"):
        grpo(job(tmp_path / "broken", tmp_path / "out"), steps=2, n=4, batch=8, lora_rank=2)


def test_a_run_without_memory_or_disk_says_so_and_goes_on_to_the_same_bytes(tiny, whole, tmp_path):
    """At its third step; first memory, then files of half an adapter at most, then of one and a half: Adam's is two."""
    size = (whole / "adapter" / "adapter_model.safetensors").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def train(ruin):
        with asking(tmp_path / "ledger.sqlite") as ask:
            asked = job(tiny, tmp_path, ask=ask, watch=lambda progress: ruin() if progress.step == 3 else None)
            score(asked, random_reward=True, **tiny_trl.LAUNCHED)

    memory = r"^out of memory in training \(.*\); set a smaller batch or max_tokens; checkpoint-2 is kept$"
    with pytest.raises(Unavailable, match=memory):
        train(lambda: torch.empty(1 << 52))
    for limit in (size // 2, 3 * size // 2):
        disk = r"^cannot write under '.*' \(.*\); make room on the disk and run again: checkpoint-2 is kept$"
        try:
            with pytest.raises(Unavailable, match=disk):
                train(lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    train(lambda: None)
    assert all(torch.equal(weights_of(tmp_path)[name], weight) for name, weight in weights_of(whole).items())


def test_an_adapter_is_no_model_to_train_and_another_base_is_refused(tiny, taught, tmp_path, whole):
    with pytest.raises(BadInput, match="is an adapter; add it to its base first"):
        grpo(job(whole / "adapter", tmp_path))
    for name in ("checkpoints", "rounds"):
        shutil.copytree(whole / name, tmp_path / name)
    with pytest.raises(BadInput, match="holds checkpoints of a run with another model; choose another --out"):
        score(job(taught, tmp_path), random_reward=True, **tiny_trl.LAUNCHED)


def test_what_it_stands_on_in_trl_is_still_there():
    for name, wanted in {
        "_generate_single_turn": [
            "self",
            "prompt_ids",
            "images",
            "multimodal_fields",
            "num_generations",
            "has_tool_images",
        ],
        "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
        "_generate_and_score_completions": ["self", "inputs"],
        "_compute_loss": ["self", "model", "inputs"],
    }.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == wanted
