"""Verdicts of judges: read, counted, and corrected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trueup.core.asks import Flow, judge
from trueup.core.errors import BadInput
from trueup.core.judging import true_share
from trueup.core.types import Attempt, Problem, Prompt, Sampling


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


def last_word(text: Attempt, words: Sequence[str]) -> str | None:
    """The verdict of a text, after any thinking: letters as they are, words in whatever case; None where it has none.

    It stands right behind the choice ("yes or no") where the judge says that again, else it is the word said last with
    no other behind it; failing that, the only letter said, or the word that a text begins with.
    """
    spoken = text.text.rpartition("</think>")[2]
    are_letters = max(map(len, words)) == 1
    case = re.NOFLAG if are_letters else re.IGNORECASE
    word = rf"\b({'|'.join(words)})\b"
    alone = word + r"(?![ \t]*\w)"
    behind = re.split(rf"\b{' or '.join(words)}\b", spoken, flags=case)[-1]
    found = re.findall(rf"\A\W*{alone}", behind, case) if behind != spoken else []
    found = found or re.findall(alone, behind, case)[-1:]
    found = found or re.findall(word if are_letters else rf"\A\W*{word}", behind, case)
    said = {one.lower() for one in found}
    return next((word for word in words if said == {word.lower()}), None)
