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
from trueup.methods.revise import ask_again, continued
from trueup.models.huggingface.vocabulary import Refused, Vocabulary

ENDED, CUT = "eos", "length"
"""How an attempt says that it was ended, and that it was cut at the limit."""
SENTINELS = ("x", "y")
"""Two texts of a token each, to tell by where a chat begins to differ what stands between its turns."""


class TooLong(BadInput):
    """A text that the model cannot read whole."""


class Unsaid(BadInput):
    """A text that was cut before its first word: there is nothing to learn from."""


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked, and what shall be said; `finish` says how that text ended, as an attempt's does."""

    prompt: Prompt
    target: str
    finish: str = ENDED


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's tokens; those from `start` on are the target with what ended it."""

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
    """The prompt in the tokens that an engine samples behind, then the target's, then what ended it.

    That is the turn's end, or the stop string that was cut off; nothing where the text was cut at the limit. Raises
    TooLong where all that is longer than the model's limit, Unsaid where no target is left, Refused where the template
    does not take the prompt.
    """
    prompt = vocabulary.ids(example.prompt)
    stop = example.finish.partition(":")[2]
    end = [] if stop or example.finish == CUT else [_end_of_turn(example.prompt, vocabulary)]
    ids = (*prompt, *_behind(prompt, example.prompt, example.target + stop, vocabulary), *end)
    if len(ids) == len(prompt):
        raise Unsaid("the text was cut at the limit before its first word; raise max_tokens")
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


def _behind(ids: Sequence[int], prompt: Prompt, said: str, vocabulary: Vocabulary) -> list[int]:
    """A text's tokens behind a prompt's: those of the turn that goes on with it, if they say it letter for letter."""
    if said:
        whole = vocabulary.ids(continued(prompt, said))
        behind = whole[len(ids) :]
        if whole[: len(ids)] == list(ids) and vocabulary.text(behind, ids[-1]) == said:
            return behind
    return list(vocabulary.tokenizer(said, add_special_tokens=False)["input_ids"])


def _end_of_turn(prompt: Prompt, vocabulary: Vocabulary) -> int:
    """What the template writes behind an assistant's turn, if generation ends there; else the tokenizer's end of text.

    A chat with another reply begins to differ in front of it, one with another request behind it.
    """
    end: int = vocabulary.tokenizer.eos_token_id
    (one, other), chats = SENTINELS, []
    try:
        for reply, request in ((one, one), (other, one), (one, other)):
            chats.append(vocabulary.ids(ask_again(prompt, reply, request)))
    except Refused:
        return end
    whole, by_reply, by_request = chats
    between = whole[_alike(whole, by_reply) : _alike(whole, by_request)]
    return next((token for token in between if token in vocabulary.ends), end)


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
