"""Clues of a few kinds: a sentence, a constraint, and the way back.

A kind is written once, as a sentence and as a constraint with the same slots: `{a}` and `{b}` are names, of which a
sentence has one of their forms, `{k}` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SLOT = re.compile(r"\{(\w+)\}")
NUMBER = re.compile(r"\A[0-9]{1,4}(?![0-9])")
NUMBERED = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
Forms = Mapping[str, Mapping[str, str]]
"""By slot, what stands there for each name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of clue."""

    words: str
    constraint: str

    def slots(self) -> frozenset[str]:
        """What its sentence leaves open."""
        return frozenset(SLOT.findall(self.words))


Kinds = Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class Clue:
    """A clue by the name of its kind; what its kind has no slot for is empty."""

    kind: str
    a: str = ""
    b: str = ""
    k: int = 0


def sentences(clues: Iterable[Clue], kinds: Kinds, forms: Forms) -> str:
    """The clues in words, numbered from 1, a line each."""
    said = (_sentence(clue, kinds[clue.kind], forms) for clue in clues)
    return "\n".join(f"{number}. {words[0].upper()}{words[1:]}" for number, words in enumerate(said, 1))


def conditions(clues: Iterable[Clue], kinds: Kinds, extras: Mapping[str, Mapping[str, int]] | None = None) -> list[str]:
    """The clues as lines of a program; `extras` fill further slots, as `{hours_a}` by the name at a."""
    lines = []
    for number, clue in enumerate(clues, 1):
        known = {f"{key}_{slot}": of.get(name, 0) for key, of in (extras or {}).items() for slot, name in _named(clue)}
        condition = kinds[clue.kind].constraint.format(a=clue.a, b=clue.b, k=clue.k, **known)
        lines.append(f"con {condition} #clue {number}")
    return lines


def read_clues(text: str, kinds: Kinds, forms: Forms) -> tuple[Clue, ...] | None:
    """The numbered sentences of a text as clues; None where one of them is of no known kind."""
    parts = {name: _parts(kind) for name, kind in kinds.items()}
    back = {slot: {words.casefold(): name for name, words in of.items()} for slot, of in forms.items()}
    longest = {slot: sorted(words, key=len, reverse=True) for slot, words in back.items()}
    found = []
    for _, sentence in NUMBERED.findall(text):
        said = sentence.strip().casefold()
        read = ((name, _slots(of, said, longest)) for name, of in parts.items())
        clue = next((_clue(name, slots, back) for name, slots in read if slots is not None), None)
        if clue is None:
            return None
        found.append(clue)
    return tuple(found)


def _named(clue: Clue) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("a", clue.a), ("b", clue.b)


def _sentence(clue: Clue, kind: Kind, forms: Forms) -> str:
    names = dict(_named(clue))
    return SLOT.sub(lambda slot: str(clue.k) if slot[1] == "k" else forms[slot[1]][names[slot[1][-1]]], kind.words)


def _parts(kind: Kind) -> list[str]:
    """Words and slots of a kind's sentence in turn, words first and last."""
    return [part if place % 2 else part.casefold() for place, part in enumerate(SLOT.split(kind.words))]


def _slots(parts: Sequence[str], said: str, longest: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
    """What stands in the slots of a sentence; None where it is of another kind.

    By hand, since a pattern of all names would have to be compiled for every puzzle.
    """
    words, *further = parts
    if not said.startswith(words):
        return None
    said = said[len(words) :]
    if not further:
        return None if said else {}
    slot, *rest = further
    for form in NUMBER.findall(said) if slot == "k" else longest.get(slot, ()):
        if form and said.startswith(form):
            found = _slots(rest, said[len(form) :], longest)
            if found is not None:
                return {slot: form, **found}
    return None


def _clue(kind: str, slots: Mapping[str, str], back: Mapping[str, Mapping[str, str]]) -> Clue:
    names = {slot[-1]: back[slot][form] for slot, form in slots.items() if slot != "k"}
    return Clue(kind, names.get("a", ""), names.get("b", ""), int(slots.get("k", 0)))
