"""Attempts that were recorded once, for every method to be replayed on.

A file is gzipped JSON, as `trueup.bench.record` makes it: per stratum the pattern of an answer and the temperature, and
per item its prompt and the texts, answers, lengths in tokens, grades, ends and mean log-probabilities (before and after
temperature) of its attempts, and of one at temperature 0. One of version 4 does not tell of after temperature, one of
version 3 has no such attempt, one of version 2 no log-probabilities either: it is read as of an engine that tells none.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.types import Attempt, Json, Message, Problem, Sampling, Usage

SAMPLES = 40
VERSION = 5
READABLE = (2, 3, 4, VERSION)


@dataclass(frozen=True, slots=True)
class Case:
    """A problem with its attempts in the order in which they are drawn, and which of them are right.

    `greedy` is the attempt at temperature 0, None where none is on record.
    """

    problem: Problem
    attempts: tuple[Attempt, ...]
    right: tuple[bool, ...]
    prompt_tokens: int
    cluster: str
    greedy: Attempt | None = None
    is_greedy_right: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """Cases of one kind; `pattern` finds the answer in a text, as one who sets up a voting system would write it."""

    name: str
    model: str
    pattern: str
    cases: tuple[Case, ...]

    @property
    def depth(self) -> int:
        """How many attempts every case has at least."""
        return min(len(case.attempts) for case in self.cases)

    @property
    def tells(self) -> bool:
        """Whether every attempt is on record with its log-probability."""
        return all(attempt.logprob is not None for case in self.cases for attempt in case.attempts)

    def first(self, n: int) -> Recording:
        """The same with the first n attempts of every case."""
        kept = (replace(case, attempts=case.attempts[:n], right=case.right[:n]) for case in self.cases)
        return replace(self, cases=tuple(kept))

    def reordered(self, orders: int, seed: int) -> Recording:
        """Every case in so many orders of its attempts, all of them in its own cluster."""
        return replace(
            self, cases=tuple(_shuffled(case, order, seed) for case in self.cases for order in range(orders))
        )


def read_recordings(path: Path) -> list[Recording]:
    """The recordings in a file, one a stratum.

    Raises BadInput where it is of another version.
    """
    kept = json.loads(gzip.decompress(path.read_bytes()))
    if kept.get("version") not in READABLE:
        raise BadInput(f"{path}: a recording of version {kept.get('version')!r}, not {VERSION}; record it anew")
    return [
        Recording(s["name"], kept["model"], s["pattern"], tuple(_case(s, row) for row in s["items"]))
        for s in kept["strata"]
    ]


def _case(stratum: Json, row: Json) -> Case:
    sampling = Sampling(temperature=stratum.get("temperature", Sampling().temperature))
    problem = Problem(row["id"], stratum["name"], tuple(Message(*turn) for turn in row["prompt"]), sampling)
    prompt_tokens, cells = row["prompt_tokens"], row["attempts"]
    attempts = tuple(_attempt(number, prompt_tokens, cell) for number, cell in enumerate(cells))
    right = tuple(bool(cell[3]) for cell in cells)
    greedy = row.get("greedy")
    sure = () if greedy is None else (_attempt(0, prompt_tokens, greedy), bool(greedy[3]))
    return Case(problem, attempts, right, prompt_tokens, row["cluster"], *sure)


def _attempt(number: int, prompt_tokens: int, cell: Sequence[Json]) -> Attempt:
    text, answer, tokens, _, finish, *told = cell
    logprob, drawn_logprob, *_ = *told, None, None
    return Attempt(number, text, finish, Usage(prompt_tokens, tokens), answer, logprob, drawn_logprob=drawn_logprob)


def _shuffled(case: Case, order: int, seed: int) -> Case:
    places = list(range(len(case.attempts)))
    random.Random(f"{seed}:{case.problem.id}:{order}").shuffle(places)
    name = f"{case.problem.id}#{order}"
    problem = replace(case.problem, id=name)
    attempts = tuple(replace(case.attempts[place], index=number) for number, place in enumerate(places))
    return replace(case, problem=problem, attempts=attempts, right=tuple(case.right[place] for place in places))
