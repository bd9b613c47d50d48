"""A crossword by candidates for every clue, and the one filling that they agree on.

The model proposes answers clue by clue, knowing only the clue and its length; belief propagation picks those that cross
(Wallace et al. 2022, arXiv:2205.09665, with a language model in the place of the question-answering index). The whole
grid is never asked for, so no answer has to be taken back. Cost: n samples a clue, of a short prompt each.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence

from trueup.core.asks import Flow, sample
from trueup.core.puzzles.assign import Candidates, assign
from trueup.core.puzzles.crossword import Slot, read_crossword
from trueup.core.types import Answer, Attempt, Message, Problem, Prompt, last_asked

ASKED = "Crossword clue: {clue}\nThe answer has {length} letters. Reply with the answer alone, in capital letters."
CAPITALS = re.compile(r"\b[A-Z][A-Z' -]*\b")
WORDS = re.compile(r"[A-Z][A-Z']*")


def propose_and_assign(problem: Problem, *, n: int = 8, trust: float = 0.9) -> Flow[Answer]:
    """The filling of the crossword that the problem states; none where it states no crossword.

    `trust` is the chance that a clue's answer is among n proposals, where any has the right length.
    """
    crossword = read_crossword(last_asked(problem.prompt))
    if crossword is None:
        return Answer("", None, "states no crossword")
    candidates = {}
    for slot in crossword.slots:
        attempts = yield from sample(_prompt(slot), n)
        candidates[slot.name] = _candidates(slot, attempts, trust)
    proposed = sum(bool(one.words) for one in candidates.values())
    note = f"{proposed} of {len(candidates)} clues had a proposal of the right length"
    if not proposed:
        return Answer("", None, note)
    filled = json.dumps(assign(candidates), sort_keys=True)
    return Answer(f"<Answer>\n{filled}\n</Answer>", filled, note)


def _prompt(slot: Slot) -> Prompt:
    return (Message("user", ASKED.format(clue=slot.clue, length=len(slot.cells))),)


def _proposal(text: str, length: int) -> str | None:
    """The last word in capitals of the right length behind any thought; else the last of that length at all."""
    said = text.rpartition("</think>")[2]
    for found in (CAPITALS.findall(said), WORDS.findall(said.upper())):
        plain = ["".join(letter for letter in word if letter.isalpha()) for word in found]
        fitting = [word for word in plain if len(word) == length]
        if fitting:
            return fitting[-1]
    return None


def _candidates(slot: Slot, attempts: Sequence[Attempt], trust: float) -> Candidates:
    """Proposals of a slot's length, each weighted by how often it was made."""
    said = (_proposal(attempt.text, len(slot.cells)) for attempt in attempts)
    fitting = Counter(word for word in said if word)
    total = sum(fitting.values())
    return Candidates(slot.cells, tuple(fitting), tuple(trust * count / total for count in fitting.values()))
