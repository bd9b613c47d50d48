"""What no rule for stopping can beat, and what learned ones do: no methods.

`oracle stop` knows the vote of the whole budget beforehand and makes one call of the fewest attempts from which on the
leader stays what it is in the end; `oracle first` makes one of the fewest after which it leads at all, so that no rule
that goes by counts and answers as the whole vote does can take less. `oracle seen` makes one of the fewest in which
that answer is given at all: nothing that answers so can take less, whatever it knows of texts. `informed stop` knows no
answer, but the population: it goes by the two leading counts and the number of attempts, which is what stopping rules
without probabilities go by, and is learnt by backward induction over problems of the same population (of a recording:
its own attempts in other orders, which is in its favour): at every state it stops, or asks for the block that is worth
most, tokens at a price. The price is the one that makes the loss to the whole vote come out as the margin on as many
further problems. It is no bound: what it takes moves with the problems it learnt from, and others may take less. Ties
are worth the chance that a lot gives them.
Shapes: N problems, K + 1 numbers of attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp

import numpy as np
from numpy.typing import NDArray

from trueup.bench.frontier import MARGIN
from trueup.bench.population import PROMPT_TOKENS, SPREAD, Population, draw_answers
from trueup.bench.recorded import Case
from trueup.bench.spent import Spent
from trueup.core.types import Attempt, Problem
from trueup.methods.tally import count, favourite

BOUND, LEARNED = "bound", "learned"
BLOCKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40)
PRICES = (1e-6, 1e-3)
"""Of a token, in right answers: those between which the one is that loses the margin."""
HALVINGS = 8
Answers = NDArray[np.int64]
Table = NDArray[np.int64]
State = tuple[Table, Table, Table]


@dataclass(frozen=True, slots=True)
class Lesson:
    """Problems to learn from: NK answers, 0 the right one and -1 unreadable; tokens of an attempt and of a prompt."""

    answers: Answers
    tokens: float
    prompt: float


@dataclass(frozen=True, slots=True)
class Paths:
    """(K + 1)N: the two leading counts after so many attempts, and the chance that the leader is right."""

    first: Table
    second: Table
    right: NDArray[np.float64]


def oracles(cases: Sequence[Case], n: int) -> list[Spent]:
    """`oracle stop`, `oracle first` and `oracle seen` on these cases, of votes of n."""
    leaders = [_leaders(case.problem, case.attempts[:n]) for case in cases]
    stops = [max((k + 1 for k, (a, b) in enumerate(pairwise(row), start=1) if a != b), default=1) for row in leaders]
    firsts = [1 + row.index(row[-1]) for row in leaders]
    finals = [row[-1] for row in leaders]
    seen = [1 + [a.answer for a in case.attempts].index(final) for case, final in zip(cases, finals, strict=True)]
    sizes = {"oracle stop": stops, "oracle first": firsts, "oracle seen": seen}
    return [_in_one_call(name, cases, taken, leaders) for name, taken in sizes.items()]


def informed_stop(cases: Sequence[Case], lesson: Lesson, n: int, margin: float = MARGIN, number: int = 1) -> Spent:
    """`informed stop` on these cases, held to the vote of n; a number for each lesson."""
    known, held = paths(lesson.answers[::2]), paths(lesson.answers[1::2])
    states = states_of(known)
    low, high = np.log(PRICES)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        taken = follow(held, learn(known, states, exp(middle), lesson))[0]
        loss = float((held.right[n] - np.take_along_axis(held.right, taken[None], 0)[0]).mean())
        low, high = (middle, high) if loss < margin else (low, middle)
    met = paths(answers_of(cases))
    taken, calls = follow(met, learn(known, states, exp(low), lesson))
    right = np.take_along_axis(met.right, taken[None], 0)[0]
    rows = [_row(case, int(k), float(p), int(c)) for case, k, p, c in zip(cases, taken, right, calls, strict=True)]
    return Spent.of(f"informed stop {number}", LEARNED, rows)


def lesson_of(population: Population, items: int, seed: int, attempts: int) -> Lesson:
    """So many fresh problems of a simulated population."""
    rng = np.random.default_rng([seed, 1, sum(population.name.encode())])
    drawn = np.array([draw_answers(population, attempts, rng) for _ in range(items)])
    return Lesson(drawn, population.tokens * exp(SPREAD**2 / 2), PROMPT_TOKENS)


def lesson_from(cases: Sequence[Case]) -> Lesson:
    """The cases themselves."""
    lengths = [attempt.usage.completion_tokens or 0 for case in cases for attempt in case.attempts]
    return Lesson(answers_of(cases), float(np.mean(lengths)), float(np.mean([case.prompt_tokens for case in cases])))


def answers_of(cases: Sequence[Case]) -> Answers:
    """NK, the answers of a case numbered as they come, 0 the right one and -1 what cannot be read."""
    depth = min(len(case.attempts) for case in cases)
    return np.array([_numbered(case)[:depth] for case in cases])


def paths(answers: Answers) -> Paths:
    """The counts that these attempts lead through."""
    number, depth = answers.shape
    votes, rows = np.zeros((number, max(2, int(answers.max()) + 1)), np.int64), np.arange(number)
    first, second = np.zeros((depth + 1, number), np.int64), np.zeros((depth + 1, number), np.int64)
    right = np.zeros((depth + 1, number))
    for k in range(depth):
        read = answers[:, k] >= 0
        votes[rows[read], answers[read, k]] += 1
        second[k + 1], first[k + 1] = np.partition(votes, -2, axis=1)[:, -2:].T
        leads = votes == first[k + 1][:, None]
        right[k + 1] = np.where(first[k + 1] > 0, leads[:, 0] / leads.sum(axis=1), 0.0)
    return Paths(first, second, right)


def states_of(known: Paths) -> list[State]:
    """By attempts taken: pairs of counts as first * (K + 1) + second, the place of each problem in them, sizes."""
    width = len(known.first)
    pairs = (
        np.unique(first * width + second, return_inverse=True)
        for first, second in zip(known.first, known.second, strict=True)
    )
    return [(met, place, np.bincount(place)) for met, place in pairs]


def learn(known: Paths, states: Sequence[State], price: float, lesson: Lesson) -> Table:
    """By attempts taken, votes of the first and of the second: how many to ask for next, 0 to stop.

    What comes after a block is what the rule brings from there on each problem, not its mean over the state: a maximum
    over means of few would be taken for their worth.
    """
    depth = len(known.first) - 1
    table = np.zeros((depth + 1, (depth + 1) ** 2), np.int64)
    worth = np.array(known.right)
    for k, (met, place, seen) in reversed(list(enumerate(states))):
        best = np.bincount(place, worth[k]) / seen if k else np.full(1, -np.inf)
        asked = np.zeros(len(met), np.int64)
        for m in (m for m in BLOCKS if k + m <= depth):
            value = np.bincount(place, worth[k + m]) / seen - price * _tokens(m, lesson)
            asked, best = np.where(value > best, m, asked), np.maximum(value, best)
        table[k, met] = asked
        for m in set(asked.tolist()) - {0}:
            goes = asked[place] == m
            worth[k, goes] = worth[k + m, goes] - price * _tokens(m, lesson)
    return table


def follow(met: Paths, table: Table) -> tuple[Table, Table]:
    """N attempts and N calls of the rule in a table."""
    depth, number = len(met.first) - 1, met.first.shape[1]
    taken, calls, rows = np.zeros(number, np.int64), np.zeros(number, np.int64), np.arange(number)
    while True:
        state = met.first[taken, rows] * len(table) + met.second[taken, rows]
        size = np.minimum(table[np.minimum(taken, len(table) - 1), state], depth - taken)
        if not size.any():
            return taken, calls
        taken, calls = taken + size, calls + (size > 0)


def _tokens(m: int, lesson: Lesson) -> float:
    return m * lesson.tokens + lesson.prompt


def _leaders(problem: Problem, attempts: Sequence[Attempt]) -> list[str | None]:
    votes = [count(attempts[: k + 1]) for k in range(len(attempts))]
    return [favourite(problem, each) if each else None for each in votes]


def _in_one_call(
    name: str, cases: Sequence[Case], sizes: Sequence[int], leaders: Sequence[Sequence[str | None]]
) -> Spent:
    finals = [_is_right(case, row[-1]) for case, row in zip(cases, leaders, strict=True)]
    return Spent.of(
        name, BOUND, [_row(case, size, right, 1) for case, size, right in zip(cases, sizes, finals, strict=True)]
    )


def _is_right(case: Case, answer: str | None) -> float:
    rights = zip(case.attempts, case.right, strict=True)
    return float(answer is not None and any(right for attempt, right in rights if attempt.answer == answer))


def _row(case: Case, taken: int, right: float, calls: int) -> tuple[float, ...]:
    written = sum(attempt.usage.completion_tokens or 0 for attempt in case.attempts[:taken])
    return right, calls, calls * case.prompt_tokens, written


def _numbered(case: Case) -> list[int]:
    numbers: dict[str | None, int] = {None: -1}
    for attempt, right in zip(case.attempts, case.right, strict=True):
        if attempt.answer is not None:
            numbers.setdefault(attempt.answer, 0 if right else len(numbers))
    return [numbers[attempt.answer] for attempt in case.attempts]
