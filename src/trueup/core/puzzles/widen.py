"""Words of a lexicon beside a slot's proposals: what its answer may be where nobody proposed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from trueup.core.lexicon import ALPHABET, Lexicon
from trueup.core.puzzles.assign import Candidates, assign

CHOICES, SHARE, EVENNESS = 20_000, 0.5, 0.5
"""Words tried in a slot, the chance that an answer nobody proposed is among them, how much frequency counts there."""
ENOUGH = 1_000
"""Of fewer words of a length the chance is smaller by as much: long answers are phrases."""


def fill_crossword(proposals: Mapping[str, Candidates], lexicon: Lexicon) -> dict[str, str]:
    """A word for every slot, agreeing where they cross, by proposals and common words."""
    return assign({name: widened(slot, lexicon) for name, slot in proposals.items()})


def widened(slot: Candidates, lexicon: Lexicon) -> Candidates:
    """The slot's proposals, and the commonest words of its length for a share of what they leave open.

    What no proposal and no word covers stays unknown: answers of several words, names.
    """
    common = _common(lexicon, len(slot.cells))
    left = SHARE * min(1.0, len(common) / ENOUGH) * max(0.0, 1 - sum(slot.weights))
    weights = {word: left * share for word, share in common.items()}
    for word, weight in zip(slot.words, slot.weights, strict=True):
        weights[word] = weights.get(word, 0.0) + weight
    return replace(slot, words=tuple(weights), weights=tuple(weights.values()))


@cache
def _common(lexicon: Lexicon, length: int) -> Mapping[str, float]:
    words = lexicon.by_length.get(length)
    if words is None:
        return {}
    plain = (words.letters != ALPHABET.index("'")).all(1)
    return words.weighted(np.flatnonzero(plain)[:CHOICES], EVENNESS, 1.0)
