"""The best value of an objective, up to a relative tolerance.

Read as `number` reads; 1e-4 of the value is what optimisation benchmarks in words (NL4OPT, IndustryOR, MAMO) are graded
by, so that 41.67 is taken for 125/3 and 41.6 is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from trueup.core.errors import BadInput
from trueup.core.types import Grade, Json, Problem
from trueup.verifiers.marks import spoken
from trueup.verifiers.number import number

NONE = "no solution"
MARK = "####"
QUESTION = r"the (?:problem|lp|linear program|program|model)"
WORDS = rf"(?:no (?:best|optimal|feasible)? ?solution|infeasible|unbounded(?: and so is {QUESTION})?)"
SAYS_NONE = re.compile(rf"\b{WORDS}\b", re.IGNORECASE)
IN_PASSING = re.compile(
    r"\b(?:although|though|while|whereas|despite|if|unless|would)\b"
    rf"|(?:\b(?:not|never|neither|nor)|n't)\s+(?:\w+\s+)?{WORDS}$"
    r"|\b(?:region|set|polyhedron)\s+(?:is|are|was)\s+(?:\w+\s+)?unbounded$",
    re.IGNORECASE,
)
"""What such words stand in, in their part of the sentence, where they do not say it of the question itself."""
THOUGH = re.compile(rf"\W*(?:al)?though \w+ [^.,;:]*\b{QUESTION} is {WORDS}\W*", re.IGNORECASE)
"""A line that says it in its main clause, with no comma before that."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Implements Verifier by comparing the values; made by `objective`."""

    tolerance: float
    name: str
    needs_reference: bool = True

    def read(self, text: str) -> str | None:
        """The final number, or that there is no solution where the last line says so, behind its mark if it has one."""
        said = spoken(text)
        if said is None:
            return None
        last = said.strip().rpartition("\n")[2]
        behind = last.rpartition(MARK)[2].strip() if MARK in last else last
        return NONE if _says_none(behind) and not (MARK in last and number().read(behind)) else number().read(text)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where the two differ by at most the tolerance of the reference, or of 1 where that is less."""
        said = str(reference)
        wanted = NONE if self.read(said) == NONE else number().read_reference(said)
        if wanted is None:
            raise BadInput(
                f"item {problem.id!r}: the reference {reference!r} is no value, or several; mend it or take `exact`"
            )
        if NONE in (answer, wanted):
            return Grade(float(answer == wanted))
        value, right = Fraction(answer.rstrip("%")), Fraction(wanted.rstrip("%"))
        return Grade(float(abs(value - right) <= Fraction(str(self.tolerance)) * max(Fraction(1), abs(right))))


def _says_none(line: str) -> bool:
    parts = (re.split("[.,;:]", line[: match.end()])[-1] for match in SAYS_NONE.finditer(line))
    return THOUGH.fullmatch(line) is not None or any(not IN_PASSING.search(part) for part in parts)


def objective(*, tolerance: float = 1e-4) -> Objective:
    """Compare an objective's value, give or take `tolerance` of it."""
    if not 0 <= tolerance < 1:
        raise BadInput(f"objective tolerance is {tolerance}; it takes 0 or more, below 1")
    return Objective(tolerance, f"objective tolerance={tolerance}" if tolerance != 1e-4 else "objective")
