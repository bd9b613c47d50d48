"""Questions whose answer is numbers that satisfy equations within bounds."""

from trueup.core.numerical.known import FAMILIES, stated
from trueup.core.numerical.power_flow import AC, DC, PowerFlow, stated_power_flow
from trueup.core.numerical.quadratic import Quadratic, stated_quadratic
from trueup.core.numerical.question import Question, Residuals, Unknown, Values, canonical_numbers

__all__ = [
    "AC", "DC", "FAMILIES", "PowerFlow", "Quadratic", "Question", "Residuals", "Unknown", "Values",
    "canonical_numbers", "stated", "stated_power_flow", "stated_quadratic",
]  # fmt: skip
