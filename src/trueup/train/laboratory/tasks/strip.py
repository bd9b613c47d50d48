"""Fill a strip of cells with letters, and write the search down.

`1.2+3c4-....=` has cells 1 to 4: the letter in 2 is above the one in 1, that in 3 is c, that in 4 below the one in 3.
The reasoning fills cells from the left, each with the letters in their order. A step is a cell, what is said of it, the
letter before it, the letter tried, and whether that holds, `;`, or breaks what is said, `!`; where the last letter was
tried in vain, the cell before is taken back, `?`. So `!` and `?` are its reflections: `1..a;2+aa!2+ab;3cba!3cbb!3cbc;`.
Of several solutions the first in the alphabet is asked for, which this search finds. A strip begins at any cell, so
that no size has a token of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Examples
from trueup.train.laboratory.vocabulary import PAD, encode_rows, token

LETTERS, MOST_CELLS = "abcd", 6
ABOVE, BELOW, BESIDE, APART = "+-*:"
GIVEN = "g"
"""The kind of what is said where the letter itself is."""
HOLDS, BROKEN, UNDONE = ";", "!", "?"
REFLECTIONS = BROKEN + UNDONE
BLANK, ASK, ANSWER, END = ".", "=", "#", "$"
PROMPT_TOKENS = 2 * MOST_CELLS + 1
TRIES = 2000
"""Strips that are drawn for one that is wanted."""

SAID_SHARE = 0.85
"""Of how many cells anything is said."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A strip whose first cell has the number `first`.

    Of each cell is said how its letter stands to the one before, or the letter itself, or nothing.
    """

    first: int
    cells: str

    @property
    def solution(self) -> str:
        """The first way to fill it in the order of the alphabet; empty where there is none."""
        return next(self._ways(""), "")

    @property
    def prompt(self) -> str:
        """What is asked; all prompts have one length."""
        cells = "".join(f"{number}{said}" for number, said in enumerate(self.cells, self.first))
        return cells.ljust(2 * MOST_CELLS, BLANK) + ASK

    @property
    def worked(self) -> str:
        """The search in writing, and the answer."""
        solution = self.solution
        return f"{''.join(self._search('', solution))}{ANSWER}{solution}{END}"

    def kinds(self) -> str:
        """What kinds of things are said."""
        return "".join(GIVEN if said in LETTERS else said for said in self.cells if said != BLANK)

    def step(self, begun: str, mark: str) -> str:
        """The last letter of a beginning in writing."""
        place = len(begun) - 1
        return f"{self.first + place}{self.cells[place]}{(BLANK + begun)[-2:]}{mark}"

    def holds(self, begun: str) -> bool:
        """Whether the last letter of a beginning breaks nothing that is said of its cell."""
        said = self.cells[len(begun) - 1]
        if said in LETTERS:
            return said == begun[-1]
        return said == BLANK or tied(said, begun[-2], begun[-1])

    def _ways(self, begun: str) -> Iterator[str]:
        """Every way to go on from a beginning that holds, in the order of the alphabet."""
        for longer in (begun + letter for letter in LETTERS):
            if self.holds(longer):
                yield from [longer] if len(longer) == len(self.cells) else self._ways(longer)

    def _search(self, begun: str, solution: str) -> Iterator[str]:
        """Everything written below a beginning that holds, up to the solution."""
        for letter in LETTERS:
            longer = begun + letter
            holds = self.holds(longer)
            yield self.step(longer, HOLDS if holds else BROKEN)
            if holds and len(longer) < len(self.cells):
                yield from self._search(longer, solution)
            if solution.startswith(longer):
                return
            if holds:
                yield self.step(longer, UNDONE)


def tied(tie: str, before: str, letter: str) -> bool:
    """Whether a letter stands so to the one before it."""
    gap = ord(letter) - ord(before)
    return {ABOVE: gap > 0, BELOW: gap < 0, BESIDE: abs(gap) == 1, APART: abs(gap) > 1}[tie]


def draw_strip(rng: Random, size: int, kinds: str, *, wanted: Callable[[Strip], bool]) -> Strip:
    """A strip of so many cells, of which only things of these kinds are said, with a solution, and that is wanted.

    Raises BadInput where none is found.
    """
    if not 2 <= size <= MOST_CELLS:
        raise BadInput(f"{size} cells; this task has 2 to {MOST_CELLS}")
    for _ in range(TRIES):
        cells = "".join(_said(rng, kinds, can_be_tied=place > 0) for place in range(size))
        strip = Strip(rng.randint(1, MOST_CELLS - size + 1), cells)
        if strip.solution and wanted(strip):
            return strip
    raise BadInput(f"found no strip of {size} cells of which {kinds!r} are said; ask for less of it")


def worked_rows(strips: Sequence[Strip]) -> Examples:
    """Strips with their searches, of which all is learned."""
    tokens_BT = encode_rows([strip.prompt + strip.worked for strip in strips])
    learned_BT = tokens_BT != PAD
    learned_BT[:, :PROMPT_TOKENS] = False
    return Examples(tokens_BT, learned_BT)


def judged_rows(rng: Random, strips: Sequence[Strip], steps: int, *, ties: str = "") -> Examples:
    """Strips with beginnings drawn at random, of which only the verdicts are learned: nothing is searched.

    With `ties` they end in cells that are tied so, of which every strip must have one.
    """
    written = [strip.prompt + "".join(_judged(rng, strip, ties) for _ in range(steps)) for strip in strips]
    tokens_BT = encode_rows(written)
    return Examples(tokens_BT, np.isin(tokens_BT, [token(HOLDS), token(BROKEN)]))


def _judged(rng: Random, strip: Strip, ties: str) -> str:
    """A beginning and whether its last letter breaks something."""
    lengths = [place for place, tie in enumerate(strip.cells, 1) if not ties or tie in ties]
    begun = "".join(rng.choices(LETTERS, k=rng.choice(lengths)))
    return strip.step(begun, HOLDS if strip.holds(begun) else BROKEN)


def _said(rng: Random, kinds: str, *, can_be_tied: bool) -> str:
    """Something of these kinds to say of a cell, or nothing."""
    kind = rng.choice(kinds) if rng.random() < SAID_SHARE else BLANK
    if kind == GIVEN:
        return rng.choice(LETTERS)
    return kind if can_be_tied else BLANK
