"""What sources of numerical questions share: dials behind a size, items with their answer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.numerical import Question
from trueup.core.settings import fit_settings, split_words
from trueup.core.types import Item, Message, Problem

ITEMS_UNLESS_SAID = 100


def split_size(source: str, argument: str, make: Callable[..., Question]) -> tuple[int, dict[str, Any]]:
    """`14 spread=0.3` as the size and the dials of what makes a question.

    Raises BadInput for a size that is no number.
    """
    words, settings = split_words(argument)
    if not words.isdecimal() or len(words) > 4:
        raise BadInput(f"{source}:{argument} begins with {words!r}; write a number first, as {source}:3")
    return int(words), fit_settings(f"{source}:{words}", make, settings)


def numerical_items(
    name: str, stratum: str, limit: int | None, seed: int, make: Callable[[random.Random], Question]
) -> tuple[Item, ...]:
    """So many questions with their answers by the reference, each from a seed of its own."""
    found = []
    for i in range(limit or ITEMS_UNLESS_SAID):
        label = f"{name}-{seed}-{i}"
        question = make(random.Random(label))
        schema = json.dumps(question.schema(), separators=(",", ":"))
        problem = Problem(label, stratum, (Message("user", question.statement()),), schema=schema)
        found.append(Item(problem, question.answer(question.solution()), label))
    return tuple(found)
