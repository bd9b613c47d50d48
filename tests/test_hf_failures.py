"""The transformers engine where something fails: the ask is on record, and the next one is answered."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trueup.core.errors import AskFailed, BadForm, BadInput
from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Message, Sampling
from trueup.run import Clerk, Job, run_jobs
from trueup.verifiers import exact

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

import torch
from tiny import byte_tokenizer, save_tiny
from toys import PRICES, item
from transformers import LlamaForCausalLM

from trueup.models.huggingface import HuggingFace
from trueup.models.proxy import ProxyTuned

HELLO = (Message("user", "hello"),)
THINK = (Message("user", "a <think> b"),)
LETTERS = Sampling(max_tokens=6, grammar="start: /[a-z]{6}/", logprobs=True)
FREE = Sampling(max_tokens=6)
ON_A_GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")
ON_A_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")
OTHER = RuntimeError("CUDA error: an illegal memory access was encountered")
Fails = Callable[[int, int], bool]
"""Of which pass, by its number and the tokens that it reads in a row."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of a tokenizer of 259; the embedding of `short` was never resized for its last one."""
    home, more = tmp_path_factory.mktemp("tiny"), ("<think>",)
    save_tiny(home / "whole", 1, extra=more)
    save_tiny(home / "other", 3, extra=more)
    byte_tokenizer(extra=more).save_pretrained(save_tiny(home / "short", 2))
    return home


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception, Fails], None]:
    """Has torch give up in some passes of every model."""

    def arm(error: Exception, fails: Fails) -> None:
        forward, passes = LlamaForCausalLM.forward, iter(range(10_000))

        def pass_or_fail(self: Any, **given: Any) -> Any:
            if fails(next(passes), given["input_ids"].shape[1]):
                raise error
            return forward(self, **given)

        pass_or_fail.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
        monkeypatch.setattr(LlamaForCausalLM, "forward", pass_or_fail)

    return arm


def steered(home: Path) -> ProxyTuned:
    return ProxyTuned(*(HuggingFace(home / name) for name in ("short", "whole", "other")))


def run(model: Any, *asks: tuple[Any, ...]) -> list[Any]:
    """The replies of one engine to these asks, in order."""

    async def go() -> list[Any]:
        return [await model.sample(*one) for one in asks]

    return asyncio.run(go())


@pytest.mark.parametrize("made", [lambda home: HuggingFace(home / "short"), steered], ids=["hf", "proxy"])
def test_a_token_without_a_row_in_the_embedding_is_refused_and_the_engine_goes_on(
    home: Path, made: Callable[[Path], Any]
) -> None:
    refused, answered = run(made(home), (THINK, 1, 0, FREE), (HELLO, 1, 0, FREE))
    assert refused.attempts == () and [waste.kind for waste in refused.waste] == ["refused"]
    told = refused.waste[0].reason
    assert "'<think>' (258) has no row in short's embedding of 258; call resize_token_embeddings" in told
    assert len(answered.attempts) == 1


def test_a_token_with_a_row_of_its_own_is_read(home: Path) -> None:
    (reply,) = run(HuggingFace(home / "whole"), (THINK, 1, 0, LETTERS))
    assert reply.attempts[0].usage.prompt_tokens == len("susera  bassistant: ") + 4


@pytest.mark.parametrize(
    ("error", "mend"),
    [(ON_A_GPU, "set rows lower"), (ON_A_CPU, "set rows lower"), (OTHER, "run it again")],
)
@pytest.mark.parametrize("made", [lambda home: HuggingFace(home / "whole"), steered], ids=["hf", "proxy"])
def test_a_prompt_that_torch_gives_up_on_is_a_failure_on_record(
    home: Path, failing: Callable[..., None], made: Callable[[Path], Any], error: Exception, mend: str
) -> None:
    failing(error, lambda _, tokens: tokens > 40)
    lost, answered = run(made(home), ((Message("user", "x" * 50),), 2, 0, FREE), (HELLO, 2, 0, FREE))
    assert lost.attempts == () and [waste.kind for waste in lost.waste] == ["failed"]
    assert mend in lost.waste[0].reason and "\n" not in lost.waste[0].reason
    assert (lost.waste[0].prompt_tokens, lost.waste[0].completion_tokens) == (None, None) and lost.waste[0].seconds > 0
    assert len(answered.attempts) == 2


@pytest.mark.parametrize(
    ("lost_pass", "came", "prompt_tokens", "tokens"), [(3, 0, 24, 1), (8, 1, 0, 1), (12, 1, 0, 5), (14, 2, 0, 2)]
)
def test_attempts_that_had_come_are_kept_and_the_tokens_of_the_one_that_failed_are_told(
    home: Path, failing: Callable[..., None], lost_pass: int, came: int, prompt_tokens: int, tokens: int
) -> None:
    """One row at a time, five passes each, behind the two that warm up and that of the prompt."""
    (whole,) = run(HuggingFace(home / "whole", rows=1), (HELLO, 4, 0, LETTERS))
    failing(ON_A_GPU, lambda place, _: place == lost_pass)
    (reply,) = run(HuggingFace(home / "whole", rows=1), (HELLO, 4, 0, LETTERS))
    assert [(a.text, a.logprob) for a in reply.attempts] == [(a.text, a.logprob) for a in whole.attempts[:came]]
    told = [(waste.kind, waste.prompt_tokens, waste.completion_tokens) for waste in reply.waste]
    assert told == [("failed", prompt_tokens, tokens)]


def test_a_batch_that_cannot_be_begun_is_on_record_without_a_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch has come when there is no room for the copy of the prompt that the second starts from."""
    from transformers import DynamicCache

    spread, calls = DynamicCache.reorder_cache, iter(range(99))

    def reorder(self: Any, order: Any) -> None:
        if next(calls) == 1:
            raise ON_A_GPU
        spread(self, order)

    monkeypatch.setattr(DynamicCache, "reorder_cache", reorder)
    (reply,) = run(HuggingFace(home / "whole", rows=2), (HELLO, 5, 0, LETTERS))
    assert [a.index for a in reply.attempts] == [0, 1]
    assert [(w.kind, w.prompt_tokens, w.completion_tokens) for w in reply.waste] == [("failed", 0, 0)]


@pytest.mark.parametrize("lost_pass", [2, 4, 8, 10])
def test_kept_conversations_are_sound_after_a_pass_that_failed(
    home: Path, failing: Callable[..., None], lost_pass: int
) -> None:
    """At the first prompt, at a step behind it, at a prompt that goes on from the cache, and at a step behind that."""
    onward = (*HELLO, Message("assistant", "ab"))
    asks = [(HELLO, 2, 0, LETTERS), (onward, 2, 0, LETTERS)]
    fresh = run(HuggingFace(home / "whole", rows=2), *asks)
    failing(ON_A_GPU, lambda place, _: place == lost_pass)
    kept = run(HuggingFace(home / "whole", rows=2, keep_cache=True), *asks, *asks)
    assert sum(bool(reply.waste) for reply in kept) == 1
    for reply, own in zip(kept, [*fresh, *fresh], strict=True):
        for told, true in zip(reply.attempts, own.attempts, strict=False):
            assert told.text == true.text and told.logprob == pytest.approx(true.logprob, abs=1e-5)


def test_a_study_goes_on_from_an_item_that_torch_gave_up_on(
    home: Path, tmp_path: Path, failing: Callable[..., None]
) -> None:
    failing(ON_A_GPU, lambda _, tokens: tokens > 40)

    async def go() -> tuple[list[Any], dict[str, Any]]:
        model = HuggingFace(home / "whole")
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            jobs = (Job(Stratum("s", (), exact()), item(name), 2) for name in ("short", "x" * 50, "brief"))
            outcomes = [outcome async for outcome in run_jobs(jobs, Clerk(model, ledger, PRICES))]
            await model.close()
            return outcomes, {total.kind: total for total in ledger.totals()}

    outcomes, totals = asyncio.run(go())
    (failure,) = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    assert "out of memory" in str(failure) and "set rows lower" in str(failure)
    assert (totals["sampled"].charges, totals["failed"].charges) == (4, 1)


@pytest.mark.parametrize("grammar", ['start: start "a"', 'root ::= root "a"', "start: A\nA: /a+/ & ~/a+/"])
def test_a_grammar_that_no_text_can_begin_by_is_refused_at_once(home: Path, grammar: str) -> None:
    with pytest.raises(BadForm, match=r"can begin no text: not even an empty text is of it; mend it") as caught:
        run(HuggingFace(home / "whole"), (HELLO, 1, 0, Sampling(grammar=grammar)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("grammar", ['start: ""', "start: /a*/"])
def test_a_grammar_of_the_empty_text_is_none_of_these(home: Path, grammar: str) -> None:
    (reply,) = run(HuggingFace(home / "whole"), (HELLO, 2, 0, Sampling(grammar=grammar, max_tokens=9)))
    assert len(reply.attempts) == 2 and all(set(a.text) <= {"a"} for a in reply.attempts)


@pytest.mark.parametrize(
    "grammar", ['start: "yes" item\nitem: item "x"', 'start: "yes" X\nX: /b/ & ~/b/', 'start: "yes" <[257]> "x"']
)
def test_a_text_outside_its_grammar_is_a_failure_and_never_an_answer(home: Path, grammar: str) -> None:
    """Where the rules come to a dead end, or to an end token that they go on behind, its tokens are charged."""
    (reply,) = run(HuggingFace(home / "whole"), (HELLO, 2, 0, Sampling(grammar=grammar)))
    assert reply.attempts == () and [(w.kind, w.completion_tokens) for w in reply.waste] == [("failed", 4)] * 2
    assert "ended where its schema or grammar allows no end" in reply.waste[0].reason


def test_attempts_that_meet_no_dead_end_come_beside_those_that_do(home: Path) -> None:
    sampling = Sampling(temperature=2.0, grammar='start: "a" dead | "b" | "c"\ndead: dead "x"')
    (reply,) = run(HuggingFace(home / "whole"), (HELLO, 40, 0, sampling))
    assert {(a.text, a.finish) for a in reply.attempts} == {("b", "eos"), ("c", "eos")}
    assert reply.waste and len(reply.attempts) + len(reply.waste) == 40


SMALLER = r"take a smaller model, another dtype or another device"


@pytest.mark.parametrize("place", ["to", "forward", "from_pretrained"])
def test_a_model_that_does_not_fit_is_told_in_one_line(home: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise ON_A_GPU

    full.__signature__ = inspect.signature(getattr(LlamaForCausalLM, place))  # type: ignore[attr-defined]
    monkeypatch.setattr(LlamaForCausalLM, place, full)
    with pytest.raises(BadInput, match=rf"^'whole' does not run on cpu \(CUDA out of memory.*\); {SMALLER}$") as told:
        HuggingFace(home / "whole").load()
    assert "\n" not in str(told.value)


def test_a_next_token_that_torch_gives_up_on_is_a_failed_ask(home: Path, failing: Any) -> None:
    failing(OTHER, lambda number, tokens: number >= 2)
    with pytest.raises(AskFailed, match=r"^torch gave up \(CUDA error: an illegal memory access.*\); run it again"):
        asyncio.run(HuggingFace(home / "whole").next_token(HELLO))


def test_weights_of_another_size_than_their_config_says_are_told_in_one_line(home: Path, tmp_path: Path) -> None:
    copy = save_tiny(tmp_path / "bent", 1, extra=("<think>",))
    config = copy / "config.json"
    config.write_text(config.read_text().replace('"intermediate_size": ', '"intermediate_size": 1'))
    with pytest.raises(BadInput, match=r"bent' cannot be loaded \(.*save model and tokenizer there again$") as told:
        HuggingFace(copy).load()
    assert "\n" not in str(told.value)
