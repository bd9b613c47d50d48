"""Several answers to one puzzle in one text, each behind its worth; and what an answer says in plain words.

    worth -118.20
    <Mapping>
    {"X": "T", ...}
    </Mapping>

The likeliest comes last, so that whatever reads the last answer of a text reads that one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from trueup.core.puzzles.cryptogram import read_cryptogram
from trueup.core.puzzles.drop import read_drop
from trueup.core.types import Json

ONE = re.compile(r"worth (-?\d+\.\d+)\n<(Answer|Mapping)>\n(.*?)\n</\2>", re.DOTALL)
CLOSED = re.compile(r"(?<=[,;:.!?])(?=[A-Z])")
SENTENCE = re.compile(r"(?:^|[.!?]\s+)[a-z]|\bi\b")


@dataclass(frozen=True, slots=True)
class Decoding:
    """An answer, the tag it stands in, and how likely its words are in nats, beside other answers to the puzzle."""

    worth: float
    tag: str
    answer: Json

    @property
    def text(self) -> str:
        """The answer between its tags."""
        return f"<{self.tag}>\n{json.dumps(self.answer)}\n</{self.tag}>"


def written(decodings: Sequence[Decoding]) -> str:
    """Decodings, the likeliest first, as one text."""
    return "\n".join(f"worth {one.worth:.4f}\n{one.text}" for one in reversed(decodings))


def read_decodings(text: str) -> tuple[Decoding, ...]:
    """The decodings of a text, the likeliest first."""
    found = [Decoding(float(worth), tag, json.loads(answer)) for worth, tag, answer in ONE.findall(text)]
    return tuple(reversed(found))


def plain_words(statement: str, answer: Json) -> str | None:
    """What an answer makes of a stated cryptogram or drop quote, as a sentence; None for any other puzzle."""
    cryptogram = read_cryptogram(statement)
    if cryptogram is not None and isinstance(answer, dict):
        return _sentence("".join(answer.get(letter, letter) for letter in cryptogram.text))
    if read_drop(statement) is not None and isinstance(answer, list):
        cells = "".join(str(cell) for row in answer for cell in row)
        return _sentence(CLOSED.sub(" ", cells.replace("#", " ")))
    return None


def _sentence(capitals: str) -> str:
    words = " ".join(capitals.split()).lower()
    return SENTENCE.sub(lambda match: match[0].upper(), words)
