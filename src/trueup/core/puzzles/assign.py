"""Which candidates fill crossing slots together: belief propagation, then greedy filling and local search.

Wallace et al. 2022, arXiv:2205.09665 (Berkeley Crossword Solver): loopy sum-product between slots and the cells they
share. Each slot may also hold a word that nobody proposed, whose letters are drawn from the letters' frequencies. A
candidate's weight is its probability of being the answer before any crossing is looked at. Axes: word, place, letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]
Floats = NDArray[np.float64]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SPELLED = re.compile(f"[{LETTERS}]*")
# Of letters in English text (Norvig 2012), to three places.
FREQUENCIES = np.array(
    [.080, .015, .033, .038, .125, .024, .019, .051, .076, .002, .005, .041, .025, .072, .076, .021, .001, .063, .065,
     .093, .027, .011, .017, .002, .017, .001]
)  # fmt: skip
PRIOR = FREQUENCIES / FREQUENCIES.sum()
ITERATIONS, DAMPING, FLOOR = 12, 0.3, 1e-12
ROUNDS, TRIED = 4, 50
MANY, HOPELESS = 200, 1e-8


@dataclass(frozen=True, slots=True)
class Candidates:
    """Words proposed for a slot, all of its length, with weights that add up to less than 1; the rest is unknown."""

    cells: tuple[Place, ...]
    words: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(slots=True)
class _Slot:
    """A slot as arrays: letters (word, place), weights (word), and the chance that its word was not proposed."""

    cells: tuple[Place, ...]
    letters: NDArray[np.int64]
    weights: Floats
    unknown: float


@dataclass(frozen=True, slots=True)
class Assignment:
    """A word for every slot, agreeing where they cross, and the words that were likeliest there before that."""

    words: dict[str, str]
    shortlists: dict[str, tuple[str, ...]]


def assign(candidates: Mapping[str, Candidates]) -> dict[str, str]:
    """A word for every slot, agreeing where they cross; letters that nobody proposed are the likeliest ones."""
    slots = {name: _arrays(one) for name, one in candidates.items()}
    owners = _owners(slots)
    beliefs = _propagated(slots, owners)
    tried = {name: slot.letters[_best(slot, beliefs[name], TRIED)] for name, slot in slots.items()}
    return _spelled(slots, _searched(slots, owners, _filled(slots, beliefs), tried))


def assign_greedily(candidates: Mapping[str, Candidates], *, k: int) -> Assignment:
    """As `assign` without its local search, with the k likeliest words of each slot for a search that knows more."""
    slots = {name: _arrays(one) for name, one in candidates.items()}
    beliefs = _propagated(slots, _owners(slots))
    shortlists = {name: _likeliest(slot, beliefs[name], k) for name, slot in slots.items()}
    return Assignment(_spelled(slots, _filled(slots, beliefs)), shortlists)


def _spelled(slots: Mapping[str, _Slot], fixed: Mapping[Place, int]) -> dict[str, str]:
    return {name: "".join(LETTERS[fixed[cell]] for cell in slot.cells) for name, slot in slots.items()}


def _filled(slots: Mapping[str, _Slot], beliefs: Mapping[str, Floats]) -> dict[Place, int]:
    """Every cell's letter when the surest slot is filled next."""
    fixed: dict[Place, int] = {}
    waiting = set(slots)
    while waiting:
        told = (_surest(name, slots[name], beliefs, fixed) for name in sorted(waiting))
        name, word, _ = max(told, key=lambda one: one[2])
        waiting.remove(name)
        fixed |= dict(zip(slots[name].cells, word, strict=True))
    return fixed


def _arrays(one: Candidates) -> _Slot:
    known = [pair for pair in zip(one.words, one.weights, strict=True) if SPELLED.fullmatch(pair[0])]
    spelled = np.frombuffer("".join(word for word, _ in known).encode(), np.uint8).astype(np.int64) - ord("A")
    weights = np.array([weight for _, weight in known], np.float64)
    unknown = max(FLOOR, 1.0 - float(weights.sum()))
    return _Slot(one.cells, spelled.reshape(len(known), len(one.cells)), weights, unknown)


def _owners(slots: Mapping[str, _Slot]) -> dict[Place, list[tuple[str, int]]]:
    """The slots that a cell is in, and at which of their places."""
    owners: dict[Place, list[tuple[str, int]]] = {}
    for name, slot in slots.items():
        for place, cell in enumerate(slot.cells):
            owners.setdefault(cell, []).append((name, place))
    return owners


def _propagated(slots: dict[str, _Slot], owners: Mapping[Place, Sequence[tuple[str, int]]]) -> dict[str, Floats]:
    """What the crossings say of each slot's letters, axes (place, letter), after some rounds of messages.

    Of a slot with many words those that have become hopeless are dropped on the way.
    """
    heard = {name: _uniform(len(slot.cells)) for name, slot in slots.items()}
    for _ in range(ITERATIONS):
        said = {name: _message(slot, heard[name]) for name, slot in slots.items()}
        for several in owners.values():
            for name, place in several:
                news = np.ones(len(LETTERS))
                for other, at in several:
                    if other != name:
                        news = news * said[other][at]
                news = np.maximum(news, FLOOR) / np.maximum(news, FLOOR).sum()
                heard[name][place] = DAMPING * heard[name][place] + (1 - DAMPING) * news
        for name, slot in slots.items():
            if len(slot.weights) > MANY:
                slots[name] = _hopeful(slot, heard[name])
    return heard


def _hopeful(slot: _Slot, heard: Floats) -> _Slot:
    worth = _worths(slot, heard)
    kept = worth >= HOPELESS * worth.max()
    return _Slot(slot.cells, slot.letters[kept], slot.weights[kept], slot.unknown)


def _likeliest(slot: _Slot, heard: Floats, k: int) -> tuple[str, ...]:
    best = slot.letters[_best(slot, heard, k)]
    return tuple("".join(LETTERS[letter] for letter in word) for word in best.tolist())


def _best(slot: _Slot, heard: Floats, k: int) -> NDArray[np.int64]:
    """Places of a slot's likeliest words, the likeliest first."""
    return np.argsort(-_worths(slot, heard), kind="stable")[:k]


def _worths(slot: _Slot, heard: Floats) -> Floats:
    """How likely each word of a slot is by its weight and what the slot heard, not normalised."""
    return np.asarray(slot.weights * heard[np.arange(len(slot.cells)), slot.letters].prod(1))


def _uniform(places: int) -> Floats:
    return np.full((places, len(LETTERS)), 1 / len(LETTERS))


def _message(slot: _Slot, heard: Floats) -> Floats:
    """What a slot says of the letter at each place, from its words and what it heard at the other places."""
    places = np.arange(len(slot.cells))
    factors = np.maximum(heard[places, slot.letters], FLOOR)
    rest = (slot.weights * factors.prod(1))[:, None] / factors
    at = (slot.letters + len(LETTERS) * places).ravel()
    said = np.bincount(at, rest.ravel(), heard.size).reshape(heard.shape)
    free = np.maximum((heard * PRIOR).sum(1), FLOOR)
    said = said + slot.unknown * (free.prod() / free)[:, None] * PRIOR
    return np.asarray(said / np.maximum(said.sum(1, keepdims=True), FLOOR))


def _surest(
    name: str, slot: _Slot, beliefs: Mapping[str, Floats], fixed: Mapping[Place, int]
) -> tuple[str, list[int], float]:
    """The likeliest word of a slot that agrees with what is fixed, and how sure it is."""
    heard = beliefs[name].copy()
    for place, cell in enumerate(slot.cells):
        if cell in fixed:
            heard[place] = np.eye(len(LETTERS))[fixed[cell]]
    worth = _worths(slot, heard)
    free = heard * PRIOR
    unknown = slot.unknown * float(free.sum(1).prod())
    total = float(worth.sum()) + unknown
    if len(worth) and worth.max() > unknown:
        return name, slot.letters[int(worth.argmax())].tolist(), float(worth.max()) / max(total, 1e-300)
    return name, free.argmax(1).tolist(), unknown / max(total, 1e-300) - 1.0


def _searched(
    slots: Mapping[str, _Slot],
    owners: Mapping[Place, Sequence[tuple[str, int]]],
    fixed: dict[Place, int],
    tried: Mapping[str, NDArray[np.int64]],
) -> dict[Place, int]:
    """The filling after words were put in, one at a time, that make all slots together likelier."""
    for _ in range(ROUNDS):
        is_better = False
        for name, slot in slots.items():
            touched = {other for cell in slot.cells for other, _ in owners[cell]} | {name}
            before = sum(_worth(slots[one], fixed) for one in touched)
            for letters in tried[name]:
                trial = fixed | dict(zip(slot.cells, letters.tolist(), strict=True))
                worth = sum(_worth(slots[one], trial) for one in touched)
                if worth > before + FLOOR:
                    fixed, before, is_better = trial, worth, True
        if not is_better:
            break
    return fixed


def _worth(slot: _Slot, fixed: Mapping[Place, int]) -> float:
    """The log-probability of the word that stands in a slot."""
    standing = np.array([fixed[cell] for cell in slot.cells])
    same = (slot.letters == standing).all(1) if len(slot.letters) else np.zeros(0, bool)
    chance = float(slot.weights[same].sum()) + slot.unknown * float(PRIOR[standing].prod())
    return float(np.log(max(chance, 1e-300)))
