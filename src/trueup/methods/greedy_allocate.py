"""One budget for many problems, spent where a sample gains most.

Damani et al. 2024, arXiv:2410.04707: samples go one by one to the largest marginal gain. They learn the gain from the
prompt; we keep a posterior per problem and update it with every attempt.
With a check an attempt's chance is Beta(1, 1 + failures), and what has passed gains no more. Without one the two
leading answers share a Beta(1 + n1, 1 + n2) (as in Adaptive-Consistency), and the gain is that of knowing the leader
better: E max P after j more attempts, less max P now, over j, at the best j, since one attempt alone often cannot turn
a vote (Frazier and Powell 2010). It is weighed by the share of attempts that the two leaders have, a
new answer counted among them once: scattered attempts promise little. What is bought is to know the commonest answer:
where that is wrong as often as right, nothing is gained over an even spread. It is measured and never served: a
request comes alone.
Cost: budget * problems samples, fewer where all have passed their check or had n; a check per attempt where there is
one.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import comb
from typing import Any

from trueup.core.asks import Ask, BatchFlow, Check, Sample
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Attempt, Grade, Problem
from trueup.methods.adaptive_vote import beta_lead
from trueup.methods.tally import count, elect

REACH = 16
"""How many attempts beyond those that could turn it a vote is thought ahead."""

ROUNDS = 8
"""A round that reached all problems would be an even spread, so it reaches one in so many."""


@dataclass(slots=True)
class Page:
    """What a problem has had so far, and what one more sample is expected to gain."""

    problem: Problem
    attempts: list[Attempt] = field(default_factory=list)
    grades: list[Grade] = field(default_factory=list)
    most: int | None = None
    is_open: bool = True
    gain: float = 0.0

    def update(self) -> None:
        """Bring the gain up to date; a page closes where nothing is left to gain, or with its last attempt."""
        if any(grade.is_right for grade in self.grades) or len(self.attempts) == self.most:
            self.is_open = False
        elif self.problem.checkable:
            self.gain = 1.0 / (2.0 + len(self.attempts))
        else:
            first, second = _leaders(self.attempts)
            self.gain = (first + second + 1) / (len(self.attempts) + 1) * vote_gain(first, second)

    def answer(self) -> Answer:
        """The best graded attempt where there is a check, else the vote; nothing where there is none."""
        if self.grades:
            return Answer.best(self.attempts[: len(self.grades)], self.grades)
        if self.attempts and not self.problem.checkable:
            return elect(self.problem, self.attempts)
        return Answer("", None, "an ask failed")


def greedy_allocate(problems: Sequence[Problem], *, budget: int = 8, step: int = 16, n: int | None = None) -> BatchFlow:
    """A vote, or the best by the check, for each of many problems, `budget` samples a problem on average.

    All have one sample first; then a round gives one more to each of the `step` problems that gain most, the first of
    equals, an eighth of all at most. A problem with a failed ask, or with n samples, gets no more.
    Raises BadInput for a budget, step or n below 1.
    """
    for name, value in (("budget", budget), ("step", step), ("n", n)):
        if value is not None and value < 1:
            raise BadInput(f"greedy_allocate {name} is {value}; give at least 1")
    pages = [Page(problem, most=n) for problem in problems]
    left, chosen = budget * len(pages), list(range(len(pages)))
    widest = max(1, len(pages) // ROUNDS)
    while chosen:
        left -= len(chosen)
        yield from _attempt(pages, chosen)
        ranked = sorted((place for place, page in enumerate(pages) if page.is_open), key=lambda p: -pages[p].gain)
        chosen = ranked[: min(step, widest, left)]
    return [page.answer() for page in pages]


def _attempt(pages: Sequence[Page], places: Sequence[int]) -> Generator[tuple[tuple[int, Ask], ...], Any, None]:
    """One more sample, and its check, for each of these; whoever's ask fails is closed."""
    replies = yield tuple((p, Sample(pages[p].problem.prompt, start=len(pages[p].attempts))) for p in places)
    for place, attempts in zip(places, replies, strict=True):
        pages[place].attempts += attempts
        pages[place].is_open = bool(attempts)
    came = [place for place in places if pages[place].is_open]
    asked = [place for place in came if pages[place].problem.checkable]
    if asked:
        replies = yield tuple((p, Check(pages[p].problem, (pages[p].attempts[-1],))) for p in asked)
        for place, grades in zip(asked, replies, strict=True):
            pages[place].grades += grades
            pages[place].is_open = bool(grades)
    for place in came:
        pages[place].update()


@lru_cache(maxsize=65_536)
def vote_gain(first: int, second: int) -> float:
    """What an attempt gains for a vote of so many to so many: the best of any number of attempts ahead, per attempt.

    Fewer than the lead cannot turn it, and gain nothing.
    """
    now, lead = beta_lead(first, second), max(1, first - second)
    return max((_expected(first, second, ahead) - now) / ahead for ahead in range(lead, lead + REACH))


def _expected(first: int, second: int, ahead: int) -> float:
    """E max(P, 1 - P) after so many more votes, whose number for the first is beta-binomial."""
    total = 0.0
    for more in range(ahead + 1):
        ways = comb(first + more, more) * comb(second + ahead - more, ahead - more)
        chance = ways / comb(first + second + 1 + ahead, ahead)
        p = beta_lead(first + more, second + ahead - more)
        total += chance * max(p, 1.0 - p)
    return total


def _leaders(attempts: Sequence[Attempt]) -> tuple[int, int]:
    votes = sorted(count(attempts).values(), reverse=True)
    first, second = (*votes, 0, 0)[:2]
    return first, second
