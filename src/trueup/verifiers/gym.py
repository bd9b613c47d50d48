"""reasoning-gym's own scorer; full marks count, part marks do not.

Some of its scorers give garbage, or run the answer as Python; the source `gym` refuses their datasets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trueup.core.errors import BadInput, Unavailable
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.marks import singled_out, spoken

FULL_MARKS = 0.99
TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Gym:
    """Implements Verifier with the scorer of the item's own dataset; made by `gym`."""

    name: str = "gym"
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """What stands in <answer> tags, in a box, after ####, or the whole text."""
        said = spoken(text)
        if said is None:
            return None
        tagged = TAGGED.findall(said)
        marked = tagged[-1] if tagged else singled_out(said)
        part = said if marked is None else marked
        return "\n".join(line.rstrip() for line in part.strip().splitlines()) or None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where the scorer gives 0.99 or more."""
        if not isinstance(reference, dict) or not {"dataset", "entry"} <= reference.keys():
            raise BadInput(f"item {problem.id!r}: `gym` grades items of a gym: source only; take another verifier")
        try:
            from reasoning_gym import get_score_answer_fn
        except ImportError:
            raise Unavailable("reasoning-gym is not installed; pip install 'trueup[gym]'") from None
        try:
            marks = float(get_score_answer_fn(reference["dataset"])(answer, reference["entry"]))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            return Grade(0.0, note=f"the scorer could not read it: {type(error).__name__}")
        return Grade(float(marks >= FULL_MARKS), note="" if marks >= FULL_MARKS else f"scorer gave {marks:.2f}")


def gym() -> Gym:
    """Grade by the dataset that the item came from."""
    return Gym()
