"""An acrostic as it is printed: a quotation of numbered cells, and clues whose letters go to those cells."""

from __future__ import annotations

import re
from dataclasses import dataclass

CLUE = re.compile(r"^([A-Z]+)\n(\d{1,4}(?: \d{1,4})*) ?\n(.+)$", re.MULTILINE)
COUNTS = re.compile(r"\((\d{1,4}) words?, (\d{1,4}) letters?\)\s*$")
CELL = re.compile(r"\d{1,4}")


@dataclass(frozen=True, slots=True)
class AcrosticClue:
    """One clue: its letter, the cells of its answer in order, its words, and of how many words the answer is."""

    name: str
    cells: tuple[int, ...]
    clue: str
    words: int


@dataclass(frozen=True, slots=True)
class Acrostic:
    """`words` are the quotation's words as cells; a part of one that is punctuation stands as it is."""

    words: tuple[tuple[int | str, ...], ...]
    clues: tuple[AcrosticClue, ...]

    @property
    def cells(self) -> tuple[int, ...]:
        """Every cell, in the order of the quotation."""
        return tuple(cell for word in self.words for cell in word if isinstance(cell, int))


def read_acrostic(text: str) -> Acrostic | None:
    """The last acrostic in a text; None where there is none."""
    _, found, rest = text.rpartition("PUZZLE:\n")
    puzzle, has_clues, clue_text = rest.partition("\n\nCLUES:\n")
    if not found or not has_clues:
        return None
    words = tuple(
        tuple(int(cell) if CELL.fullmatch(cell) else cell for cell in word.split())
        for word in " ".join(puzzle.split()).split("#")
        if word.strip()
    )
    clues = tuple(_clue(*match) for match in CLUE.findall(clue_text))
    return Acrostic(words, clues) if clues else None


def _clue(name: str, cells: str, text: str) -> AcrosticClue:
    counts = COUNTS.search(text)
    said, words = (text[: counts.start()].rstrip(), int(counts[1])) if counts else (text, 1)
    return AcrosticClue(name, tuple(map(int, cells.split())), said, words)
