"""A crossword or an acrostic by candidates for every clue, and the one filling that they agree on.

The model proposes answers clue by clue, knowing only the clue and its length; belief propagation picks those that cross
(Wallace et al. 2022, arXiv:2205.09665, with a language model in the place of the question-answering index), beside
common words for a clue whose answer nobody proposed. An acrostic's answers cross the words of its quotation, of which a
lexicon knows the likely ones. The whole grid is never asked for, so no answer has to be taken back. Cost: n samples a
clue, of a short prompt each.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from trueup.core.asks import Flow, sample
from trueup.core.errors import BadInput, Unavailable
from trueup.core.lexicon import load_lexicon
from trueup.core.puzzles.acrostic import Acrostic, AcrosticClue, read_acrostic
from trueup.core.puzzles.assign import Candidates, Place, assign
from trueup.core.puzzles.crossword import Crossword, Slot, read_crossword
from trueup.core.puzzles.quotation import fill_acrostic, places_of
from trueup.core.puzzles.widen import fill_crossword
from trueup.core.types import Answer, Attempt, Message, Problem, Prompt, last_asked
from trueup.methods.spare import each

ASKED = "Crossword clue: {clue}\nThe answer has {size}. Reply with the answer alone, in capital letters."
CAPITALS = re.compile(r"\b[A-Z][A-Z' -]*\b")
WORDS = re.compile(r"[A-Z][A-Z']*")


def propose_and_assign(problem: Problem, *, n: int = 8, trust: float = 0.9) -> Flow[Answer]:
    """The filling of the crossword or acrostic that the problem states; none where it states neither.

    `trust` is the chance that a clue's answer is among n proposals, where any has the right length. Without the
    packages that hold the lexicon a crossword is filled by proposals alone, as the note says, and an acrostic raises
    Unavailable.
    """
    if not 0 <= trust <= 1:
        raise BadInput(f"trust is {trust}; it is a chance, take 0 to 1")
    statement = last_asked(problem.prompt)
    crossword, acrostic = read_crossword(statement), read_acrostic(statement)
    if crossword is not None:
        return (yield from _crossword(crossword, n, trust))
    if acrostic is not None:
        return (yield from _acrostic(acrostic, n, trust))
    return Answer("", None, "states no crossword and no acrostic")


def _crossword(crossword: Crossword, n: int, trust: float) -> Flow[Answer]:
    said = yield from each(sample(_prompt(slot), n) for slot in crossword.slots)
    candidates = {
        slot.name: _candidates(slot.cells, attempts or (), trust)
        for slot, attempts in zip(crossword.slots, said, strict=True)
    }
    if not _proposed(candidates):
        return _none(candidates)
    try:
        lexicon = load_lexicon()
    except Unavailable as error:
        return _answer(assign(candidates), candidates, f"; without words of its own: {error}")
    return _answer(fill_crossword(candidates, lexicon), candidates)


def _acrostic(acrostic: Acrostic, n: int, trust: float) -> Flow[Answer]:
    lexicon = load_lexicon()  # before anything is asked that could not be used without it
    said = yield from each(sample(_prompt(clue), n) for clue in acrostic.clues)
    candidates = {
        clue.name: _candidates(places_of(clue.cells), attempts or (), trust)
        for clue, attempts in zip(acrostic.clues, said, strict=True)
    }
    if not _proposed(candidates):
        return _none(candidates)
    letters = fill_acrostic(acrostic, candidates, lexicon)
    return _answer({str(cell): letters[cell] for cell in sorted(letters)}, candidates)


def _prompt(asked: Slot | AcrosticClue) -> Prompt:
    size = f"{len(asked.cells)} letters"
    if isinstance(asked, AcrosticClue) and asked.words > 1:
        size = f"{asked.words} words and {size} in all"
    return (Message("user", ASKED.format(clue=asked.clue, size=size)),)


def _answer(filled: Mapping[str, str], candidates: Mapping[str, Candidates], told: str = "") -> Answer:
    value = json.dumps(filled, sort_keys=True)
    return Answer(f"<Answer>\n{value}\n</Answer>", value, _note(candidates) + told)


def _none(candidates: Mapping[str, Candidates]) -> Answer:
    return Answer("", None, _note(candidates))


def _note(candidates: Mapping[str, Candidates]) -> str:
    return f"{_proposed(candidates)} of {len(candidates)} clues had a proposal of the right length"


def _proposed(candidates: Mapping[str, Candidates]) -> int:
    """How many clues have a proposal."""
    return sum(bool(one.words) for one in candidates.values())


def _proposal(text: str, length: int) -> str | None:
    """The last word in capitals of the right length behind any thought; else the last of that length at all."""
    said = text.rpartition("</think>")[2]
    for found in (CAPITALS.findall(said), WORDS.findall(said.upper())):
        plain = ["".join(letter for letter in word if letter.isalpha()) for word in found]
        fitting = [word for word in plain if len(word) == length]
        if fitting:
            return fitting[-1]
    return None


def _candidates(cells: tuple[Place, ...], attempts: Sequence[Attempt], trust: float) -> Candidates:
    """Proposals of a slot's length, each weighted by how often it was made."""
    said = (_proposal(attempt.text, len(cells)) for attempt in attempts)
    fitting = Counter(word for word in said if word)
    total = sum(fitting.values())
    return Candidates(cells, tuple(fitting), tuple(trust * count / total for count in fitting.values()))
