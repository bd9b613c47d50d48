"""A model's tokens: prompts into them, texts out of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput, TrueupError
from trueup.core.types import Prompt, Sampling
from trueup.models.huggingface.constrain import make_matcher, make_tokenizer

PLAIN = "plain"


class Refused(TrueupError):
    """A prompt that this model cannot take; the same one would be refused again."""


class NoTemplate(BadInput):
    """A model without a chat template, and the setting that may give it one."""

    def __init__(self, name: str, key: str = "template") -> None:
        """Say which model it is, and what to set."""
        super().__init__(f"{name} has no chat template; set {key}=plain, or {key}=FILE to a Jinja file")
        self.name = name


class Vocabulary:
    """A tokenizer, the tokens that end a text, and the number of logits.

    `template` is the model's own where it is empty, `plain` for the bare contents with a blank line between them
    (what a model that was never taught to chat wants), or Jinja text.
    """

    def __init__(self, tokenizer: Any, ends: frozenset[int], width: int, *, template: str, name: str) -> None:
        """Raises BadInput where there is no template."""
        self.tokenizer, self.ends, self.width = tokenizer, ends, width
        self._plain = template == PLAIN
        self._template = template if template not in ("", PLAIN) else None
        if not self._plain and not (self._template or tokenizer.chat_template):
            raise NoTemplate(name)

    def ids(self, prompt: Prompt) -> list[int]:
        """The prompt's tokens; an assistant's last turn is left open.

        Raises Refused where the template does not take the prompt.
        """
        if self._plain:
            text = "\n\n".join(message.content for message in prompt)
            return list(self.tokenizer(text)["input_ids"])
        return list(self.tokenizer(self._render(prompt), add_special_tokens=False)["input_ids"])

    def text(self, ids: Sequence[int], after: int) -> str:
        """The text that tokens add behind the token `after`, blanks at its beginning included."""
        before = self.tokenizer.decode([after], skip_special_tokens=True)
        whole: str = self.tokenizer.decode([after, *ids], skip_special_tokens=True)
        return whole[len(before) :]

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

    def _render(self, prompt: Prompt) -> str:
        from jinja2 import TemplateError

        is_open = prompt[-1].role == "assistant" and bool(prompt[-1].content)
        turns = prompt[:-1] if prompt[-1].role == "assistant" and not is_open else prompt
        try:
            text: str = self.tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in turns],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=not is_open,
                continue_final_message=is_open,
            )
        except (TemplateError, ValueError) as error:
            raise Refused(f"the chat template does not take this prompt: {' '.join(str(error).split())}") from None
        return text


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
