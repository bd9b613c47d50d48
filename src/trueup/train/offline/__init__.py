"""Trainers that learn from texts gathered beforehand, or between rounds."""

from trueup.train.offline.dpo import dpo
from trueup.train.offline.expert_iteration import expert_iteration
from trueup.train.offline.iterated_sft import iterated_sft
from trueup.train.offline.pair_sft import pair_sft
from trueup.train.offline.sft import sft
from trueup.train.offline.star import star
from trueup.train.offline.warm_up import warm_up

__all__ = ["dpo", "expert_iteration", "iterated_sft", "pair_sft", "sft", "star", "warm_up"]
