"""Online trainers of real models, on TRL; nothing here imports torch before one of them runs."""

from trueup.train.real.degrpo import degrpo
from trueup.train.real.grpo import grpo
from trueup.train.real.multi_turn import multi_turn
from trueup.train.real.score import score

__all__ = ["degrpo", "grpo", "multi_turn", "score"]
