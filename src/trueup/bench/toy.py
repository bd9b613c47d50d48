"""Problems for the toy model, and the verifier that knows its right answer."""

from __future__ import annotations

from trueup.core.types import Grade, Item, Json, Message, Problem


class Whole:
    """Implements Verifier: the whole text is the answer, `right` is right; needs no reference."""

    name = "whole"
    needs_reference = False

    def read(self, text: str) -> str | None:
        """The text, None if empty."""
        return text or None

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """1 for `right`, else 0."""
        return Grade(float(answer == "right"))


def toy_item(number: int) -> Item:
    """A problem that differs from others by its number alone."""
    problem = Problem(str(number), "toy", (Message("user", f"problem {number}"),), checkable=True)
    return Item(problem, "right", str(number))
