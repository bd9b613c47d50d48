r"""Simulated populations of known truth: attempts drawn from answers of known chances.

The chance of the right answer is Beta over items, that of the wrong ones a Dirichlet over the rest: with a small
concentration one wrong answer takes most of it, so that on some items it beats the right one and no number of votes
helps. Shapes after the spread of pass@1 on easy, middling and hard mathematics (GSM8K, MATH, AIME). A text is words of
its own, then the answer, said and boxed, so that whatever looks for either finds it. Lengths are log-normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import lognorm

from trueup.bench.recorded import SAMPLES, Case, Recording
from trueup.core.types import Attempt, Message, Problem, Usage

SIMULATED = "simulated"
PROMPT_TOKENS = 120
SPREAD = 0.4
ANSWERS = 200
WORDS = 12
BOXED = r"\\boxed\{([^}]+)\}"


@dataclass(frozen=True, slots=True)
class Population:
    """Beta(a, b) for the right answer, Dirichlet over `rivals` wrong ones; `tokens` is the median of an attempt's."""

    name: str
    a: float
    b: float
    rivals: int
    concentration: float
    tokens: float

    @property
    def mean_tokens(self) -> float:
        """Of an attempt: lengths are whole, cut off, 1 at least; a hundred times the median is too rare to count."""
        return 1.0 + float(lognorm(SPREAD, scale=self.tokens).sf(np.arange(2, 100 * self.tokens)).sum())


POPULATIONS = (
    Population("easy", 4.0, 1.0, 20, 0.3, 150.0),
    Population("middling", 1.0, 1.0, 20, 0.3, 300.0),
    Population("hard", 0.5, 1.5, 40, 0.3, 500.0),
)


def record_population(population: Population, items: int, seed: int, attempts: int = SAMPLES) -> Recording:
    """So many items with so many attempts each; the same seed gives the same ones."""
    rng = np.random.default_rng([seed, sum(population.name.encode())])
    cases = tuple(_case(population, place, attempts, rng) for place in range(items))
    return Recording(population.name, SIMULATED, BOXED, cases)


def _case(population: Population, place: int, attempts: int, rng: np.random.Generator) -> Case:
    numbers = draw_answers(population, attempts, rng)
    values = rng.permutation(ANSWERS)
    lengths = np.maximum(1, rng.lognormal(np.log(population.tokens), SPREAD, size=attempts)).astype(int)
    letters = rng.integers(97, 123, size=(attempts, WORDS * 6)).astype(np.uint8)
    name = f"{population.name}-{place}"
    drawn = tuple(
        _attempt(index, int(values[numbers[index]]), int(lengths[index]), letters[index].tobytes().decode())
        for index in range(attempts)
    )
    right = tuple(bool(number == 0) for number in numbers)
    problem = Problem(name, population.name, (Message("user", name),))
    return Case(problem, drawn, right, PROMPT_TOKENS, name)


def draw_answers(population: Population, attempts: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The answers of so many attempts at a fresh problem, 0 the right one."""
    p = rng.beta(population.a, population.b)
    wrong = rng.dirichlet([population.concentration] * population.rivals)
    return rng.choice(population.rivals + 1, size=attempts, p=[p, *(1.0 - p) * wrong / wrong.sum()])


def _attempt(index: int, value: int, tokens: int, letters: str) -> Attempt:
    words = " ".join(letters[at : at + 6] for at in range(0, len(letters), 6))
    text = f"{words}.\nThe answer is \\boxed{{{value}}}."
    return Attempt(index, text, "stop", Usage(PROMPT_TOKENS, tokens), str(value))
