"""Fills the words of a text from a lexicon, under constraints that tie their letters together.

A beam search over words, the one with the fewest candidates next: each hypothesis holds the words chosen so far, and
what they leave for the others. A word may be left unknown, at a price, for whoever finds its letters later. Worth is
how common the words are, alone and beside their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from trueup.core.lexicon import Lexicon, Words

Letters = NDArray[np.int8]
S = TypeVar("S")
UNKNOWN, UNKNOWN_LETTER = -14.0, -1.2
"""What an unknown word is worth, and each of its letters."""
LOOKED_AT = 3
"""Hypotheses whose candidates are counted to choose the next word."""


class Board(Protocol[S]):
    """What ties words together."""

    def start(self) -> S:
        """What is open before any word is placed."""
        ...

    def fits(self, state: S, slot: int, letters: Letters) -> NDArray[np.bool_]:
        """Which rows of letters can stand in a slot."""
        ...

    def place(self, state: S, slot: int, letters: Letters) -> S:
        """What is open once these letters stand there."""
        ...


@dataclass(frozen=True, slots=True)
class Filled(Generic[S]):
    """A hypothesis: a word per slot, None where it is unknown or not placed yet."""

    worth: float
    words: tuple[str | None, ...]
    state: S


@dataclass(frozen=True, slots=True)
class Search(Generic[S]):
    """A board, the length and the neighbour of each slot, and how wide to search.

    `follows` says for each slot whether it follows the one before it in the same sentence; `branch` is how many words
    a hypothesis is given at most in a slot.
    """

    board: Board[S]
    lexicon: Lexicon
    lengths: Sequence[int]
    follows: Sequence[bool]
    width: int = 200
    branch: int = 60
    pair_weight: float = 1.0


def fill(search: Search[S]) -> list[Filled[S]]:
    """The best hypotheses with every slot placed or left unknown, the best first."""
    beam = [Filled(0.0, (None,) * len(search.lengths), search.board.start())]
    left = set(range(len(search.lengths)))
    while left:
        slot = min(left, key=lambda one: (_choices(search, beam, one), one))
        left.remove(slot)
        longer = [one for hypothesis in beam for one in _extended(search, hypothesis, slot)]
        beam = _best(longer, search.width)
    return beam


def _choices(search: Search[S], beam: Sequence[Filled[S]], slot: int) -> float:
    """How many words the best hypotheses leave for a slot."""
    words = search.lexicon.by_length.get(search.lengths[slot])
    if words is None:
        return 0.0
    return float(np.mean([search.board.fits(one.state, slot, words.letters).sum() for one in beam[:LOOKED_AT]]))


def _extended(search: Search[S], hypothesis: Filled[S], slot: int) -> list[Filled[S]]:
    length = search.lengths[slot]
    unknown = hypothesis.worth + UNKNOWN + UNKNOWN_LETTER * length
    found = [Filled(unknown, hypothesis.words, hypothesis.state)]
    words = search.lexicon.by_length.get(length)
    if words is None:
        return found
    places = np.flatnonzero(search.board.fits(hypothesis.state, slot, words.letters))[: search.branch]
    return [*found, *(_placed(search, hypothesis, slot, words, place) for place in places.tolist())]


def _placed(search: Search[S], hypothesis: Filled[S], slot: int, words: Words, place: int) -> Filled[S]:
    text, chosen = words.texts[place], hypothesis.words
    worth = hypothesis.worth + float(words.logp[place])
    before = chosen[slot - 1] if slot and search.follows[slot] else None
    behind = chosen[slot + 1] if slot + 1 < len(chosen) and search.follows[slot + 1] else None
    if before is not None:
        worth += search.pair_weight * search.lexicon.gain(before, text)
    if behind is not None:
        worth += search.pair_weight * search.lexicon.gain(text, behind)
    state = search.board.place(hypothesis.state, slot, words.letters[place])
    return Filled(worth, (*chosen[:slot], text, *chosen[slot + 1 :]), state)


def _best(hypotheses: list[Filled[S]], width: int) -> list[Filled[S]]:
    """The best of them, each way to fill only once."""
    unique = {one.words: one for one in sorted(hypotheses, key=lambda one: one.worth)}
    return sorted(unique.values(), key=lambda one: -one.worth)[:width]
