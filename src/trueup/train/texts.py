"""Texts to train on, as the tokens that a model would read and write.

B is texts, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.core.types import Prompt
from trueup.methods.revise import continued
from trueup.models.huggingface.vocabulary import Vocabulary


class TooLong(BadInput):
    """A text that the model cannot read whole."""


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked, and what shall be said."""

    prompt: Prompt
    target: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's tokens; those from `start` on are the target, the last one ends the text."""

    ids: tuple[int, ...]
    start: int

    @property
    def targets(self) -> int:
        """How many of them are the target."""
        return len(self.ids) - self.start


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts side by side, padded to the right: what is read, what comes next at each place, which of it counts."""

    ids_BT: Tensor
    attended_BT: Tensor
    target_BT: Tensor
    mask_BT: Tensor


def tokens_of(example: Example, vocabulary: Vocabulary, limit: int) -> Tokens:
    """The prompt in the tokens that an engine samples behind, then the target's, then the end of text.

    Raises TooLong where that is longer than the limit.
    """
    prompt = vocabulary.ids(example.prompt)
    ids = (*prompt, *_behind(prompt, example, vocabulary), vocabulary.tokenizer.eos_token_id)
    if len(ids) > limit:
        raise TooLong(f"a text of {len(ids):,} tokens does not fit the model's {limit:,}; leave the item out")
    return Tokens(ids, len(prompt))


def batch_of(texts: Sequence[Tokens], padding: int, device: torch.device) -> Batch:
    """Texts as tensors; the target of a place is the token behind it."""
    T = max(len(text.ids) for text in texts)
    ids_BT = torch.full((len(texts), T), padding)
    attended_BT = torch.zeros((len(texts), T), dtype=torch.long)
    mask_BT = torch.zeros((len(texts), T), dtype=torch.bool)
    for row, text in enumerate(texts):
        ids_BT[row, : len(text.ids)] = torch.tensor(text.ids)
        attended_BT[row, : len(text.ids)] = 1
        mask_BT[row, text.start : len(text.ids)] = True
    parts = (ids_BT[:, :-1], attended_BT[:, :-1], ids_BT[:, 1:], mask_BT[:, 1:])
    return Batch(*(part.to(device) for part in parts))


def _behind(prompt: Sequence[int], example: Example, vocabulary: Vocabulary) -> list[int]:
    """The target's tokens: as the template writes an assistant's turn, if it does so letter for letter."""
    if example.target:
        ids = vocabulary.ids(continued(example.prompt, example.target))
        behind = ids[len(prompt) :]
        if ids[: len(prompt)] == list(prompt) and vocabulary.text(behind, prompt[-1]) == example.target:
            return behind
    return list(vocabulary.tokenizer(example.target, add_special_tokens=False)["input_ids"])
