"""Findings of the literature, each with its criterion in code, put to the test."""

from collections.abc import Callable

from trueup.claims.compute_optimal import compute_optimal
from trueup.claims.function_calling import function_calling
from trueup.claims.internal_external import internal_external
from trueup.claims.latent_iteration import latent_iteration
from trueup.claims.nonreasoning_gap import nonreasoning_gap
from trueup.claims.pieces import Pieces
from trueup.claims.proxy_tuning import proxy_tuning
from trueup.claims.reflection_ceiling import reflection_ceiling
from trueup.claims.retraction import retraction
from trueup.claims.self_correction import self_correction
from trueup.claims.think_or_answer import think_or_answer
from trueup.claims.verdict import SCALES, Verdict

CLAIMS: dict[str, Callable[[str, int, Pieces], Verdict]] = {
    "internal-external": internal_external,
    "nonreasoning-gap": nonreasoning_gap,
    "proxy-tuning": proxy_tuning,
    "compute-optimal": compute_optimal,
    "self-correction": self_correction,
    "think-or-answer": think_or_answer,
    "function-calling": function_calling,
    "retraction": retraction,
    "reflection-ceiling": reflection_ceiling,
    "latent-iteration": latent_iteration,
}
"""A claim takes its scale, its first seed, and where to keep the parts that are done."""

__all__ = ["CLAIMS", "SCALES", "Pieces", "Verdict"]
