"""Prompts that the transformers engine reads together: each is answered and charged as it is alone."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from trueup.core.errors import BadForm, BadInput
from trueup.core.ledger import Ledger
from trueup.core.roles import Sampled
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Sampling
from trueup.run import Clerk, Job, run_jobs
from trueup.verifiers import exact

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

import torch
import transformers
from tiny import CHAT, byte_tokenizer, save_tiny
from toys import PRICES, item
from transformers import LlamaForCausalLM

from trueup.models.huggingface import HuggingFace
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
    """A tiny model of a type, its weights large enough for what it says to hang on what it reads."""
    torch.manual_seed(0)
    kind, shape = FAMILIES[name]
    model = getattr(transformers, kind)(getattr(transformers, f"{name}Config")(**shape))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def test_more_attempts_than_rows_go_batch_by_batch(home: Path, passes: list[tuple[int, int, int]]) -> None:
    asks = [(say("ab"), 5, 0, LETTERS), (say("a question"), 2, 1, LETTERS)]
    ours = together(HuggingFace(home / "whole", prompts=2, rows=3), asks)
    assert_alike(ours, alone(HuggingFace(home / "whole", rows=3), asks))
    assert {rows for rows, tokens, _ in passes if tokens == 1} == {1, 3}


def test_attempts_at_several_prompts_share_the_rows_of_a_pass(home: Path, passes: list[tuple[int, int, int]]) -> None:
    """Six letters of each of eight need no more steps than six of one."""
    asks = [(say("q" * length), 1, 0, LETTERS) for length in range(8)]
    together(HuggingFace(home / "whole", prompts=8), asks)
    assert sum(tokens == 1 and padded > 0 for _, tokens, padded in passes) == 5


def test_no_more_prompts_are_read_together_than_are_allowed(home: Path, passes: list[tuple[int, int, int]]) -> None:
    asks = [(say("q" * length), 1, 0, LETTERS) for length in (9, 4, 7, 30, 1)]
    assert_alike(together(HuggingFace(home / "whole", prompts=2), asks), alone(HuggingFace(home / "whole"), asks))
    assert max(rows for rows, tokens, _ in passes if tokens > 25) == 2


def test_a_text_ends_where_its_own_context_does(home: Path) -> None:
    """Padding takes no room from it."""
    endless = Sampling(max_tokens=250, grammar="start: /a{999,}/")
    asks = [(say("x" * 230), 1, 0, endless), (say("x"), 1, 0, endless)]
    for reply in together(HuggingFace(home / "whole", prompts=2), asks):
        usage = reply.attempts[0].usage
        assert reply.attempts[0].finish == "length" and usage.prompt_tokens + usage.completion_tokens == 256


def test_the_seconds_of_a_pass_are_shared_by_tokens(home: Path) -> None:
    ours = [reply.attempts for reply in together(HuggingFace(home / "whole", prompts=4), ASKS)]
    read = {attempts[0].usage.prefill_seconds / attempts[0].usage.prompt_tokens for attempts in ours}
    written = [a.usage.decode_seconds / a.usage.completion_tokens for attempts in ours for a in attempts]
    assert max(read) == pytest.approx(min(read)) and max(written) == pytest.approx(min(written)) and min(written) > 0


def test_one_that_cannot_be_read_or_kept_to_its_form_leaves_the_others_alone(home: Path) -> None:
    asks = [ASKS[0], (say("x" * 300), 1, 0, LETTERS), (say("hi"), 1, 0, WRONG_FORM), ASKS[2]]
    whole, refused, error, other = together(HuggingFace(home / "whole", prompts=4), asks)
    assert_alike([whole, other], alone(HuggingFace(home / "whole"), [ASKS[0], ASKS[2]]))
    assert refused.attempts == () and [(w.kind, w.prompt_tokens) for w in refused.waste] == [("refused", 0)]
    assert isinstance(error, BadForm) and "does not compile" in str(error)


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
        assert "set rows and prompts lower" in lost.waste[0].reason and lost.waste[0].seconds > 0
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
        told = await gone(leaver), await gone(late), await stayer
        assert (await model.sample(say("after"), 1, 0, brief)).attempts
        return told

    left, unbegun, reply = asyncio.run(go())
    (waste,) = left.args[0].waste
    assert waste.kind == "cancelled" and waste.prompt_tokens == 24
    assert waste.completion_tokens > 0
    assert unbegun.args == (Sampled(()),) and max(tokens for _, tokens, _ in passes) == 24
    assert len(reply.attempts[0].text) == 300


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
    theirs = alone(trio(home, names, 0.7, 1), ASKS)
    passes.clear()
    assert_alike(together(trio(home, names, 0.7, 4), ASKS), theirs)
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


def test_prompts_are_a_setting_that_the_fingerprint_tells(home: Path) -> None:
    prints = {HuggingFace(home / "whole", prompts=prompts).card.fingerprint for prompts in (1, 2, 8)}
    assert len(prints) == 3 and HuggingFace(home / "whole").card.fingerprint in prints
    with pytest.raises(BadInput, match="hf prompts is 0; give at least 1"):
        HuggingFace(home / "whole", prompts=0)
    with pytest.raises(BadInput, match="prompts is 2, but with keep_cache they are read one by one; leave one of them"):
        HuggingFace(home / "whole", prompts=2, keep_cache=True)
