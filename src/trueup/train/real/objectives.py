"""The objectives of the online trainers without modes: one turn, two turns, two stages.

Axes: P problem, G attempt of one problem, K turn, B row.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from trueup.train.losses.policy import group_advantage
from trueup.train.losses.score import stage_one_reward, stage_two_reward
from trueup.train.real.objective import Objective, right_or_wrong


def each_turn(turns: int, *, divide_by_std: bool) -> Objective:
    """Every turn is rewarded for itself."""

    def credit(reward_PGK: Tensor, step: int) -> Tensor:
        return within_groups(reward_PGK, divide_by_std=divide_by_std)

    return Objective(turns, right_or_wrong, credit)


def in_stages(
    first_steps: int, *, alpha: float, beta2: float, divide_by_std: bool, leave_one_out: bool = False
) -> Objective:
    """SCoRe's two stages: so many steps of the first, then the second."""

    def credit(reward_PGK: Tensor, step: int) -> Tensor:
        shape = stage_one_reward if step < first_steps else partial(stage_two_reward, alpha=alpha)
        shaped_PGK = shape(reward_PGK.flatten(0, 1)).view_as(reward_PGK)
        return within_groups(shaped_PGK, divide_by_std=divide_by_std, leave_one_out=leave_one_out)

    def anchor(step: int) -> float:
        return beta2 if step < first_steps else 0.0

    return Objective(2, right_or_wrong, credit, anchor=anchor)


def within_groups(reward_PGK: Tensor, *, divide_by_std: bool = False, leave_one_out: bool = False) -> Tensor:
    """Every turn's reward less the mean of that turn in its group."""
    value = partial(group_advantage, divide_by_std=divide_by_std, leave_one_out=leave_one_out)
    return torch.stack([value(reward_PG) for reward_PG in reward_PGK.unbind(2)], 2)
