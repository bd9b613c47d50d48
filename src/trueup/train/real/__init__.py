"""Online trainers of real models, on TRL; nothing here imports torch before one of them runs."""

from trueup.train.real.degrpo import degrpo
from trueup.train.real.grpo import grpo
from trueup.train.real.multi_turn import multi_turn
from trueup.train.real.profiles import PROFILES, Profile, find_profile, is_launched, is_main, launch
from trueup.train.real.score import score

__all__ = [
    "PROFILES", "Profile", "degrpo", "find_profile", "grpo", "is_launched", "is_main", "launch", "multi_turn", "score",
]  # fmt: skip
