"""Deciphers a cryptogram by words of a lexicon that agree on what each letter stands for.

Letters that stand in no known word are chosen by how common letter pairs are. Runs in the child process only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from trueup.core.lexicon import ALPHABET, Lexicon, letter_pairs, load_lexicon
from trueup.core.puzzles.cryptogram import Cryptogram
from trueup.solvers.word_beam import Letters, Search, fill

WORD = re.compile(r"[A-Z]+(?:'[A-Z]+)*'?")
WIDTH, BRANCH = 200, 60
APOSTROPHE = ALPHABET.index("'")
TRIED = 50_000


@dataclass(frozen=True, slots=True)
class Key:
    """What each letter stands for, by number, -1 where that is open; and whether a plain letter is taken."""

    plain: NDArray[np.int8]
    taken: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cipher:
    """Implements Board: words whose pattern of letters is a slot's, and which agree with the key so far."""

    slots: tuple[Letters, ...]
    patterns: tuple[NDArray[np.bool_], ...]

    def start(self) -> Key:
        """A key of which only the apostrophe is known."""
        plain, taken = np.full(len(ALPHABET), -1, np.int8), np.zeros(len(ALPHABET), bool)
        plain[APOSTROPHE], taken[APOSTROPHE] = APOSTROPHE, True
        return Key(plain, taken)

    def fits(self, state: Key, slot: int, letters: Letters) -> NDArray[np.bool_]:
        """Words that the key allows."""
        found = self.patterns[slot].copy()
        for place, cipher in enumerate(self.slots[slot]):
            known = state.plain[cipher]
            found &= letters[:, place] == known if known >= 0 else ~state.taken[letters[:, place]]
        return found

    def place(self, state: Key, slot: int, letters: Letters) -> Key:
        """The key with what this word adds."""
        plain, taken = state.plain.copy(), state.taken.copy()
        plain[self.slots[slot]] = letters
        taken[letters] = True
        return Key(plain, taken)


def solve_cryptogram(puzzle: Cryptogram, *, width: int = WIDTH, branch: int = BRANCH) -> dict[str, str]:
    """What each letter of the text stands for."""
    return next((key for _, key in cryptogram_keys(puzzle, 1, width=width, branch=branch)), {})


def cryptogram_keys(
    puzzle: Cryptogram, k: int, *, width: int = WIDTH, branch: int = BRANCH
) -> list[tuple[float, dict[str, str]]]:
    """Up to k keys, the likeliest first, each with the worth of its words in nats; none where no letter is used."""
    lexicon = load_lexicon()
    found = [(match[0], match.start(), match.end()) for match in WORD.finditer(puzzle.text)]
    if not found:
        return []
    slots = tuple(np.array([ALPHABET.index(letter) for letter in word], np.int8) for word, _, _ in found)
    gaps = [puzzle.text[end:start] for (_, _, end), (_, start, _) in pairwise(found)]
    follows = [False, *(gap.isspace() for gap in gaps)]
    cipher = Cipher(slots, tuple(_pattern(lexicon, slot) for slot in slots))
    filled = fill(Search(cipher, lexicon, [len(slot) for slot in slots], follows, width=width, branch=branch))
    used = sorted({int(letter) for slot in slots for letter in slot} - {APOSTROPHE})
    keys = []
    for one in filled[:k]:
        plain = _completed(one.state, slots, lexicon)
        keys.append((one.worth, {ALPHABET[letter]: ALPHABET[plain[letter]] for letter in used}))
    return keys


def _pattern(lexicon: Lexicon, slot: Letters) -> NDArray[np.bool_]:
    """Which words repeat letters where the slot does, and nowhere else."""
    words = lexicon.by_length.get(len(slot))
    if words is None:
        return np.zeros(0, bool)
    found = np.ones(len(words.texts), bool)
    for i in range(len(slot)):
        for j in range(i):
            found &= (words.letters[:, i] == words.letters[:, j]) == (slot[i] == slot[j])
    return found


def _completed(key: Key, slots: Sequence[Letters], lexicon: Lexicon) -> list[int]:
    """The key with every letter of the text known."""
    plain: list[int] = key.plain.astype(int).tolist()
    wanted = sorted({int(letter) for slot in slots for letter in slot if plain[letter] < 0})
    free = [i for i in range(APOSTROPHE) if not key.taken[i]]
    touched = [slot.tolist() for slot in slots if any(letter in wanted for letter in slot)]
    while wanted:
        several = wanted if _ways(len(free), len(wanted)) <= TRIED else wanted[:1]
        choice = max(permutations(free, len(several)), key=lambda one: _likely(touched, plain, several, one, lexicon))
        for letter, value in zip(several, choice, strict=True):
            plain[letter] = value
            free.remove(value)
        wanted = wanted[len(several) :]
    return plain


def _ways(free: int, wanted: int) -> int:
    return int(np.prod(range(free - wanted + 1, free + 1), dtype=float))


def _likely(
    slots: Sequence[Sequence[int]],
    plain: Sequence[int],
    letters: Sequence[int],
    values: Sequence[int],
    lexicon: Lexicon,
) -> float:
    pairs, trial = letter_pairs(lexicon), dict(zip(letters, values, strict=True))
    total = 0.0
    for slot in slots:
        read = [trial.get(letter, plain[letter]) for letter in slot]
        total += sum(pairs[a, b] for a, b in pairwise(read) if a >= 0 and b >= 0)
    return total
