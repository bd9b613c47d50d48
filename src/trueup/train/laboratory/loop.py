"""The training loop: any loss, deterministic by seed, resumable.

Step i draws its batch from a generator seeded by (seed, i) alone, so a run that was killed and resumed ends in the
same weights, to the bit, as one that was not (on the same number of threads).
FLOPs: a token costs 2 N forward, 2 N for the gradient of what passes through, and 2 for every weight that is trained;
that is 6 N for all of them and about 4 N for an adapter (decision science of dense transformers). N counts all weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trueup.core.errors import BadInput
from trueup.train.failures import require_finite
from trueup.train.laboratory.checkpoint import load_state, save_state
from trueup.train.laboratory.costs import at_work
from trueup.train.meter import Work, settle

RECENT = 0.98
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast to train; `rows` is the batch, `schedule` is `cosine` (down to a tenth) or `constant`."""

    steps: int
    rows: int = 256
    lr: float = 3e-3
    schedule: str = "cosine"
    warmup_steps: int = 30
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise BadInput(f"schedule {self.schedule!r}; take {' or '.join(SCHEDULES)}")

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == "constant":
            return self.lr * warm
        return self.lr * warm * (0.55 + 0.45 * cos(pi * step / self.steps))


@dataclass(frozen=True, slots=True)
class Loss:
    """A step's loss, and the tokens that went into it; `extra_flops` are those of other models that were asked."""

    value: Tensor
    tokens: int
    extra_flops: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What training cost; `loss` is a running mean of the last steps."""

    steps: int = 0
    tokens: int = 0
    flops: int = 0
    seconds: float = 0.0
    loss: float = float("nan")

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.steps + other.steps,
            self.tokens + other.tokens,
            self.flops + other.flops,
            self.seconds + other.seconds,
            other.loss,
        )


LossOf = Callable[[np.random.Generator], Loss]
Choice = Callable[[str], bool]
"""Says by a parameter's name whether it is trained."""


def fit(
    model: nn.Module,
    loss_of: LossOf,
    recipe: Recipe,
    *,
    trained: Choice | None = None,
    checkpoint: Path | None = None,
    every_steps: int = 500,
) -> Spent:
    """Train a model in place, and say what that cost.

    With a checkpoint it is written every so many steps and at the end, and a run begins where it left off. Raises
    BadInput at the first step whose loss or gradient is no number; the last checkpoint stays.
    """
    weights = _choose(model, trained)
    optimizer = torch.optim.AdamW(weights, recipe.lr, (0.9, 0.98), weight_decay=recipe.weight_decay, fused=True)
    spent = load_state(checkpoint, model, optimizer, recipe, Spent) if checkpoint else Spent()
    flops_per_token = training_flops(model, 1)
    model.train()
    started, before = time.perf_counter(), spent
    while spent.steps < recipe.steps:
        with at_work("trained", weights[0].device) as told:
            loss = loss_of(np.random.default_rng((recipe.seed, spent.steps)))
            value = _update(weights, optimizer, loss.value, recipe.rate(spent.steps), recipe.clip, spent.steps + 1)
            flops = flops_per_token * loss.tokens
            told(partial(Work, loss.tokens, flops=flops))
        mean = _running(spent.loss, value)
        seconds = before.seconds + time.perf_counter() - started
        flops += spent.flops + loss.extra_flops
        spent = Spent(spent.steps + 1, spent.tokens + loss.tokens, flops, seconds, mean)
        if checkpoint and (spent.steps % every_steps == 0 or spent.steps == recipe.steps):
            settle()
            save_state(checkpoint, model, optimizer, recipe, spent)
    model.eval()
    return spent


def training_flops(model: nn.Module, tokens: int) -> int:
    """FLOPs of training on so many tokens, by what is set to be trained."""
    every = sum(weight.numel() for weight in model.parameters())
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return (4 * every + 2 * trained) * tokens


def _choose(model: nn.Module, trained: Choice | None) -> list[nn.Parameter]:
    if trained is not None:
        for name, weight in model.named_parameters():
            weight.requires_grad_(trained(name))
    return [weight for weight in model.parameters() if weight.requires_grad]


def _update(
    weights: list[nn.Parameter], optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, clip: float, step: int
) -> float:
    """Make a step and return its loss; one that is no number moves no weight."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    figures = {"loss": float(loss.detach()), "grad_norm": float(nn.utils.clip_grad_norm_(weights, clip))}
    require_finite(step, figures, lambda: "the last checkpoint stays")
    optimizer.step()
    return figures["loss"]


def _running(mean: float, value: float) -> float:
    return value if mean != mean else RECENT * mean + (1 - RECENT) * value
