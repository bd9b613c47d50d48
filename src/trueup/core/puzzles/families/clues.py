"""Clues of a few kinds: a sentence, a constraint, and the way back.

A kind is written once, as a sentence and as a constraint with the same slots: `{a}` and `{b}` are names, of which a
sentence has one of their forms, `{k}` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SLOT = re.compile(r"\{(\w+)\}")
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
    patterns = {name: _pattern(kind, forms) for name, kind in kinds.items()}
    back = {slot: {words.casefold(): name for name, words in of.items()} for slot, of in forms.items()}
    found = []
    for _, sentence in NUMBERED.findall(text):
        matches = ((name, pattern.fullmatch(sentence.strip())) for name, pattern in patterns.items())
        clue = next((_clue(name, match, back) for name, match in matches if match), None)
        if clue is None:
            return None
        found.append(clue)
    return tuple(found)


def _named(clue: Clue) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("a", clue.a), ("b", clue.b)


def _sentence(clue: Clue, kind: Kind, forms: Forms) -> str:
    names = dict(_named(clue))
    return SLOT.sub(lambda slot: str(clue.k) if slot[1] == "k" else forms[slot[1]][names[slot[1][-1]]], kind.words)


def _pattern(kind: Kind, forms: Forms) -> re.Pattern[str]:
    parts = SLOT.split(kind.words)
    return re.compile("".join(_part(i, part, forms) for i, part in enumerate(parts)), re.IGNORECASE)


def _part(place: int, part: str, forms: Forms) -> str:
    if place % 2 == 0:
        return re.escape(part)
    offered = sorted(map(re.escape, forms.get(part, {}).values()), key=len, reverse=True)
    return rf"(?P<{part}>{'|'.join(offered) if part != 'k' else '[0-9]+'})"


def _clue(kind: str, match: re.Match[str], back: Mapping[str, Mapping[str, str]]) -> Clue:
    groups = match.groupdict()
    names = {slot[-1]: back[slot][words.casefold()] for slot, words in groups.items() if slot != "k"}
    return Clue(kind, names.get("a", ""), names.get("b", ""), int(groups.get("k", 0)))
