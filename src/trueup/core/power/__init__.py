"""Power systems in per unit: test cases, and their flow by three references."""

from trueup.core.power.case import PQ, PV, SLACK, Branch, Bus, Case, Generator, case_of, table_of
from trueup.core.power.cases import CASES, read_case
from trueup.core.power.dc import dc_flow
from trueup.core.power.flow import Flowing, State, injections, mismatches
from trueup.core.power.gauss_seidel import gauss_seidel
from trueup.core.power.newton import newton

__all__ = [
    "CASES", "PQ", "PV", "SLACK", "Branch", "Bus", "Case", "Flowing", "Generator", "State", "case_of", "dc_flow",
    "gauss_seidel", "injections", "mismatches", "newton", "read_case", "table_of",
]  # fmt: skip
