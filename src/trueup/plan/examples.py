"""Wrong answers to show: drawn by the seed among those of the first arm."""

from __future__ import annotations

import json
import random
from typing import Any

from trueup.core.outcome import Measured, Outcome
from trueup.core.types import Json, last_asked

MOST = 3
CHARACTERS = 2000


def examples(measured: Measured, *, seed: int) -> list[dict[str, Any]]:
    """Up to three items that the first arm got wrong, with what every arm answered.

    Which ones is up to the seed alone, never to how the other arms did on them.
    """
    if not measured.arms:
        return []
    first = measured.arms[0].label
    wrong = [o for o in measured.outcomes if o.arm == first and not o.grade.is_right]
    dice = random.Random(f"{seed}:{measured.stratum.name}:examples")
    drawn = {id(outcome) for outcome in dice.sample(wrong, min(MOST, len(wrong)))}
    return [_example(measured, outcome) for outcome in wrong if id(outcome) in drawn]


def _example(measured: Measured, wrong: Outcome) -> dict[str, Any]:
    problem = wrong.item.problem
    return {
        "id": problem.id,
        "prompt": _cut(last_asked(problem.prompt)),
        "reference": _cut(_text(wrong.item.reference)),
        "answers": [_answer(outcome) for outcome in measured.outcomes if outcome.item.problem.id == problem.id],
    }


def _answer(outcome: Outcome) -> dict[str, Any]:
    answer = outcome.answer
    row = {
        "label": outcome.arm,
        "text": "" if answer is None else _cut(answer.text),
        "value": None if answer is None or answer.value is None else _cut(answer.value),
        "right": outcome.grade.is_right,
    }
    return row if outcome.failure is None else row | {"failure": _cut(outcome.failure)}


def _text(reference: Json) -> str:
    return reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
