"""Equations and bounds of the question that the problem's own prompt states; needs no reference."""

from __future__ import annotations

from dataclasses import dataclass

from trueup.core.errors import BadInput, UnknownName
from trueup.core.numerical import FAMILIES, Question, Residuals, canonical_numbers
from trueup.core.types import Grade, Json, Problem, last_asked
from trueup.verifiers.json_text import objects

ALMOST = 0.98
"""The most that an answer gets which is not right altogether."""
AT_BOUND = 1e-4
"""How far a number may lie beyond its bound: four decimals, to which a bound is rounded."""


@dataclass(frozen=True, slots=True)
class Marks:
    """How many equations, and apart from them how many bounds, an answer satisfies; `worst` is the largest residual."""

    equations: int
    equations_held: int
    bounds: int
    bounds_held: int
    worst: float

    @property
    def is_right(self) -> bool:
        """Whether everything holds."""
        return self.equations_held == self.equations and self.bounds_held == self.bounds

    @property
    def share(self) -> float:
        """The share of what holds: of the equations or of the bounds, whichever is smaller."""
        return min(self.equations_held / self.equations, self.bounds_held / self.bounds)


@dataclass(frozen=True, slots=True)
class Numerical:
    """Implements Verifier by residuals; made by `numerical`."""

    family: str
    tolerance: float
    name: str
    needs_reference: bool = False

    def read(self, text: str) -> str | None:
        """The last JSON object of numbers, to six decimals."""
        return next(filter(None, map(canonical_numbers, objects(text))), None)

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 where every equation holds to the tolerance and every bound is kept, else the smaller share of the two."""
        question = self._question(problem)
        values = question.values(answer)
        if values is None:
            return Grade(0.0, note="does not say exactly what is asked")
        marks = marked(question.residuals(values), self.tolerance)
        note = (
            f"{marks.equations_held} of {marks.equations} equations, {marks.bounds_held} of {marks.bounds} bounds, "
            f"largest residual {marks.worst:.2g}"
        )
        return Grade(1.0 if marks.is_right else min(ALMOST, marks.share), note=note)

    def _question(self, problem: Problem) -> Question:
        question = FAMILIES[self.family](last_asked(problem.prompt))
        if question is None:
            raise BadInput(
                f"item {problem.id!r}: its last user message states no {self.family}; take items of that source, or "
                f"another verifier"
            )
        return question


def marked(residuals: Residuals, tolerance: float) -> Marks:
    """Equations to a tolerance and bounds to four decimals, counted apart."""
    return Marks(
        len(residuals.equations),
        residuals.equations_held(tolerance),
        len(residuals.bounds),
        residuals.bounds_held(AT_BOUND),
        residuals.worst,
    )


def numerical(*, family: str = "power_flow", tolerance: float = 0.01) -> Numerical:
    """Check numbers against the equations and bounds of a power flow or a quadratic program."""
    if family not in FAMILIES:
        raise UnknownName("family of numerical", family, FAMILIES)
    if not tolerance > 0:
        raise BadInput(f"numerical tolerance is {tolerance}; it takes more than 0")
    return Numerical(family, tolerance, f"numerical family={family} tolerance={tolerance:g}")
