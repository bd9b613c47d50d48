"""English words with how common they are, alone and one behind another.

Words and their frequencies come from the package wordfreq (Speer 2022), pairs from the list that symspellpy brings
(Google Books n-grams). Neither is part of this project. Letters are numbers: A is 0, Z 25, an apostrophe 26.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import log

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import Unavailable

WORDS = 320_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
PLAIN = re.compile(r"[a-z]+(?:'[a-z]+)?'?")
PAIRS = "frequency_bigramdictionary_en_243_342.txt"
POSSESSIVE = log(0.02)
"""How much rarer a word is with 's than without, where the list has it only without."""
POSSESSED = 60_000
COMMON = 3_000
"""Words of each length that letter pairs are counted in."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words of one length, the most common first: their text, their letters (word, place), natural log-frequencies."""

    texts: tuple[str, ...]
    letters: NDArray[np.int8]
    logp: NDArray[np.float64]

    def weighted(self, places: NDArray[np.intp], evenness: float, total: float) -> dict[str, float]:
        """The words at these places with weights that add up to `total`, each by its frequency to this power."""
        weights = np.exp(evenness * self.logp[places])
        shares = total * weights / weights.sum() if len(places) else weights
        return dict(zip((self.texts[place] for place in places.tolist()), shares.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """Words by their length, and how often one stands behind another."""

    by_length: Mapping[int, Words]
    pairs: Mapping[tuple[str, str], float]
    logp: Mapping[str, float]

    def gain(self, left: str, right: str) -> float:
        """How much more likely two words are side by side than apart, in nats; below 0 for what was never seen."""
        seen = self.pairs.get((left, right))
        if seen is None:
            return UNSEEN
        return max(UNSEEN, min(MOST, seen - self.logp.get(left, RAREST) - self.logp.get(right, RAREST)))


UNSEEN, MOST, RAREST = -1.0, 6.0, log(1e-9)


@cache
def load_lexicon(words: int = WORDS) -> Lexicon:
    """The lexicon of English.

    Raises Unavailable without the packages that hold it.
    """
    try:
        from wordfreq import get_frequency_dict

        pairs_file = files("symspellpy") / PAIRS
    except ImportError:
        raise Unavailable("the lexicon wants wordfreq and symspellpy; pip install 'trueup[words]'") from None
    found = get_frequency_dict("en", wordlist="best")
    common = sorted(((p, word) for word, p in found.items() if PLAIN.fullmatch(word)), reverse=True)[:words]
    logp = {word.upper(): log(p) for p, word in common}
    for p, word in common[:POSSESSED]:
        if "'" not in word:
            logp.setdefault(f"{word.upper()}'S", log(p) + POSSESSIVE)
    return lexicon_of(logp, _read_pairs(pairs_file.read_text(encoding="utf-8-sig")))


def lexicon_of(logp: Mapping[str, float], pairs: Mapping[tuple[str, str], float]) -> Lexicon:
    """A lexicon of these words in capital letters, with natural log-frequencies of words and of pairs."""
    return Lexicon(_by_length(logp), pairs, logp)


def numbers(word: str) -> NDArray[np.int8]:
    """A word's letters as numbers."""
    return np.array([ALPHABET.index(letter) for letter in word], np.int8)


@cache
def letter_pairs(lexicon: Lexicon) -> NDArray[np.float64]:
    """Natural log-frequencies of one letter behind another in common words, axes (left, right)."""
    counts = np.ones((len(ALPHABET), len(ALPHABET)))
    for words in lexicon.by_length.values():
        common = words.letters[:COMMON]
        for place in range(common.shape[1] - 1):
            np.add.at(counts, (common[:, place], common[:, place + 1]), np.exp(words.logp[:COMMON] / 2))
    return np.asarray(np.log(counts / counts.sum()))


def _by_length(logp: Mapping[str, float]) -> dict[int, Words]:
    grouped: dict[int, list[str]] = {}
    for word in sorted(logp, key=lambda one: (-logp[one], one)):
        grouped.setdefault(len(word), []).append(word)
    return {
        length: Words(
            tuple(texts),
            np.array([[ALPHABET.index(letter) for letter in text] for text in texts], np.int8),
            np.array([logp[text] for text in texts]),
        )
        for length, texts in grouped.items()
    }


def _read_pairs(text: str) -> dict[tuple[str, str], float]:
    """Natural log-frequencies of pairs among all pairs listed."""
    rows = [line.split(" ") for line in text.splitlines()]
    counts = {(row[0].upper(), row[1].upper()): int(row[2]) for row in rows if len(row) == 3 and row[2].isdecimal()}
    total = log(sum(counts.values()))
    return {pair: log(count) - total for pair, count in counts.items() if count}
