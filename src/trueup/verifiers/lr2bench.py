"""LR²Bench replies, all or nothing; the note says how many sub-answers are right and which rule is broken."""

from __future__ import annotations

import json
from dataclasses import dataclass

from trueup.core.errors import BadInput
from trueup.core.types import Grade, Json, Problem, last_asked
from trueup.verifiers.lr2bench_rules import broken_rule
from trueup.verifiers.lr2bench_score import SHAPE_OF, extract, score

ALMOST = 0.98
"""The most that a reply gets which is not right altogether."""
SHAPES = ("cryptogram", "sudoku", "logic", "crossword")
"""A family of each way to write an answer: what is also one of the later ones comes first."""


@dataclass(frozen=True, slots=True)
class Lr2Bench:
    """Implements Verifier by exact match, as the benchmark defines it; made by `lr2bench`."""

    name: str = "lr2bench"
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """The last answer of any family's shape, as JSON; None where it holds what JSON cannot, as a set."""
        answers = (extract(text, family) for family in SHAPES)
        answer = next((answer for answer in answers if answer is not None), None)
        try:
            return None if answer is None else json.dumps(_with_texts(answer), sort_keys=True)
        except (TypeError, ValueError):
            return None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where every sub-answer is right, else the share that is."""
        if not _is_told(reference):
            raise BadInput(f"item {problem.id!r}: the reference is not one of LR²Bench; take the source lr2bench")
        family, gold, said = reference["family"], reference["answer"], json.loads(answer)
        found = score(said, family, gold)
        rule = broken_rule(said, family, gold, last_asked(problem.prompt))
        note = f"{found.right} of {found.total} sub-answers right{f', {rule}' if rule else ''}"
        return Grade(1.0 if found.is_exact else min(ALMOST, found.right / found.total), note=note)

    def parts(self, answer: str | None, reference: Json) -> tuple[int, int] | None:
        """How many sub-answers are right, and how many there are; a None is no answer, or another's reference."""
        if not _is_told(reference):
            return None
        said = None if answer is None else json.loads(answer)
        found = score(said, reference["family"], reference["answer"])
        return found.right, found.total


def _with_texts(answer: Json) -> Json:
    """The answer with every key as text, as it is scored; a Python literal may have any."""
    if isinstance(answer, dict):
        return {str(key): _with_texts(value) for key, value in answer.items()}
    return [_with_texts(value) for value in answer] if isinstance(answer, list | tuple) else answer


def _is_told(reference: Json) -> bool:
    return isinstance(reference, dict) and reference.get("family") in SHAPE_OF


def lr2bench() -> Lr2Bench:
    """Grade replies to LR²Bench's puzzles by its own exact match."""
    return Lr2Bench()
