"""Every family of numerical questions by name, and which of them a text states."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trueup.core.numerical.power_flow import stated_power_flow
from trueup.core.numerical.quadratic import stated_quadratic
from trueup.core.numerical.question import Question

FAMILIES: Mapping[str, Callable[[str], Question | None]] = {
    "power_flow": stated_power_flow,
    "quadratic": stated_quadratic,
}
"""How each is read back from a text."""


def stated(text: str) -> Question | None:
    """The question that a text states; None where it states none."""
    read = (family(text) for family in FAMILIES.values())
    return next((question for question in read if question is not None), None)
