"""Solves what a question's own constraints say, and answers as the question asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from trueup.core.types import Solution
from trueup.solvers.bounded import solution_of
from trueup.solvers.worker import Worker


class Stated(Protocol):
    """A puzzle, or another question, that was read back from its statement."""

    def constraints(self) -> str: ...

    def answer(self, values: Any) -> str: ...


async def solve_stated(
    worker: Worker, question: Stated, said: Callable[[str], str | None], *, unique: bool = True
) -> Solution:
    """The solution in the words of the question; `said` reads its canonical form, without `unique` any one will do."""
    reply = await worker.run({"stated": question.constraints(), "unique": unique})
    if reply["status"] != "solved":
        return solution_of(reply)
    text = question.answer(reply["values"])
    return solution_of(reply, text, said(text))
