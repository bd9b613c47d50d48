"""A quadratic program in a box, as a question: where is the least value?"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.numerical.question import Residuals, Unknown, Values, declared, rows_in
from trueup.core.quadratic import BoxQuadratic, active_set, box_quadratic
from trueup.core.types import Json

HEAD = re.compile(r"Find the x that makes x'Hx/2 \+ c'x least while every variable keeps its bounds\.")


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """Asks for the one solution of a box-constrained quadratic program."""

    problem: BoxQuadratic

    @property
    def unknowns(self) -> Sequence[Unknown]:
        """x1, x2, ... with their bounds."""
        bounds = zip(self.problem.low.tolist(), self.problem.high.tolist(), strict=True)
        return tuple(Unknown(f"x{i}", low, high) for i, (low, high) in enumerate(bounds, 1))

    def statement(self) -> str:
        """The matrix row by row, the slope, the bounds."""
        parts = {"H": self.problem.H, "c": self.problem.c, "low": self.problem.low, "high": self.problem.high}
        rows = ",\n".join(f'"{name}": {json.dumps(part.tolist())}' for name, part in parts.items())
        return (
            "Find the x that makes x'Hx/2 + c'x least while every variable keeps its bounds.\n\n"
            f"```json\n{{{rows}}}\n```\n\n"
            f'Answer with JSON alone, as {{"x": [0.5, ...]}}, with all {self.problem.size} numbers to six decimals.'
        )

    def constraints(self) -> str:
        """The bounds and what is to be made least."""
        H, c, names = self.problem.H.tolist(), self.problem.c.tolist(), [one.name for one in self.unknowns]
        terms = [
            f"{H[i][j] * (1.0 if j > i else 0.5)!r}*{names[i]}*{names[j]}"
            for i in range(self.problem.size)
            for j in range(i, self.problem.size)
        ]
        terms += [f"{slope!r}*{name}" for slope, name in zip(c, names, strict=True)]
        return "\n".join([*declared(self.unknowns), f"minimize {' + '.join(terms)}"])

    def answer(self, values: Values) -> str:
        """The list of all variables."""
        return json.dumps({"x": [round(values[one.name], 6) + 0.0 for one in self.unknowns]})

    def values(self, answer: str) -> Values | None:
        """Each variable, where the list is as long as it should be."""
        said = json.loads(answer).get("x")
        if not isinstance(said, list) or len(said) != self.problem.size:
            return None
        return {one.name: value for one, value in zip(self.unknowns, said, strict=True)}

    def residuals(self, values: Values) -> Residuals:
        """How far each variable is from stationary at the nearest point within the bounds, and how far outside."""
        x = np.array([values[one.name] for one in self.unknowns])
        stationary = self.problem.residual(self.problem.inside(x)).tolist()
        return Residuals(tuple(stationary), tuple(one.outside(values[one.name]) for one in self.unknowns))

    def solution(self) -> Values:
        """The variables by the active set."""
        return {one.name: value for one, value in zip(self.unknowns, active_set(self.problem).tolist(), strict=True)}

    def schema(self) -> Json:
        """A list of so many numbers."""
        size = self.problem.size
        numbers = {"type": "array", "items": {"type": "number"}, "minItems": size, "maxItems": size}
        return {"type": "object", "properties": {"x": numbers}, "required": ["x"], "additionalProperties": False}


def stated_quadratic(text: str) -> Quadratic | None:
    """The last such question that a text states; None where there is none, or one that makes no sense."""
    heads = list(HEAD.finditer(text))
    rows = rows_in(text[heads[-1].end() :]) if heads else None
    if not isinstance(rows, dict):
        return None
    try:
        return Quadratic(box_quadratic(rows.get("H"), rows.get("c"), rows.get("low"), rows.get("high")))
    except BadInput:
        return None
