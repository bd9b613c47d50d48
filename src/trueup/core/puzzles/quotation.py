"""Fills an acrostic: its clues by proposals, its quotation by common words.

Every cell stands in one clue's answer and in one word of the quotation. Belief propagation settles both together
(`assign.py`), then a search mends what is left with what it cannot know (`respell.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueup.core.lexicon import ALPHABET, Lexicon
from trueup.core.puzzles.acrostic import Acrostic
from trueup.core.puzzles.assign import Candidates, Place, assign_greedily
from trueup.core.puzzles.respell import Page, respelled

APOSTROPHES = "'\u2019"
CHOICES, SHARE, EVENNESS = 20_000, 0.98, 0.8
"""Words tried in a place of the quotation, the chance that its word is among them, how much frequency counts there."""
SHORTLIST = 50


@dataclass(frozen=True, slots=True)
class Run:
    """A word of the quotation: cells and apostrophes in order, and whether it goes on from the word before it."""

    form: tuple[int | str, ...]
    follows: bool

    @property
    def cells(self) -> tuple[int, ...]:
        """Its cells alone."""
        return tuple(one for one in self.form if isinstance(one, int))


def fill_acrostic(acrostic: Acrostic, proposals: Mapping[str, Candidates], lexicon: Lexicon) -> dict[int, str]:
    """A letter for every cell; `proposals` are by the clue's letter, in the cells that `places_of` gives."""
    runs = quotation_runs(acrostic)
    common = {str(place): _common(run, lexicon) for place, run in enumerate(runs)}
    candidates = common | dict(proposals)
    found = assign_greedily(candidates, k=SHORTLIST)
    letters = {
        cell: letter
        for name, word in found.words.items()
        for (_, cell), letter in zip(candidates[name].cells, word, strict=True)
    }
    page = Page(
        tuple(run.form for run in runs),
        tuple(run.follows for run in runs),
        tuple(found.shortlists[name] for name in common),
        acrostic.clues,
        {name: dict(zip(one.words, one.weights, strict=True)) for name, one in proposals.items()},
        lexicon,
    )
    return respelled(page, letters)


def quotation_runs(acrostic: Acrostic) -> tuple[Run, ...]:
    """The quotation's words; any other mark than an apostrophe parts them, and one at a word's edge is a quote's."""
    runs: list[Run] = []
    is_open = False
    for word in acrostic.words:
        parts: list[list[int | str]] = [[]]
        for one in word:
            if isinstance(one, int) or one in APOSTROPHES:
                parts[-1].append(one)
            else:
                parts.append([])
        for part in parts:
            cells = [place for place, one in enumerate(part) if isinstance(one, int)]
            if cells:
                inner = part[cells[0] : cells[-1] + 1]
                runs.append(Run(tuple(inner), is_open and part is parts[0] and cells[0] == 0))
        is_open = isinstance(word[-1], int)
    return tuple(runs)


def places_of(cells: Sequence[int]) -> tuple[Place, ...]:
    """Numbered cells as places of one row."""
    return tuple((0, cell) for cell in cells)


def _common(run: Run, lexicon: Lexicon) -> Candidates:
    """The commonest words with a run's length and apostrophes."""
    cells = places_of(run.cells)
    words = lexicon.by_length.get(len(run.form))
    if words is None:
        return Candidates(cells, (), ())
    marks = np.array([not isinstance(one, int) for one in run.form])
    fits = ((words.letters == ALPHABET.index("'")) == marks).all(1)
    weights = words.weighted(np.flatnonzero(fits)[:CHOICES], EVENNESS, SHARE)
    return Candidates(cells, tuple(text.replace("'", "") for text in weights), tuple(weights.values()))
