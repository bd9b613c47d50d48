"""Verdicts of judges: read, counted, and corrected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trueup.core.asks import Flow, judge
from trueup.core.errors import BadInput
from trueup.core.judging import true_share
from trueup.core.types import Attempt, Problem, Prompt, Sampling

SENTENCE = re.compile(r"[.!?;\n]")
NEITHER = re.compile(r"\bneither\b", re.IGNORECASE)
DENIED = re.compile(
    r"\b(?:no|not|never|hardly|wrong|incorrect|worse|less|reject|errors?|mistakes?|flaw\w*)\b|n't\b", re.IGNORECASE
)
TURNS = re.compile(r"\b(?:but|however|though)\b")
IS = "(?:is|was|looks|seems)"
BETTER = "better|nearer|closer|right|correct|accurate|preferable|superior|stronger"


@dataclass(frozen=True, slots=True)
class Bench:
    """Who judges, in how many texts of how many tokens, and how often rightly.

    `q1` is the share of right answers that it passes, `q0` the share of wrong ones that it rejects.
    """

    k: int
    tokens: int
    model: str
    q0: float = 1.0
    q1: float = 1.0

    def refuse_misfits(self, owner: str) -> None:
        """Raises BadInput for settings that no judge can have, or under which it says nothing."""
        if self.k < 1:
            raise BadInput(f"{owner} k is {self.k}; give at least 1 text per judgement")
        if self.tokens < 1:
            raise BadInput(f"{owner} tokens is {self.tokens}; give at least 1 token per text")
        if not (0 <= self.q0 <= 1 and 0 <= self.q1 <= 1) or self.q0 + self.q1 <= 1:
            raise BadInput(
                f"{owner} has q0={self.q0} and q1={self.q1}; these are rates whose sum is above 1, "
                f"or the judge is no better than chance: take vote"
            )

    def corrected(self, share: float) -> float:
        """An unbiased estimate of the truth behind a share of votes: 1 for what is right, 0 for what is wrong."""
        return true_share(share, self.q0, self.q1)

    def sampling(self, problem: Problem) -> Sampling:
        """The problem's own sampling for free text of this length."""
        return replace(problem.sampling, max_tokens=self.tokens, stop=(), schema=None, grammar=None)


def hear_bench(
    problem: Problem, bench: Bench, prompt: Prompt, words: tuple[str, str], start: int = 0
) -> Flow[list[str]]:
    """The words that the bench's texts end in; a text that ends in none says nothing."""
    texts = yield from judge(prompt, bench.k, start=start, sampling=bench.sampling(problem), model=bench.model)
    return [word for text in texts if (word := last_word(text, words))]


def share_of(said: Sequence[str], words: tuple[str, str]) -> float | None:
    """The share of the first of two words; None where nothing was said."""
    return said.count(words[0]) / len(said) if said else None


def last_word(text: Attempt, words: tuple[str, str]) -> str | None:
    """The verdict of a text, after any thinking: letters as they are, words in whatever case; None where it has none.

    It stands right behind the choice ("yes or no") where the judge says that again, else where `_last_letter` or
    `_last_said` of what follows find it.
    """
    spoken = text.text.rpartition("</think>")[2]
    are_letters = max(map(len, words)) == 1
    case = re.NOFLAG if are_letters else re.IGNORECASE
    behind = re.split(rf"\b{' or '.join(words)}\b", spoken, flags=case)[-1]
    found = re.findall(rf"\A\W*{_alone(words)}", behind, case) if behind != spoken else []
    if not found and are_letters:
        return _last_letter(behind, words)
    said = {one.lower() for one in found or _last_said(behind, words)}
    return next((word for word in words if said == {word.lower()}), None)


def _alone(words: tuple[str, str]) -> str:
    """One of two words that no other follows."""
    return rf"\b({'|'.join(words)})\b(?![ \t]*\w)"


def _last_said(text: str, words: tuple[str, str]) -> list[str]:
    """The word said last with no other behind it; failing that, the one that the text begins with."""
    return re.findall(_alone(words), text, re.I)[-1:] or re.findall(rf"\A\W*\b({'|'.join(words)})\b", text, re.I)


def _last_letter(text: str, words: tuple[str, str]) -> str | None:
    """The letter that has a line to itself, else the one that the last sentence with any prefers to the other.

    Failing that, the letter said last with no word behind it, or the only one said, unless that is denied.
    """
    letter = rf"\b({'|'.join(words)})\b"
    lone = re.findall(rf"^[^\w\n]*(?:(?i:answer|verdict)[^\w\n]+)*{letter}[^\w\n]*$", text, re.MULTILINE)
    if lone:
        return str(lone[-1])
    sentence = next((one for one in reversed(SENTENCE.split(text)) if re.search(letter, one)), "")
    if NEITHER.search(sentence):
        return None
    said = re.findall(letter, text)
    only = said[-1:] if len(set(said)) == 1 and not DENIED.search(text) else []
    found = (
        _preferred(sentence, letter)
        or re.findall(rf"(?<!ompared with )(?<!ompared to ){_alone(words)}", text)[-1:]
        or only
    )
    return next(iter(found), None)


def _preferred(sentence: str, letter: str) -> list[str]:
    """The letter that a sentence puts before the other one, alone in a list; none where it denies that, or goes on."""
    one = rf"(?:the\s+)?(?:[Aa]nswer\s+)?{letter}"
    before = rf"[,(]?\s+\(?(?:and\s+)?(?:over|not|rather than|instead of)\s+{one}"
    forms = (
        rf"{letter}\s+{IS}\s+((?:\w+\s+){{0,2}})(?:{BETTER})\b[^,;]{{0,40}}?,?\s*\b(?:than|over|not)\s+{one}",
        rf"\b(?:prefer|choose|pick|favou?r|take|select)\s+{one}(){before}",
        rf"{letter}(){before}\W*$",
    )
    for found in filter(None, (re.search(form, sentence) for form in forms)):
        is_denied = DENIED.search(sentence[: found.start()] + found[2])
        if found[1] != found[3] and not is_denied and not TURNS.search(sentence, found.end()):
            return [found[1]]
    return []
