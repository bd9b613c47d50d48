"""Programs in a writer's text: found, labelled, mended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from trueup.core.csp.lexer import read_words
from trueup.core.csp.limits import Limits
from trueup.core.csp.parse import Draft, read_line
from trueup.core.csp.read import FENCE, last_block
from trueup.core.csp.scope import Scope
from trueup.core.errors import BadInput

LONGEST = Limits(characters=100_000, nodes=100_000)
"""What is read of a writer's text in this process; a solver's takes more."""
CUE = "Program:"
NUMBERED = re.compile(r"^[ \t]*\(?(\d{1,3})[.):][ \t]+(\S.*)$", re.MULTILINE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
CLUE_NUMBER = re.compile(r"(?:clue[ _-]*)?(\d+)(?:[:.)](?:\s.*)?)?", re.IGNORECASE)
DECLARES = frozenset({"int", "float", "bool", "letter", "enum", "var", "lexicon", "minimize", "maximize"})
DECLARATION = re.compile(rf"[ \t\r]*(?:{'|'.join(sorted(DECLARES))})\b")
MISSES = 100
"""Declarations that cannot be read, after which no more are tried."""


def stated(text: str) -> str:
    """What a text states as a program: its last block, closed or not, else what is behind the cue, else all of it."""
    said = text.rpartition("</think>")[2]
    block = last_block(said)
    return (said.rpartition(CUE)[2] if block is None else block).strip()


def is_closed(text: str) -> bool:
    """Whether the block of a text has come to its end."""
    fences = text.rpartition("</think>")[2].count(FENCE)
    return fences > 0 and fences % 2 == 0


def labelled(program: str) -> str:
    """The program with a name of its own for each constraint that names no clue, to tell a conflict by."""
    lines = program.splitlines()
    clues = [clue_of(line) for line in lines]
    taken = frozenset(clues)
    free = (name for place in count(1) if (name := f"L{place}") not in taken)
    return "\n".join(f"{line} #{next(free)}" if clue == "" else line for line, clue in zip(lines, clues, strict=True))


def clue_of(line: str) -> str | None:
    """The clue that a line names, empty where it is a constraint that names none; None for any other line."""
    try:
        words = read_words(line)
    except BadInput:
        return None
    if words.sorts[0] != "name" or words.texts[0] != "con":
        return None
    return words.texts[-2][1:].strip() if words.sorts[-2] == "clue" else ""


def without_clue(line: str) -> str:
    """A readable line without the name of its clue."""
    words = read_words(line)
    return line[: words.column(-2) - 1].rstrip() if words.sorts[-2] == "clue" else line.rstrip()


def mended(program: str, reply: str, names: Sequence[str]) -> str:
    """The program with a reply's lines for the clues of these names in the place of its own; others stay.

    Names of one number are one clue's. What the reply declares anew stands in front of the first of its lines. Without
    names what is new in the reply comes behind the program. A reply that declares all that the program does,
    and has as many constraints or more, is a whole program and stands in its place; with fewer it would drop some.
    """
    said = [line for line in reply.splitlines() if clue_of(line) is not None]
    own = [line for line in program.splitlines() if clue_of(line) is not None]
    if scope_of(program).variables.keys() <= scope_of(reply).variables.keys() and len(said) >= len(own):
        return reply
    further = _further(program, reply)
    if not names:
        return "\n".join([program, *further])
    return _replaced(program, [line for line in further if clue_of(line) is None], said, names)


def _replaced(program: str, declared: Sequence[str], said: Sequence[str], names: Sequence[str]) -> str:
    """Lines that name no clue count for the program's in order, where they are as many."""
    lines, wanted = [(line, _clue_meant(line)) for line in program.splitlines()], frozenset(map(_meant, names))
    offered, old = [(line, _clue_meant(line)) for line in said], [name for _, name in lines if name in wanted]
    if len(said) == len(old) and not any(name in wanted for _, name in offered):
        offered = [(f"{without_clue(line)} #{name}", name) for line, name in zip(said, old, strict=True)]
    instead: dict[str | None, list[str]] = {}
    for line, name in offered:
        if name in wanted:
            instead.setdefault(name, []).append(line)
    first = next((place for place, (_, name) in enumerate(lines) if name in instead), None)
    if first is not None:
        lines[first:first] = [(line, None) for line in declared]
    found: list[str] = []
    for line, name in lines:
        found += dict.fromkeys(instead[name]) if name in instead else [line]
        if name in instead:
            instead[name] = []  # the reply's lines stand where the clue's first line stood
    return "\n".join(found)


def _clue_meant(line: str) -> str | None:
    """The clue that a line names, by its number if it has one; as in `clue_of` where it names none."""
    name = clue_of(line)
    return name and _meant(name)


def _meant(name: str) -> str:
    return clue_number(name) or name


def _further(program: str, reply: str) -> list[str]:
    """The constraints and declarations of a reply that the program has not."""
    declared, own = _declared(program), frozenset(program.splitlines())
    return [
        line
        for line in reply.splitlines()
        if line not in own and (clue_of(line) is not None or (line.split(" ")[0] in DECLARES and declared.take(line)))
    ]


def scope_of(program: str) -> Scope:
    """The names that a program declares, as far as its lines can be read; its constraints are passed over."""
    return _declared(program).draft.scope


@dataclass(slots=True)
class Declarations:
    """What lines declare, and how many of them could not be read."""

    draft: Draft = field(default_factory=partial(Draft, LONGEST))
    misses: int = 0

    def take(self, line: str) -> bool:
        """Whether a line declares something that can be taken up, which it is then."""
        if self.misses >= MISSES or DECLARATION.match(line) is None:
            return False
        try:
            read_line(self.draft, line)
        except BadInput:
            self.misses += 1
            return False
        return True


def _declared(program: str) -> Declarations:
    declared = Declarations()
    for line in program.splitlines():
        declared.take(line)
    return declared


def names_in(scope: Scope) -> tuple[str, ...]:
    """All that a constraint may name: variables, arrays, labels."""
    alone = [name for name in scope.variables if name.partition("[")[0] not in scope.arrays]
    return tuple(
        dict.fromkeys([*alone, *scope.arrays, *(label for labels in scope.enums.values() for label in labels)])
    )


def numbered_clues(statement: str) -> Mapping[str, str]:
    """The numbered lines of a statement, by number."""
    return dict(NUMBERED.findall(statement))


def clues_of(statement: str) -> Mapping[str, str]:
    """The numbered lines of a statement; where it has none its sentences up to the first question, counted from 1."""
    if numbered := numbered_clues(statement):
        return numbered
    sentences = [one.strip() for one in SENTENCE_END.split(statement) if one.strip()]
    asked = next((place for place, one in enumerate(sentences) if one.endswith("?")), len(sentences))
    told = sentences[:asked] or [one for one in sentences if not one.endswith("?")]
    return {str(place): one for place, one in enumerate(told, 1)}


def clue_number(name: str) -> str | None:
    """The number in a clue's name: `clue 3`, `3` and `3: Bob sits` are 3."""
    match = CLUE_NUMBER.fullmatch(name)
    return match[1] if match else None
