"""Toys that say, rate, grade and solve by a script.

What stands in a text decides what they make of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from trueup.core.roles import ModelCard, Sampled, Waste
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Json, Message, Problem, Sampling, Solution, Usage

OWN = "own"
"""What a script calls the study's own model."""
RIGHT = {"42": 1.0}
"""Grades, where a script has none; of an answer that it does not name the grade is 0."""


def models_of(script: Mapping[str, Json]) -> tuple[Says, dict[str, Says]]:
    """The study's own model, and the further ones by name."""
    models = {name: Says(name, rules) for name, rules in script["models"].items()}
    return models.pop(OWN), models


def stratum_of(script: Mapping[str, Json], problems: Sequence[Problem]) -> Stratum:
    """The problems, with what grades, solves and rates them.

    There is a check only where they say that they have one.
    """
    items = tuple(Item(problem, "", problem.id) for problem in problems)
    marked = Marked(script.get("grades", RIGHT))
    check = marked if all(problem.checkable for problem in problems) else None
    return Stratum("golden", items, marked, check, Solves(script.get("solves", {})), Rates(script.get("rates", {})))


def found(rules: Mapping[str, Any], text: str) -> Any:
    """What the first rule says whose words stand in a text.

    `""` stands in every one. Raises KeyError where no rule applies.
    """
    for words, said in rules.items():
        if words in text:
            return said
    raise KeyError(f"no rule for {text!r}")


class Says:
    """A model with texts for what stands in prompts or schemas.

    Attempt i is text i, and so round again. A word is a token. A text of null is a call that fails; one with a `chance`
    tells it as its log-probability.
    """

    def __init__(self, name: str, says: Mapping[str, Sequence[Json]]) -> None:
        self.card, self._says = ModelCard(name, name, "cpu"), says

    async def sample(self, prompt: Sequence[Message], n: int, start: int, sampling: Sampling) -> Sampled:
        """Texts from `start` on, cut at stop strings and the limit."""
        shown = "\n".join(message.content for message in prompt)
        texts, read = found(self._says, f"{shown}{sampling.schema or ''}"), len(shown.split())
        drawn = {index: texts[index % len(texts)] for index in range(start, start + n)}
        said = {index: text for index, text in drawn.items() if text is not None}
        attempts = tuple(_attempt(index, text, sampling, read, index == min(said)) for index, text in said.items())
        return Sampled(attempts, (Waste("failed", "the endpoint answered 500", read, 0),) * (n - len(said)))

    async def close(self) -> None:
        """Nothing to close."""


def _attempt(index: int, said: Json, sampling: Sampling, read: int, leads: bool) -> Attempt:
    told = said if isinstance(said, dict) else {"text": said}
    text, finish = _cut(told["text"], sampling)
    tokens = max(1, len(text.split()))
    logprob = round(log(told["chance"]) / tokens, 6) if sampling.logprobs and "chance" in told else None
    usage = Usage(read, tokens, 0, leads=leads)
    return Attempt(index, text, finish, usage, logprob=logprob, drawn_logprob=logprob)


def _cut(text: str, sampling: Sampling) -> tuple[str, str]:
    finish = "eos"
    if stops := [(text.find(stop), stop) for stop in sampling.stop if stop in text]:
        place, stop = min(stops)
        text, finish = text[:place], f"stop:{stop}"
    words = re.findall(r"\s*\S+", text)
    return ("".join(words[: sampling.max_tokens]), "length") if len(words) > sampling.max_tokens else (text, finish)


@dataclass(frozen=True, slots=True)
class Marked:
    """A verifier: the answer stands behind the last `####`."""

    grades: Mapping[str, float]
    name: str = "marked"
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The rest of that line."""
        return next(reversed(re.findall(r"#### (.+)", text)), None)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """The grade that is given for an answer."""
        return Grade(self.grades.get(answer, 0.0))


@dataclass(frozen=True, slots=True)
class Rates:
    """A reward model with ratings for what stands in texts."""

    rates: Mapping[str, float]
    fingerprint: str = "critic"

    async def rate(self, problem: Problem, texts: Sequence[str]) -> list[float]:
        """A rating for each text."""
        return [found(self.rates, text) for text in texts]


@dataclass(frozen=True, slots=True)
class Solves:
    """A solver with solutions for what stands in statements."""

    solves: Mapping[str, Json]
    fingerprint: str = "solver"
    has_limit: bool = True

    async def solve(self, problem: Problem) -> Solution:
        """The solution of the last message."""
        return solution(found(self.solves, problem.prompt[-1].content))


def solution(row: Mapping[str, Json]) -> Solution:
    """The solution that a row of JSON tells."""
    return Solution(**{**row, "conflict": tuple(row.get("conflict", ()))})
