"""What rates a text without the reference: reward models."""

from trueup.raters.constraint_prefix import constraint_prefix
from trueup.raters.fit import discrimination, fit_head, held_out, learn_head
from trueup.raters.head import head
from trueup.raters.hf_process import hf_process
from trueup.raters.hf_reward import hf_reward

__all__ = [
    "constraint_prefix",
    "discrimination",
    "fit_head",
    "head",
    "held_out",
    "hf_process",
    "hf_reward",
    "learn_head",
]
