"""A model held to a grammar: what may not come next is masked.

Stands wherever a model does in sampling. The grammar comes from the prompt, so that each row is held to the functions
that it was offered. Masking conditions token by token, which is not the model's own distribution given that the text
is well formed. Axes: B row, P prompt token, T token, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trueup.train.laboratory.decoder import Decoder, device_of
from trueup.train.laboratory.grammar import Grammar, Place
from trueup.train.laboratory.vocabulary import CHARACTERS, token

GrammarOf = Callable[[str], Grammar]
"""The grammar that a prompt's text calls for."""


@dataclass(slots=True)
class Held:
    """The model's cache, and where each row has got to in its grammar."""

    inner: Any
    length: int
    grammars: list[Grammar]
    places: list[Place]
    room: int = 0

    def repeat(self, n: int) -> Held:
        """Each row n times over, next to itself."""
        grammars = [grammar for grammar in self.grammars for _ in range(n)]
        places = [place for place in self.places for _ in range(n)]
        return Held(self.inner.repeat(n), self.length, grammars, places, self.room)


@dataclass(frozen=True, slots=True)
class Constrained:
    """A model that can only write what its prompt's grammar allows."""

    model: Decoder
    grammar_of: GrammarOf

    @property
    def parameter_count(self) -> int:
        """The model's."""
        return self.model.parameter_count

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return device_of(self.model)

    def begin(self, rows: int, length: int, seen_BT: Tensor | None = None) -> Held:
        """An empty cache for rows of up to `length` tokens, prompts included."""
        return Held(self.model.begin(rows, length, seen_BT), length, [], [])

    def __call__(self, tokens_BT: Tensor, cache: Held) -> Tensor:
        """The model's logits; at the last place what the grammar forbids is at minus infinity."""
        logits_BTV = self.model(tokens_BT, cache.inner).clone()
        if cache.places:
            _advance(cache, tokens_BT[:, -1].tolist())
        else:
            texts = ("".join(CHARACTERS[t] for t in row) for row in tokens_BT.tolist())
            cache.grammars = [self.grammar_of(text) for text in texts]
            cache.places = [Place() for _ in cache.grammars]
            cache.room = cache.length - tokens_BT.shape[1]
        logits_BTV[:, -1] += _mask(cache, logits_BTV.shape[-1]).to(logits_BTV.device)
        return logits_BTV


def _advance(cache: Held, tokens: Sequence[int]) -> None:
    """Take up a token each; a row that is over stays so, whatever is put behind it."""
    rows = zip(cache.grammars, cache.places, tokens, strict=True)
    cache.places = [place if place.due == "over" else g.after(place, CHARACTERS[t]) for g, place, t in rows]
    cache.room -= 1


def _mask(cache: Held, size: int) -> Tensor:
    rows = zip(cache.grammars, cache.places, strict=True)
    allowed = [[token(c) for c in grammar.allowed(place, cache.room)] for grammar, place in rows]
    mask_BV = torch.full((len(allowed), size), -torch.inf)
    at = [(row, one) for row, tokens in enumerate(allowed) for one in tokens]
    mask_BV[tuple(torch.tensor(at).T)] = 0.0
    return mask_BV
