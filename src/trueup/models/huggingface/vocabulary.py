"""A model's tokens: prompts into them, texts out of them."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput, TrueupError
from trueup.core.types import Prompt, Sampling, begun_turn, chat_of
from trueup.models.huggingface.constrain import make_matcher, make_tokenizer

PLAIN = "plain"
BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""A token of one byte, as SentencePiece writes it."""


class Refused(TrueupError):
    """A prompt that this model cannot take; the same one would be refused again."""


class NoTemplate(BadInput):
    """A model without a chat template, and the setting that may give it one."""

    def __init__(self, name: str, key: str = "template") -> None:
        """Say which model it is, and what to set."""
        super().__init__(f"{name} has no chat template; set {key}=plain, or {key}=FILE to a Jinja file")
        self.name = name


class Vocabulary:
    """A tokenizer, the tokens that end a text, and how many of a model's logits stand for one of either.

    `width` leaves out those behind the last token, which pad an embedding and are nothing to draw. `template` is the
    model's own where it is empty, Jinja text, or `plain` for the bare contents (what a model that was never taught to
    chat wants), with a blank line between them; a turn that goes on stands right behind the rest.
    """

    def __init__(self, tokenizer: Any, ends: frozenset[int], width: int, *, template: str, name: str) -> None:
        """Raises BadInput where there is no template."""
        self.tokenizer, self.ends = tokenizer, ends
        self.width = min(width, 1 + max((*tokenizer.get_vocab().values(), *ends)))
        self._plain = template == PLAIN
        self._template = template if template not in ("", PLAIN) else None
        if not self._plain and not (self._template or tokenizer.chat_template):
            raise NoTemplate(name)

    def ids(self, prompt: Prompt) -> list[int]:
        """The prompt's tokens, none where it says nothing; an assistant's last turn goes on, letter for letter.

        What it has begun stands where the model would begin to write, and no template gets to see it: it would be
        trimmed, or put behind an empty thought. Raises Refused where the template does not take the prompt.
        """
        begun = begun_turn(prompt)
        turns = prompt[:-1] if prompt and prompt[-1].role == "assistant" else prompt
        if self._plain:
            text = "\n\n".join(message.content for message in turns)
            return list(self.tokenizer(text + begun)["input_ids"])
        if not (turns or begun):
            return []
        return list(self.tokenizer(self._render(turns) + begun, add_special_tokens=False)["input_ids"])

    def text(self, ids: Sequence[int], after: int) -> str:
        """The text that tokens add behind the token `after`, blanks at its beginning included."""
        before = self.tokenizer.decode([after], skip_special_tokens=True)
        whole: str = self.tokenizer.decode([after, *ids], skip_special_tokens=True)
        return whole[len(before) :]

    def whole(self, ids: Sequence[int]) -> Sequence[int]:
        """The tokens up to the last one that ends a character; those behind it are some bytes of one in UTF-8."""
        decoder = getincrementaldecoder("utf-8")("replace")
        ended = 0
        for count, token in enumerate(ids, 1):
            decoder.decode(self._bytes(token))
            if not decoder.getstate()[0]:
                ended = count
        return ids[:ended]

    def piece(self, token: int, after: int) -> str:
        """One token as text behind the token `after`, its blanks and its name if it is special."""
        before = self.tokenizer.decode([after])
        whole: str = self.tokenizer.decode([after, token])
        return whole[len(before) :]

    def matcher(self, sampling: Sampling) -> Any:
        """What holds a text to the schema or grammar; None where there is neither.

        Raises BadInput where it does not compile.
        """
        return make_matcher(self._constrainable, sampling) if sampling.schema or sampling.grammar else None

    @cached_property
    def _constrainable(self) -> Any:
        return make_tokenizer(self.tokenizer, self.ends, self.width)

    @cached_property
    def _letters(self) -> Mapping[str, int]:
        """The bytes that letters of tokens stand for; none where bytes have tokens of their own."""
        return {} if "<0x80>" in self.tokenizer.get_vocab() else byte_letters()

    def _bytes(self, token: int) -> bytes:
        piece: str = self.tokenizer.convert_ids_to_tokens(token) or ""
        if single := BYTE.fullmatch(piece):
            return bytes.fromhex(single[1])
        has_letters = all(letter in self._letters for letter in piece)
        return bytes(self._letters[letter] for letter in piece) if has_letters else piece.encode()

    def _render(self, turns: Prompt) -> str:
        """Whole turns, up to where the model begins to write; of a batch of one, which may have no turns."""
        from jinja2 import TemplateError

        try:
            (text,) = self.tokenizer.apply_chat_template(
                [chat_of(turns)],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=True,
            )
        except (TemplateError, ValueError) as error:
            raise Refused(f"the chat template does not take this prompt: {' '.join(str(error).split())}") from None
        return str(text)


def byte_letters() -> dict[str, int]:
    """The bytes by the letters of byte-level BPE (Radford et al. 2019): a printed one is its own, others follow 255."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def read_template(template: str) -> str:
    """The text of a template that a user names; `plain` and the empty name stand for themselves.

    Raises BadInput where the file cannot be read.
    """
    if template in ("", PLAIN):
        return template
    try:
        return Path(template).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise BadInput(f"cannot read the template {template!r}: {reason}; give a Jinja file, or `plain`") from None
