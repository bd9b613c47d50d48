"""How near the laboratory's loop comes to what the core can multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trueup.bench.machine import Limits
from trueup.core.types import Json

if TYPE_CHECKING:
    from trueup.train.laboratory.loop import Spent
    from trueup.train.laboratory.transformer import Shape

DIAL = 3
SHAPES = ((64, 2), (128, 4))
"""Width and layers: the presets' own size, and one of eight times the weights."""


def laboratory_rows(bounds: Limits, *, steps: int) -> list[dict[str, Json]]:
    """FLOPs a second of supervised and of reinforced steps, and their share of the float32 multiply-adds of one core.

    A reinforced step samples 256 rows behind a cache, a token at a time, then trains on them.
    """
    import torch

    from trueup.train.laboratory.transformer import Shape

    torch.set_num_threads(1)
    rows = []
    for width, layers in SHAPES:
        shape = Shape(width, layers, 4)
        rows += [
            _row(f"laboratory, {kind} steps, width {width}", spent, bounds)
            for kind, spent in (("supervised", _supervised(shape, steps)), ("reinforced", _reinforced(shape, steps)))
        ]
    return rows


def _supervised(shape: Shape, steps: int) -> Spent:
    from trueup.train.laboratory.loop import Recipe
    from trueup.train.laboratory.supervised import train
    from trueup.train.laboratory.tasks import source_of
    from trueup.train.laboratory.tasks.addition import Addition
    from trueup.train.laboratory.transformer import Transformer

    model, source = Transformer(shape), source_of(Addition(most=DIAL), range(1, DIAL + 1))
    train(model, source, Recipe(steps=max(1, steps // 5), rows=256))
    return train(model, source, Recipe(steps=2 * steps, rows=256))


def _reinforced(shape: Shape, steps: int) -> Spent:
    from trueup.train.laboratory.loop import Recipe
    from trueup.train.laboratory.policy import attempts_at, reinforce
    from trueup.train.laboratory.tasks.addition import Addition
    from trueup.train.laboratory.transformer import Transformer

    task, model = Addition(most=DIAL), Transformer(shape)
    roll = attempts_at(
        model, lambda rng, rows: task.prompts(rng, rows, DIAL), task.check, group=8, most=task.longest(DIAL)
    )
    reinforce(model, roll, Recipe(steps=max(1, steps // 10), rows=256))
    return reinforce(model, roll, Recipe(steps=steps, rows=256))


def _row(system: str, spent: Spent, bounds: Limits) -> dict[str, Json]:
    return {
        "system": system, "trained_tokens_per_second": spent.tokens / spent.seconds, "tokens": spent.tokens,
        "seconds": spent.seconds, "flops_per_second": spent.flops / spent.seconds,
        "share_of_arithmetic_limit": spent.flops / spent.seconds / bounds.flops_per_second, "threads": 1,
    }  # fmt: skip
