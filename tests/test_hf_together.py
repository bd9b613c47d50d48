"""Prompts that the transformers engine reads together: each is answered and charged as it is alone."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from trueup.cli.pipeline import lanes_for
from trueup.core.errors import BadForm, BadInput
from trueup.core.ledger import Ledger
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Sampling
from trueup.run import Clerk, Job, run_jobs
from trueup.verifiers import exact

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

import terminal
import torch
import transformers
from tiny import CHAT, save_scaled, save_tiny
from toys import PRICES, item
from transformers import LlamaForCausalLM

from trueup.models.huggingface import HuggingFace
from trueup.models.huggingface.decode import Pace, sample_from
from trueup.models.huggingface.draft import Ask
from trueup.models.huggingface.network import Network
from trueup.models.proxy import ProxyTuned, proxy

Asks = Sequence[tuple[Any, ...]]
SHAPE = {"vocab_size": 258, "bos_token_id": 256, "eos_token_id": 257}
OF_LLAMA = SHAPE | {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT2": ("GPT2LMHeadModel", SHAPE | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "Bloom": ("BloomForCausalLM", SHAPE | {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "OPT": ("OPTForCausalLM", OF_LLAMA | {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "Llama": ("LlamaForCausalLM", OF_LLAMA),
    "GPTNeo": (
        "GPTNeoForCausalLM",
        SHAPE
        | {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 256}
        | {"attention_types": [[["global"], 2]]},
    ),
    "Mpt": ("MptForCausalLM", SHAPE | {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 256}),
    "Qwen2": ("Qwen2ForCausalLM", OF_LLAMA | {"vocab_size": 260}),
    "Gemma2": ("Gemma2ForCausalLM", OF_LLAMA | {"head_dim": 8, "sliding_window": 8}),
    "Mamba": ("MambaForCausalLM", SHAPE | {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
}
LETTERS = Sampling(max_tokens=6, grammar="start: /[a-z]{6}/", logprobs=True)
WRONG_FORM = Sampling(grammar="start: nowhere")


def say(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


ASKS: Asks = (
    (say("hi"), 3, 0, Sampling(max_tokens=12, logprobs=True)),
    (say("a longer question, of two clauses"), 1, 5, Sampling(0, max_tokens=20, logprobs=True)),
    (say("x" * 60), 4, 2, LETTERS),
    (say("hi"), 2, 3, Sampling(1.3, max_tokens=9, top_p=0.8, stop=("e", "t"), logprobs=True, seed=7)),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of one vocabulary, of which `chatty` has a longer template; and a base beside them."""
    home = tmp_path_factory.mktemp("tiny")
    save_tiny(home / "whole", 1)
    save_tiny(home / "chatty", 2, template=CHAT.replace("<s>{{", "<s>a word before {{", 1))
    save_tiny(home / "plain", 3)
    return home


def alone(model: Any, asks: Asks) -> list[Any]:
    """The replies of one engine to asks that wait for each other."""

    async def go() -> list[Any]:
        return [await model.sample(*ask) for ask in asks]

    return asyncio.run(go())


def together(model: Any, asks: Asks) -> list[Any]:
    """The replies, or errors, of one engine to asks that come at once, behind one that it is at work on."""

    async def go() -> list[Any]:
        first = asyncio.create_task(model.sample(say("first"), 1, 0, Sampling(max_tokens=30)))
        await asyncio.sleep(0)
        _, *replies = await asyncio.gather(first, *(model.sample(*ask) for ask in asks), return_exceptions=True)
        return replies

    return asyncio.run(go())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The passes of all networks: their rows, the tokens of each, and how many rows are padded."""
    seen: list[tuple[int, int, int]] = []
    read = Network.read

    def watched(self: Any, ids_BT: Any, cache: Any, padding_B: Any = ()) -> Any:
        seen.append((len(ids_BT), len(ids_BT[0]), sum(map(bool, padding_B))))
        return read(self, ids_BT, cache, padding_B)

    monkeypatch.setattr(Network, "read", watched)
    return seen


def loaded(folder: Path, passes: list[tuple[int, int, int]], **settings: int) -> HuggingFace:
    """A model whose trials are behind it."""
    model = HuggingFace(folder, **settings)
    model.load()
    passes.clear()
    return model


def assert_alike(ours: Sequence[Any], theirs: Sequence[Any]) -> None:
    """The same texts at the same use, log-probabilities up to rounding."""
    for own, other in zip(ours, theirs, strict=True):
        assert [(a.index, a.text, a.finish) for a in own.attempts] == [
            (a.index, a.text, a.finish) for a in other.attempts
        ]
        for name in ("logprob", "drawn_logprob"):
            told, true = ([getattr(a, name) for a in reply.attempts] for reply in (own, other))
            assert told == pytest.approx(true, abs=1e-4)
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "leads"):
            told, true = ([getattr(a.usage, name) for a in reply.attempts] for reply in (own, other))
            assert told == true


def test_prompts_read_together_are_answered_as_alone(home: Path, passes: list[tuple[int, int, int]]) -> None:
    """Of other lengths, settings and numbers of attempts; behind one pass over all of them."""
    theirs = alone(HuggingFace(home / "whole"), ASKS)
    passes.clear()
    ours = together(HuggingFace(home / "whole", prompts=4), ASKS)
    assert_alike(ours, theirs)
    longest = theirs[2].attempts[0].usage.prompt_tokens
    assert (4, longest, 3) in passes and [tokens for rows, tokens, _ in passes if rows == 4] == [longest]


@pytest.mark.parametrize("name", ["GPT2", "Bloom", "OPT", "Qwen2"])
def test_what_stands_behind_padding_is_read_as_alone_whatever_tells_places(tmp_path: Path, name: str) -> None:
    """Places that are learned, biases by distance, and rotations."""
    folder = save_family(tmp_path, name)
    assert_alike(together(HuggingFace(folder, prompts=4, rows=3), ASKS), alone(HuggingFace(folder, rows=3), ASKS))


@pytest.mark.parametrize("name", ["Gemma2", "Mamba"])
def test_a_model_that_padding_is_not_hidden_from_is_refused(tmp_path: Path, name: str) -> None:
    (told, *_) = together(HuggingFace(save_family(tmp_path, name), prompts=4), ASKS)
    assert isinstance(told, BadInput)
    assert str(told).endswith("does not read a text behind padding as it does alone; set prompts=1")


@pytest.mark.parametrize(("name", "dropped"), [("Llama", "attention_mask"), ("GPT2", "position_ids")])
def test_a_trial_tells_whether_padding_is_hidden(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dropped: str
) -> None:
    folder = home / "whole" if name == "Llama" else save_family(tmp_path, name)
    kind = LlamaForCausalLM if name == "Llama" else transformers.GPT2LMHeadModel
    forward = kind.forward

    def careless(self: Any, **given: Any) -> Any:
        return forward(self, **{key: value for key, value in given.items() if key != dropped})

    careless.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(kind, "forward", careless)
    told = together(HuggingFace(folder, prompts=4), ASKS)
    assert all(isinstance(one, BadInput) and "set prompts=1" in str(one) for one in told)


def test_a_trial_reads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that heeds places in prompts only is refused too."""
    forward = transformers.GPT2LMHeadModel.forward

    def careless(self: Any, **given: Any) -> Any:
        told = {key: value for key, value in given.items() if key != "position_ids"}
        return forward(self, **(told if given["input_ids"].shape[1] == 1 else given))

    careless.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(transformers.GPT2LMHeadModel, "forward", careless)
    with pytest.raises(BadInput, match="set prompts=1"):
        HuggingFace(save_family(tmp_path, "GPT2"), prompts=2).load()


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_places_that_follow_the_longest_text_of_a_pass_are_refused(tmp_path: Path, kind: str) -> None:
    told = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
    told |= {"short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0]} if kind == "longrope" else {}
    folder = save_tiny(tmp_path, 1, rope_parameters=told)
    with pytest.raises(BadInput, match="set prompts=1"):
        HuggingFace(folder, prompts=2).load()


def test_a_trial_fits_a_small_context(tmp_path: Path) -> None:
    assert HuggingFace(save_tiny(tmp_path, 1, max_position_embeddings=16), prompts=2).load()


def test_a_trial_without_memory_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Network.read

    def full(self: Any, ids_BT: Any, cache: Any, padding_B: Any = ()) -> Any:
        if any(padding_B):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(self, ids_BT, cache, padding_B)

    monkeypatch.setattr(Network, "read", full)
    with pytest.raises(BadInput, match=r"'whole' does not run on cpu \(CUDA out of memory\)"):
        HuggingFace(home / "whole", prompts=2).load()


def test_a_model_that_breaks_on_padding_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = LlamaForCausalLM.forward

    def brittle(self: Any, **given: Any) -> Any:
        if "attention_mask" in given:
            raise RuntimeError("The size of tensor a (3) must match the size of tensor b (21)")
        return forward(self, **given)

    brittle.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(LlamaForCausalLM, "forward", brittle)
    with pytest.raises(BadInput, match="set prompts=1"):
        HuggingFace(home / "whole", prompts=4).load()
    assert HuggingFace(home / "whole").load()


def save_family(folder: Path, name: str) -> Path:
    """A tiny model of a type."""
    kind, shape = FAMILIES[name]
    return save_scaled(folder, kind, f"{name}Config", shape, 4)


def test_more_attempts_than_rows_go_batch_by_batch(home: Path, passes: list[tuple[int, int, int]]) -> None:
    asks = [(say("ab"), 5, 0, LETTERS), (say("a question"), 2, 1, LETTERS)]
    ours = together(loaded(home / "whole", passes, prompts=2, rows=3), asks)
    assert_alike(ours, alone(HuggingFace(home / "whole", rows=3), asks))
    assert {rows for rows, tokens, _ in passes if tokens == 1} == {1, 3}


def test_attempts_at_several_prompts_share_the_rows_of_a_pass(home: Path, passes: list[tuple[int, int, int]]) -> None:
    """Six letters of each of eight need no more steps than six of one."""
    asks = [(say("q" * length), 1, 0, LETTERS) for length in range(8)]
    together(loaded(home / "whole", passes, prompts=8), asks)
    assert sum(tokens == 1 and padded > 0 for _, tokens, padded in passes) == 5


def test_no_more_prompts_are_read_together_than_are_allowed(home: Path, passes: list[tuple[int, int, int]]) -> None:
    asks = [(say("q" * length), 1, 0, LETTERS) for length in (9, 4, 7, 30, 1)]
    assert_alike(together(HuggingFace(home / "whole", prompts=2), asks), alone(HuggingFace(home / "whole"), asks))
    assert max(rows for rows, tokens, _ in passes if tokens > 25) == 2


@pytest.mark.parametrize("name", ["Llama", "GPT2", "GPTNeo", "Mpt"])
def test_a_text_ends_where_its_own_context_does(tmp_path: Path, name: str) -> None:
    """Whatever it was asked beside; and a row that has ended runs out of none while another goes on."""
    folder = save_family(tmp_path, name)
    endless = Sampling(max_tokens=250, grammar="start: /[a-z]{999,}/")
    letters = Sampling(max_tokens=150, grammar="start: /[a-z]{150}/")
    asks = [(say("x" * 230), 1, 0, endless), (say("x" * 190), 1, 0, LETTERS), (say("x"), 1, 0, letters)]
    ours = together(HuggingFace(folder, prompts=3, rows=3), asks)
    assert_alike(ours, alone(HuggingFace(folder, rows=3), asks))
    usage = ours[0].attempts[0].usage
    assert usage.prompt_tokens + usage.completion_tokens == 256 and len(ours[2].attempts[0].text) == 150


def test_prompts_that_fit_no_context_together_are_read_apart(home: Path, passes: list[tuple[int, int, int]]) -> None:
    """Each with those that it fits with."""
    lengths, endless = (230, 5, 200, 9), Sampling(max_tokens=60, grammar="start: /a{60}/")
    asks = [(say("x" * length), 1, 0, LETTERS if length > 100 else endless) for length in lengths]
    ours = together(loaded(home / "whole", passes, prompts=4), asks)
    assert_alike(ours, alone(HuggingFace(home / "whole"), asks))
    read = [reply.attempts[0].usage.prompt_tokens for reply in ours]
    assert {(2, read[0], 1), (2, read[3], 1)} <= set(passes)


def test_seconds_are_shared_by_tokens_but_for_those_of_finding_the_tokens(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves a second with every look: one to find each prompt's tokens, to read all, to write all."""
    model = HuggingFace(home / "whole", prompts=4)
    model.load()
    looks = itertools.count()
    monkeypatch.setattr("trueup.models.huggingface.decode.time.perf_counter", lambda: float(next(looks)))
    replies = sample_from(model.load(), [Ask(*ask) for ask in ASKS], Pace(8, 3))
    attempts = [reply.attempts for reply in replies if isinstance(reply, Sampled)]
    lengths = [own[0].usage.prompt_tokens for own in attempts]
    prefill = [3 * (1 + length / sum(lengths)) for length in lengths]
    assert [own[0].usage.prefill_seconds for own in attempts] == pytest.approx(prefill)
    tokens = sum(a.usage.completion_tokens for own in attempts for a in own)
    told = [a.usage.decode_seconds / a.usage.completion_tokens for own in attempts for a in own]
    assert told == pytest.approx([3 / tokens] * len(told))
    monkeypatch.setattr(Network, "read", out_of_memory)
    lost = sample_from(model.load(), [Ask(*ask) for ask in ASKS], Pace(8, 3))
    assert [reply.waste[0].seconds for reply in lost if isinstance(reply, Sampled)] == pytest.approx(prefill)


def out_of_memory(*_: Any) -> None:
    """What torch does where there is none left."""
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_one_that_cannot_be_read_or_kept_to_its_form_leaves_the_others_alone(home: Path) -> None:
    asks = [ASKS[0], (say("x" * 300), 1, 0, LETTERS), (say("hi"), 1, 0, WRONG_FORM), ASKS[2]]
    whole, refused, error, other = together(HuggingFace(home / "whole", prompts=4), asks)
    assert_alike([whole, other], alone(HuggingFace(home / "whole"), [ASKS[0], ASKS[2]]))
    assert refused.attempts == () and [(w.kind, w.prompt_tokens) for w in refused.waste] == [("refused", 0)]
    assert isinstance(error, BadForm) and "does not compile" in str(error)


def test_what_breaks_a_tokenizer_is_the_error_of_its_own_ask(home: Path) -> None:
    whole, error, other = together(
        HuggingFace(home / "whole", prompts=4), [ASKS[0], (say("\ud800"), 1, 0, LETTERS), ASKS[2]]
    )
    assert_alike([whole, other], alone(HuggingFace(home / "whole"), [ASKS[0], ASKS[2]]))
    assert isinstance(error, TypeError)


def test_logits_that_are_no_numbers_fail_their_own_row(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Network.read

    def spoilt(self: Any, ids_BT: Any, cache: Any, padding_B: Any = ()) -> Any:
        logits_BV = read(self, ids_BT, cache, padding_B).clone()
        if any(padding_B) and len(ids_BT) == 2 and len(ids_BT[0]) > 30:
            logits_BV[0] = math.nan
        return logits_BV

    monkeypatch.setattr(Network, "read", spoilt)
    lost, whole = together(HuggingFace(home / "whole", prompts=2), [ASKS[0], ASKS[2]])
    assert lost.attempts == () and "no numbers" in lost.waste[0].reason and lost.waste[0].kind == "failed"
    assert len(whole.attempts) == 4 and whole.waste == ()


@pytest.mark.parametrize("fails", [lambda rows, tokens: tokens > 40, lambda rows, tokens: (rows, tokens) == (8, 1)])
def test_a_pass_that_torch_gives_up_on_fails_all_that_are_in_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[[int, int], bool]
) -> None:
    """While prompts are read, or while the first tokens are; the next ask is answered."""
    read = Network.read
    armed = [True]

    def failing(self: Any, ids_BT: Any, cache: Any, padding_B: Any = ()) -> Any:
        if armed[0] and any(padding_B) and fails(len(ids_BT), len(ids_BT[0])):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(self, ids_BT, cache, padding_B)

    monkeypatch.setattr(Network, "read", failing)
    model = HuggingFace(home / "whole", prompts=4)
    for lost in together(model, ASKS):
        assert lost.attempts == () and {waste.kind for waste in lost.waste} == {"failed"}
        assert "set rows lower (and prompts, where it is set)" in lost.waste[0].reason and lost.waste[0].seconds > 0
    armed[0] = False
    assert_alike(together(model, ASKS), alone(HuggingFace(home / "whole"), ASKS))


def test_whoever_leaves_takes_nobody_along(home: Path, passes: list[tuple[int, int, int]]) -> None:
    """One that is being written tells what it used, one whose turn had not come nothing, and the third is answered."""
    endless = Sampling(max_tokens=10_000, grammar="start: /a{9999,}/")
    brief = Sampling(max_tokens=300, grammar="start: /b{300}/")

    async def go() -> tuple[Any, Any, Any]:
        model = HuggingFace(save_tiny(home / "long", 1, max_position_embeddings=20_000), prompts=2)
        await model.next_token(say("hi"))
        first = asyncio.create_task(model.sample(say("first"), 1, 0, brief))
        await asyncio.sleep(0.02)
        leaver, stayer, late = (asyncio.create_task(model.sample(say(t), 1, 0, s)) for t, s in
                                (("hello", endless), ("hi", brief), ("bye" * 9, brief)))  # fmt: skip
        await first
        await asyncio.sleep(0.05)
        late.cancel()
        leaver.cancel()
        await asyncio.sleep(0)
        leaver.cancel()
        told = await gone(leaver), await gone(late), await stayer
        assert (await model.sample(say("after"), 1, 0, brief)).attempts
        return told

    left, unbegun, reply = asyncio.run(go())
    (waste,) = left.args[0].waste
    assert waste.kind == "cancelled" and waste.prompt_tokens == 24
    assert waste.completion_tokens > 0
    assert unbegun.args == (Sampled(()),) and max(tokens for _, tokens, _ in passes) == 24
    assert len(reply.attempts[0].text) == 300


def test_whoever_has_left_did_so_whatever_becomes_of_the_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_left, read = threading.Event(), Network.read

    def failing(self: Any, ids_BT: Any, cache: Any, padding_B: Any = ()) -> Any:
        if has_left.is_set():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(self, ids_BT, cache, padding_B)

    monkeypatch.setattr(Network, "read", failing)
    long = Sampling(max_tokens=200, grammar="start: /b{200}/")
    asks = [Ask(say("a"), 1, 0, long, has_left.is_set), Ask(say("bb"), 1, 0, long)]
    model = HuggingFace(home / "whole", prompts=2)
    model.load()
    timer = threading.Timer(0.05, has_left.set)
    timer.start()
    kinds = [[w.kind for w in reply.waste] for reply in sample_from(model.load(), asks, Pace(2, 1))]  # type: ignore[union-attr]
    assert kinds == [["cancelled"], ["failed"]]


def test_a_cancelled_look_at_what_follows_waits_for_what_has_begun(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing is loaded into an engine that has been closed."""
    model, load = HuggingFace(home / "whole"), HuggingFace.load

    def slow(self: HuggingFace) -> Any:
        time.sleep(0.2)
        return load(self)

    monkeypatch.setattr(HuggingFace, "load", slow)

    async def go() -> None:
        look = asyncio.create_task(model.next_token(say("hi")))
        await asyncio.sleep(0.05)
        look.cancel()
        await gone(look)
        await model.close()

    asyncio.run(go())
    assert model._source is None


async def gone(task: asyncio.Task[Any]) -> asyncio.CancelledError:
    """The cancellation that a task ended with."""
    with pytest.raises(asyncio.CancelledError) as left:
        await task
    return left.value


def trio(home: Path, names: Sequence[str], alpha: float, prompts: int) -> ProxyTuned:
    return proxy(*(str(home / name) for name in names), alpha=alpha, prompts=prompts)


def test_three_models_pad_each_to_its_own_readings(home: Path, passes: list[tuple[int, int, int]]) -> None:
    """Of which two are longer; what they say together is what they say prompt by prompt."""
    names = ("whole", "chatty", "plain")
    theirs, model = alone(trio(home, names, 0.7, 1), ASKS), trio(home, names, 0.7, 4)
    asyncio.run(model.next_token(say("hi")))
    passes.clear()
    assert_alike(together(model, ASKS), theirs)
    longest = theirs[2].attempts[0].usage.prompt_tokens
    word = len("a word before ")
    assert [tokens for rows, tokens, _ in passes if rows == 4] == [longest - word, longest, longest - word]


def test_a_steered_text_has_the_room_behind_its_longest_reading(home: Path) -> None:
    endless = Sampling(max_tokens=250, grammar="start: /a{999,}/")
    asks = [(say("x" * length), 1, 0, endless) for length in (180, 3)]
    for reply in together(trio(home, ("whole", "chatty", "plain"), 0.7, 2), asks):
        usage = reply.attempts[0].usage
        assert usage.prompt_tokens + usage.completion_tokens == 256


@pytest.mark.parametrize(
    ("names", "alpha", "equal"),
    [
        (("whole", "chatty", "plain"), 0.0, "whole"),
        (("whole", "chatty", "chatty"), 2.5, "whole"),
        (("plain", "chatty", "plain"), 1.0, "chatty"),
    ],
)
def test_the_identities_of_steering_hold_for_prompts_read_together(
    home: Path, names: Sequence[str], alpha: float, equal: str
) -> None:
    ours = together(trio(home, names, alpha, 4), ASKS)
    theirs = together(HuggingFace(home / equal, prompts=4), ASKS)
    assert [[a.text for a in reply.attempts] for reply in ours] == [
        [a.text for a in reply.attempts] for reply in theirs
    ]
    if equal == "whole":
        assert [[a.logprob for a in r.attempts] for r in ours] == [[a.logprob for a in r.attempts] for r in theirs]


def test_a_study_of_prompts_read_together_has_the_rows_of_one_that_reads_them_alone(home: Path, tmp_path: Path) -> None:
    async def go(prompts: int) -> list[tuple[Any, ...]]:
        model = HuggingFace(home / "whole", prompts=prompts)
        with Ledger(tmp_path / f"{prompts}.sqlite") as ledger:
            jobs = (Job(Stratum("s", (), exact()), item("q" * length), 2) for length in range(1, 20))
            pools = [pool async for pool in run_jobs(jobs, Clerk(model, ledger, PRICES))]
            await model.close()
            told = [(p.item.problem.id, *((a.index, a.text) for a in p.attempts)) for p in pools]
            totals = [(t.kind, t.charges, t.prompt_tokens, t.completion_tokens) for t in ledger.totals()]
            return [*sorted(told), *sorted(totals)]

    assert asyncio.run(go(8)) == asyncio.run(go(1))


def test_a_study_has_twice_as_many_problems_in_hand_as_are_read_together(home: Path) -> None:
    """So that a full pass waits while one is under way, also where the machine's own cores are paid."""
    names = ("whole", "chatty", "plain")
    assert [lanes_for(HuggingFace(home / "whole", prompts=prompts).card) for prompts in (1, 2, 8)] == [1, 4, 16]
    assert [lanes_for(trio(home, names, 1.0, prompts).card) for prompts in (1, 8)] == [1, 16]
    assert lanes_for(HuggingFace(home / "whole", prompts=2, billing="gpu").card) == 64
    assert [lanes_for(HuggingFace(home / "whole", prompts=prompts).card, 10) for prompts in (1, 8)] == [1, 160]


def test_a_study_on_this_machines_cores_reads_full_passes(
    home: Path, tmp_path: Path, passes: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although each problem has several methods; but for the first, behind which none waits yet."""
    read = Network.read

    def as_slow_as_larger_ones(self: Any, ids_BT: Any, *rest: Any) -> Any:
        time.sleep(0.2 if len(ids_BT[0]) > 3 else 0)
        return read(self, ids_BT, *rest)

    monkeypatch.setattr(Network, "read", as_slow_as_larger_ones)
    rows = [{"id": str(n), "prompt": "q" * n, "reference": "1"} for n in range(1, 34)]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = ["--set", "model.prompts=8", "--set", "q.max_tokens=8"]
    words = [*settings, "--samples", 2, "--methods", "once,vote n=2,vote n=1"]
    terminal.in_folder(tmp_path, "study", "q.jsonl", "--model", f"hf:{home / 'whole'}", "--quiet", *words)
    trial, first, *read = [rows for rows, tokens, _ in passes if tokens > 3]
    assert (trial, first, sum(read)) == (2, 1, 32) and max(read) == 8 and len(read) <= 6


def test_prompts_are_a_setting_that_the_fingerprint_tells(home: Path) -> None:
    prints = {HuggingFace(home / "whole", prompts=prompts).card.fingerprint for prompts in (1, 2, 8)}
    assert len(prints) == 3 and HuggingFace(home / "whole").card.fingerprint in prints
    with pytest.raises(BadInput, match="hf prompts is 0; give at least 1"):
        HuggingFace(home / "whole", prompts=0)
    with pytest.raises(BadInput, match="prompts is 2, but with keep_cache they are read one by one; leave one of them"):
        HuggingFace(home / "whole", prompts=2, keep_cache=True)
