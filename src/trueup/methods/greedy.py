"""One attempt without chance: at every token the likeliest.

What a vote must beat before its gain is one: sampling errs at a temperature, and a vote takes part of that back. Cost:
1 sample.
"""

from __future__ import annotations

from dataclasses import replace

from trueup.core.asks import Flow, sample
from trueup.core.types import Answer, Problem


def greedy(problem: Problem) -> Flow[Answer]:
    """The answer of an attempt at temperature 0, whatever temperature the task or the request has."""
    attempts = yield from sample(problem.prompt, sampling=replace(problem.sampling, temperature=0.0))
    return Answer.of(attempts[0], "at temperature 0")
