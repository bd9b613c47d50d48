"""What an online trainer maximises: turns, rewards, credit, weights, anchor.

Axes: P problem, G attempt of one problem, K turn, B row, T token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from trueup.train.real.episodes import Episode, Record

Rewards = tuple[float, ...]
"""A reward a turn."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What distinguishes one online trainer from another.

    `reward` makes rewards of an episode and of what was right in it, a turn each; `credit` makes an advantage for every
    turn of every attempt out of all rewards and the steps made before; `weigh`, where given, makes a factor for every
    token out of the mask of the rows here and the records of all rows; `anchor` is the weight, in a step, of the first
    turn's KL to the base, beside the one on all turns. `figures` says more of a step than the trainer does by itself.
    """

    turns: int
    reward: Callable[[Episode, Sequence[bool]], Rewards]
    credit: Callable[[Tensor, int], Tensor]
    weigh: Callable[[Tensor, Sequence[Record]], Tensor] | None = None
    anchor: Callable[[int], float] = lambda step: 0.0
    figures: Callable[[Sequence[Record]], Mapping[str, float]] = field(default=lambda records: {})


def right_or_wrong(episode: Episode, rights: Sequence[bool]) -> Rewards:
    """1 for a right turn, 0 for a wrong one."""
    return tuple(map(float, rights))


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings that all online trainers share; each trainer's own docstring says what they are."""

    steps: int
    n: int
    batch: int
    lr: float
    beta: float
    lora_rank: int
    temperature: float
    norm: str
    updates: int
    clip: float
    unbiased_kl: bool
    random_reward: bool
    save_every: int
    replay: float = 0.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Recipe:
        """The shared ones among a trainer's settings."""
        return cls(**{field.name: settings[field.name] for field in fields(cls)})
