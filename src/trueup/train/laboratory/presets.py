"""Recipes under which the tiny models behave as the claims need.

A preset is a shape and stages of training, easier dials first: without them a direct answer over several
operations is not learned in minutes. `build` trains a preset, or takes it up where its checkpoint left it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trueup.core.errors import UnknownName
from trueup.train.laboratory.examples import Source, mixture
from trueup.train.laboratory.loop import Recipe, Spent
from trueup.train.laboratory.supervised import train
from trueup.train.laboratory.tasks import Addition, Chain, Facts, Task, source_of
from trueup.train.laboratory.transformer import Shape, Transformer


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a stage's rows: a task at these dials, each row's drawn evenly."""

    task: Task
    dials: Sequence[int]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Training on a mixture by a recipe."""

    recipe: Recipe
    parts: Sequence[Part]

    @property
    def source(self) -> Source:
        """Its examples."""
        return mixture([source_of(p.task, p.dials) for p in self.parts], [p.share for p in self.parts])


@dataclass(frozen=True, slots=True)
class Preset:
    """A model to be trained from scratch."""

    shape: Shape
    stages: Sequence[Stage]


@dataclass(frozen=True, slots=True)
class Built:
    """A trained model, what it was trained by, and what that cost."""

    model: Transformer
    preset: Preset
    spent: Spent


def _addition(steps: int, rows: int, *, worked: bool) -> Preset:
    parts = (Part(Addition(worked), (1, 2, 3, 3, 3)),)
    return Preset(Shape(), (Stage(Recipe(steps, rows=rows, lr=5e-3), parts),))


def _chain_steps(*steps: int) -> Preset:
    parts = (Part(Chain(worked=True, most=6), range(1, 7)),)
    return Preset(Shape(), tuple(Stage(Recipe(n, rows=64, lr=4e-3), parts) for n in steps))


def _chain_direct() -> Preset:
    stages = ((200, 1), (700, 2), (900, 4))
    return Preset(
        Shape(),
        tuple(Stage(Recipe(n, rows=128, lr=5e-3), (Part(Chain(most=4), range(1, top + 1)),)) for n, top in stages),
    )


def _knowing(width: int, heads: int, steps: int) -> Preset:
    """Facts and chains, first mostly worked, then mostly direct: it can work them out and is not in the habit."""
    facts, direct, worked = Facts(300, 1), Chain(most=3), Chain(worked=True, most=3)
    dials = range(1, 4)
    learn = (Part(facts, (1,), 0.3), Part(worked, dials, 0.7))
    habit = (Part(facts, (1,), 0.35), Part(direct, dials, 0.55), Part(worked, dials, 0.1))
    return Preset(
        Shape(width, heads=heads),
        (Stage(Recipe(steps, rows=64, lr=4e-3), learn), Stage(Recipe(200, rows=64), habit)),
    )


PRESETS: Mapping[str, Preset] = {
    "addition-direct": _addition(1000, 128, worked=False),
    "addition-direct-weak": _addition(500, 128, worked=False),
    "addition-steps": _addition(500, 64, worked=True),
    "chain-direct": _chain_direct(),
    "chain-steps": _chain_steps(300, 300),
    "chain-steps-fair": _chain_steps(400),
    "chain-steps-weak": _chain_steps(300),
    "knowing-large": _knowing(64, 4, 1500),
    "knowing-small": _knowing(24, 2, 1000),
}


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises UnknownName, which offers the nearest.
    """
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return PRESETS[name]


def build(
    chosen: Preset | str,
    *,
    seed: int = 0,
    share: float = 1.0,
    begin: Transformer | None = None,
    checkpoint: Path | None = None,
) -> Built:
    """Train a preset's model, or the one that it is to begin as, in place.

    `share` shortens or lengthens every stage, a checkpoint is a file per stage.
    """
    chosen = preset(chosen) if isinstance(chosen, str) else chosen
    model, spent = begin or Transformer(chosen.shape, seed=seed), Spent()
    for number, stage in enumerate(chosen.stages):
        recipe = replace(stage.recipe, seed=seed, steps=max(1, round(share * stage.recipe.steps)))
        path = checkpoint.with_name(f"{checkpoint.name}.{number}") if checkpoint else None
        spent += train(model, stage.source, recipe, checkpoint=path)
    return Built(model, chosen, spent)
