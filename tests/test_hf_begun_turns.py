"""The transformers engine where a turn goes on: what it reads again is what it wrote, whole characters of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from trueup.core.types import Message, Sampling

pytest.importorskip("torch", reason="the hf engine: pip install 'trueup[hf]'")
pytest.importorskip("transformers", reason="the hf engine: pip install 'trueup[hf]'")

from tiny import CHAT, byte_tokenizer, save_tiny
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from trueup.models.huggingface import HuggingFace
from trueup.models.huggingface.vocabulary import Vocabulary, byte_letters

HELLO = (Message("user", "hello"),)
TRIMMED = CHAT.replace("m.content", "m.content | trim")
ANSWER_ALONE = (
    "{% for m in messages %}{% set content = m.content.split('</think>')[-1].lstrip() %}<s>{{ m.role }}: "
    "{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
THOUGHT_BEGUN = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content.split('</think>')[-1] }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: <think>\n{% endif %}"
)
TEMPLATES = (CHAT, TRIMMED, ANSWER_ALONE, THOUGHT_BEGUN, "plain")
BEGUN = ("step one\n", "\n", " x", "<think>\nabc\n\nWait", "abc</think>\n\nThe answer:")


def vocabulary(template: str) -> Vocabulary:
    tokenizer = byte_tokenizer(None)
    return Vocabulary(tokenizer, frozenset({tokenizer.eos_token_id}), len(tokenizer), template=template, name="tiny")


def begun(text: str) -> tuple[Message, ...]:
    return (*HELLO, Message("assistant", text))


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("text", BEGUN)
def test_a_begun_turn_stands_letter_for_letter_where_the_model_began_it(template: str, text: str) -> None:
    """Templates that trim a turn, put an empty thought before it, or strip its thought do not get to see it."""
    words = vocabulary(template)
    asked = words.ids(HELLO)
    assert words.ids(begun(text)) == asked + words.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert words.ids(begun("")) == asked


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_step_goes_on_from_the_cache_that_it_was_written_into(tmp_path: Path, template: str) -> None:
    """All but the last token of what is read is in the kept cache, and the next step is that of a fresh reading."""
    folder = save_tiny(tmp_path / "a", 1, template=None if template == "plain" else template)
    told = template if template == "plain" else ""
    step = Sampling(temperature=0, grammar='start: "\\nso:\\n"', max_tokens=5)
    onward = Sampling(max_tokens=6, grammar="start: /[a-z]+/", logprobs=True)

    async def go() -> tuple[Any, Any, Any]:
        model, fresh = (HuggingFace(folder, keep_cache=kept, template=told) for kept in (True, False))
        first = await model.sample(HELLO, 1, 0, step)
        prompt = begun(first.attempts[0].text)
        return first, await model.sample(prompt, 1, 0, onward), await fresh.sample(prompt, 1, 0, onward)

    first, again, other = (reply.attempts[0] for reply in asyncio.run(go()))
    assert first.text == "\nso:\n"
    assert again.usage.prompt_tokens == first.usage.prompt_tokens + 5
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
    assert again.text == other.text and again.logprob == pytest.approx(other.logprob, abs=1e-5)


def test_a_chat_may_be_a_begun_turn_alone_and_says_something() -> None:
    words = vocabulary(CHAT)
    assert words.tokenizer.decode(words.ids((Message("assistant", "so "),))) == "<s>assistant: so "
    assert words.ids((Message("assistant", ""),)) == words.ids(()) == []


@pytest.mark.parametrize(
    ("written", "tokens", "kept"),
    [
        ("aéb", 2, "a"),
        ("aéb", 3, "aé"),
        ("a€", 3, "a"),
        ("a€", 4, "a€"),
        ("a\U0001f600", 4, "a"),
        ("a\ufffdb", 3, "a"),
        ("a\ufffdb", 4, "a\ufffd"),
        ("éb", 1, ""),
    ],
)
def test_a_character_that_the_limit_cuts_is_left_for_the_next_step(
    folder: Path, written: str, tokens: int, kept: str
) -> None:
    """Its bytes are tokens that were sampled, and stay charged; a true U+FFFD is a character like any other."""
    sampling = Sampling(max_tokens=tokens, grammar=f'start: "{written}" /z+/')
    (attempt,) = asyncio.run(HuggingFace(folder).sample(HELLO, 1, 0, sampling)).attempts
    assert (attempt.text, attempt.finish, attempt.usage.completion_tokens) == (kept, "length", tokens)


def test_a_text_that_ends_by_itself_keeps_what_bytes_it_has(tmp_path: Path) -> None:
    """A model that wrote half a character and ended has said so."""
    tokenizer = byte_tokenizer()
    half = tokenizer("é", add_special_tokens=False)["input_ids"][0]
    folder = save_tiny(tmp_path, 1, eos_token_id=[token for token in range(256) if token != half])
    grammar = 'start: "é"'
    (attempt,) = asyncio.run(HuggingFace(folder).sample(HELLO, 1, 0, Sampling(grammar=grammar))).attempts
    assert (attempt.text, attempt.finish, attempt.usage.completion_tokens) == ("\ufffd", "eos", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "a", 1)


def test_tokens_of_single_bytes_are_read_as_sentencepiece_writes_them() -> None:
    """There a letter is itself, and no byte: é is whole, and so is what can be no beginning."""
    names = ["a", "é", "\ufffd", *(f"<0x{byte:02X}>" for byte in range(256))]
    whole = Tokenizer(models.BPE({name: place for place, name in enumerate(names)}, [], byte_fallback=True))
    whole.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    words = Vocabulary(PreTrainedTokenizerFast(tokenizer_object=whole), frozenset(), 259, template="plain", name="s")

    def kept(*written: str) -> list[str]:
        return words.tokenizer.convert_ids_to_tokens(list(words.whole([names.index(name) for name in written])))

    assert kept("a", "<0xE2>", "<0x82>") == ["a"]
    assert kept("a", "<0xE2>", "<0x82>", "<0xAC>") == ["a", "<0xE2>", "<0x82>", "<0xAC>"]
    assert kept("é", "<0x80>") == ["é", "<0x80>"] and kept("\ufffd") == ["\ufffd"] and kept("<0xE2>") == []


def test_the_letters_of_bytes_are_those_of_the_tokenizers() -> None:
    assert set(byte_letters()) == set(pre_tokenizers.ByteLevel.alphabet())
    pieces = byte_tokenizer().tokenize("é €\ufffd\x00 ~")
    assert bytes(byte_letters()[piece] for piece in pieces).decode() == "é €\ufffd\x00 ~"
