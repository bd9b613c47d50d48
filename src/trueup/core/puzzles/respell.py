"""Mends an acrostic's filling by what belief propagation does not know.

Which words stand side by side in the quotation, and that an answer that nobody proposed is made of words too, of as
many as its clue says. A local search: another word in a place of the quotation, a proposal in a clue's place, or a clue
spelled again through letters that each leave a word where they cross. Worth is in nats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, exp, inf, log

import numpy as np

from trueup.core.lexicon import Lexicon
from trueup.core.puzzles.acrostic import AcrosticClue
from trueup.core.puzzles.assign import LETTERS, PRIOR

Changes = dict[int, str]
Form = tuple[int | str, ...]
UNKNOWN = log(0.02)
"""The chance that a word of the quotation is not in the lexicon."""
EVENNESS = 0.5
"""How much frequency counts in an answer: clues ask for rare words more often than sentences do."""
ROUNDS, WIDTH, LEAST_GAIN = 6, 300, 1e-9
LONGEST = 40
"""Letters of an answer that is parted into words, or spelled again."""
LOG_PRIOR: Mapping[str, float] = dict(zip(LETTERS, np.log(PRIOR).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Page:
    """The quotation's words as cells and apostrophes, whether each goes on from the one before, and words likely there.

    Behind them the clues, and the weights of what was proposed to each.
    """

    forms: tuple[Form, ...]
    follows: tuple[bool, ...]
    shortlists: tuple[tuple[str, ...], ...]
    clues: tuple[AcrosticClue, ...]
    proposals: Mapping[str, Mapping[str, float]]
    lexicon: Lexicon


def respelled(page: Page, letters: Mapping[int, str]) -> dict[int, str]:
    """The filling after changes that make it likelier, until none does."""
    judge, found = _judge(page), dict(letters)
    for _ in range(ROUNDS):
        is_better = False
        for changes in _moves(judge, found):
            changed = [cell for cell, letter in changes.items() if found[cell] != letter]
            if not changed:
                continue
            trial = found | changes
            if judge.worth(trial, changed) > judge.worth(found, changed) + LEAST_GAIN:
                found.update(changes)
                is_better = True
        if not is_better:
            break
    return found


@dataclass(slots=True)
class _Judge:
    """What a filling is worth, and where each cell stands; answers' worths are kept once they are known."""

    page: Page
    runs_of: Mapping[int, int]
    clues_of: Mapping[int, Sequence[int]]
    norms: Mapping[int, float]
    phrases: dict[tuple[str, int], float] = field(default_factory=dict)

    def worth(self, letters: Mapping[int, str], cells: Sequence[int]) -> float:
        """Of all that these cells stand in."""
        runs = {self.runs_of[cell] for cell in cells if cell in self.runs_of}
        joints = {joint for run in runs for joint in (run, run + 1) if joint < len(self.page.forms)}
        total = sum(self.word(spelled(self.page.forms[run], letters)) for run in runs)
        for joint in joints:
            if self.page.follows[joint]:
                left, right = (spelled(self.page.forms[run], letters) for run in (joint - 1, joint))
                total += self.page.lexicon.gain(left, right)
        return total + sum(
            self.answer(clue, letters) for clue in {clue for cell in cells for clue in self.clues_of.get(cell, ())}
        )

    def word(self, text: str) -> float:
        """Of a word of the quotation."""
        known = self.page.lexicon.logp.get(text)
        return UNKNOWN + _by_letters(text.replace("'", "")) if known is None else known

    def answer(self, clue: int, letters: Mapping[int, str]) -> float:
        """Of the answer to a clue: by its weight, and by its words in so far as it may not have been proposed."""
        asked = self.page.clues[clue]
        text = spelled(asked.cells, letters)
        weights = self.page.proposals.get(asked.name, {})
        unknown = max(1e-3, 1.0 - sum(weights.values()))
        return log(weights.get(text, 0.0) + unknown * exp(self.phrase(text, asked.words)))

    def phrase(self, text: str, words: int) -> float:
        """Of so many words, or of letters alone."""
        if (text, words) not in self.phrases:
            known = self._parted(text, words) if 1 <= words <= len(text) <= LONGEST else -inf
            self.phrases[text, words] = float(np.logaddexp(known, _by_letters(text))) - log(2)
        return self.phrases[text, words]

    def _parted(self, text: str, words: int) -> float:
        """Of the likeliest way to part a text into so many words."""
        best = [0.0, *[-inf] * len(text)]
        for _ in range(words):
            best = [
                max((best[j] + self._part(text[j:i]) for j in range(i) if best[j] > -inf), default=-inf)
                for i in range(len(text) + 1)
            ]
        return best[-1] - log(comb(len(text) - 1, words - 1))

    def _part(self, text: str) -> float:
        return EVENNESS * self.page.lexicon.logp.get(text, -inf) - self.norms.get(len(text), 0.0)


def spelled(form: Form, letters: Mapping[int, str]) -> str:
    """Cells as their letters, an apostrophe as it stands."""
    return "".join(letters[one] if isinstance(one, int) else "'" for one in form)


def _by_letters(text: str) -> float:
    return sum(LOG_PRIOR[letter] for letter in text)


def _judge(page: Page) -> _Judge:
    runs = {cell: run for run, form in enumerate(page.forms) for cell in form if isinstance(cell, int)}
    clues: dict[int, list[int]] = {}
    for place, clue in enumerate(page.clues):
        for cell in clue.cells:
            clues.setdefault(cell, []).append(place)
    norms = {
        length: float(np.logaddexp.reduce(EVENNESS * words.logp)) for length, words in page.lexicon.by_length.items()
    }
    return _Judge(page, runs, clues, norms)


def _moves(judge: _Judge, letters: Mapping[int, str]) -> Iterator[Changes]:
    """Changes worth a look; `letters` may change while they are drawn."""
    for form, shortlist in zip(judge.page.forms, judge.page.shortlists, strict=True):
        cells = [cell for cell in form if isinstance(cell, int)]
        for word in shortlist:
            yield dict(zip(cells, word, strict=True))
    for clue in judge.page.clues:
        proposals = judge.page.proposals.get(clue.name, {})
        for word in proposals:
            yield dict(zip(clue.cells, word, strict=True))
        if len(clue.cells) <= LONGEST and spelled(clue.cells, letters) not in proposals:
            yield from _respellings(judge, clue, letters)


def _respellings(judge: _Judge, clue: AcrosticClue, letters: Mapping[int, str]) -> list[Changes]:
    """Ways to spell a clue's answer that leave words in the quotation, those with the commonest words."""
    ways: list[tuple[float, Changes]] = [(0.0, {})]
    for cell in dict.fromkeys(clue.cells):
        if cell not in judge.runs_of:
            continue
        form, longer = judge.page.forms[judge.runs_of[cell]], []
        for worth, changes in ways:
            stands = spelled(form, {**letters, **changes})
            is_free, held = stands not in judge.page.lexicon.logp, judge.word(stands)
            for letter in LETTERS:
                text = "".join(letter if one == cell else old for one, old in zip(form, stands, strict=True))
                if is_free or letter == letters[cell] or text in judge.page.lexicon.logp:
                    longer.append((worth + judge.word(text) - held, {**changes, cell: letter}))
        ways = sorted(longer, key=lambda one: -one[0])[:WIDTH]
    return [changes for _, changes in ways]
