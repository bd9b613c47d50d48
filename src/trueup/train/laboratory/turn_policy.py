"""Reinforcement over two turns: SCoRe, its stages, and what is left without them.

Kumar et al. 2024, arXiv:2409.12917. On-policy: an update on every batch of episodes, REINFORCE with the mean of the
other attempts at the problem as baseline, turn by turn. The reference of every stage is the model that was given first.
Cost: two attempts an episode, 6 N a token of training, 2 N of the reference where a beta needs it.
Axes: P problem, G episode of one problem, B row (P * G of them), T token, K turn, V vocabulary.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueup.train.laboratory.costs import reading
from trueup.train.laboratory.loop import Loss, LossOf, Recipe, Spent, fit
from trueup.train.laboratory.policy import policy_logits, policy_logp, reference_flops, seed_of
from trueup.train.laboratory.tasks.two_turns import Problems, TwoTurns
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.turns import Episodes, episodes
from trueup.train.laboratory.vocabulary import token_count
from trueup.train.losses.policy import group_advantage, token_kl
from trueup.train.losses.score import stage_one_loss, stage_one_reward, stage_two_loss, stage_two_reward

GROUP = 8
Grade = Callable[[Episodes, np.random.Generator], NDArray[np.float32]]
"""The reward of each attempt, axes BK; the generator is for rewards that are drawn."""
Watch = Callable[[int], None]
"""Told before each update how many are done."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of training: its share of the steps, what each turn is credited with, and how it is held.

    `beta1` weighs the KL of both attempts to the reference, `beta2` that of the first, which anchors it.
    """

    share: float
    credit: Callable[[Tensor], Tensor]
    beta1: float = 0.01
    beta2: float = 0.0


def right(found: Episodes, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 for a right attempt, 0 for a wrong one."""
    return found.right_BK.astype(np.float32)


def coin(found: Episodes, rng: np.random.Generator) -> NDArray[np.float32]:
    """The control: a reward that knows nothing."""
    return rng.integers(0, 2, found.right_BK.shape).astype(np.float32)


def score_stages(
    *, first: float = 0.5, alpha: float = 10.0, beta1: float = 0.01, beta2: float = 0.1, anchor: float = 0.0
) -> tuple[Stage, ...]:
    """SCoRe: `first` is the share of Stage I (0 leaves it out), alpha 0 the shaping; `anchor` is Stage II's beta2.

    Without both it is naive multi-turn reinforcement.
    """
    second = Stage(1 - first, lambda reward_BK: stage_two_reward(reward_BK, alpha=alpha), beta1, anchor)
    return (Stage(first, stage_one_reward, beta1, beta2), second) if first else (second,)


def reinforce_turns(
    model: Transformer,
    two_turns: TwoTurns,
    problems: Problems,
    stages: Sequence[Stage],
    recipe: Recipe,
    *,
    reference: Transformer,
    grade: Grade = right,
    group: int = GROUP,
    watch: Watch = lambda done: None,
) -> Spent:
    """Train a model in place through the stages, and say what that cost; `recipe.rows` episodes an update."""
    spent = Spent()
    for number, stage in enumerate(stages):
        part = replace(recipe, steps=round(stage.share * recipe.steps), seed=recipe.seed + number)
        loss_of = _loss_of(model, two_turns, problems, stage, recipe.rows, reference, grade, group)
        spent += fit(model, watched(loss_of, watch, spent.steps), part)
    return spent


def watched(loss_of: LossOf, watch: Watch, done: int = 0) -> LossOf:
    """The same loss, told on before each update."""
    count = itertools.count(done)

    def told(rng: np.random.Generator) -> Loss:
        watch(next(count))
        return loss_of(rng)

    return told


def _loss_of(
    model: Transformer,
    two_turns: TwoTurns,
    problems: Problems,
    stage: Stage,
    rows: int,
    reference: Transformer,
    grade: Grade,
    group: int,
) -> LossOf:
    def loss_of(rng: np.random.Generator) -> Loss:
        found = episodes(model, two_turns, problems(rng, rows // group), n=group, seed=seed_of(rng))
        advantage_BK = _advantage(stage.credit(torch.from_numpy(grade(found, rng))), group)
        return turn_loss(model, reference, two_turns, found, advantage_BK, beta1=stage.beta1, beta2=stage.beta2)

    return loss_of


def turn_loss(
    model: Transformer,
    reference: Transformer,
    two_turns: TwoTurns,
    found: Episodes,
    advantage_BK: Tensor,
    *,
    beta1: float,
    beta2: float,
) -> Loss:
    """The loss of a batch of episodes under these advantages."""
    rows_BT, turns_BT = found.rows(two_turns), found.turns(two_turns)
    tokens_BT = torch.from_numpy(rows_BT).to(model.device)
    turn_BT, advantage_BK = torch.from_numpy(turns_BT[:, 1:]).to(model.device), advantage_BK.to(model.device)
    logits_BTV = policy_logits(model, tokens_BT)
    logp_BT, count = policy_logp(logits_BTV, tokens_BT), token_count(rows_BT)
    if not beta1 and not beta2:
        value = stage_two_loss(logp_BT, advantage_BK, torch.zeros_like(logp_BT), turn_BT, beta1=0.0)
        return Loss(value, count, found.flops)
    with torch.no_grad(), reading(reference, rows_BT, "reference"):
        reference_BTV = policy_logits(reference, tokens_BT)
    kl_BT = token_kl(logits_BTV, reference_BTV)
    value = stage_one_loss(logp_BT, advantage_BK, kl_BT, turn_BT, beta1=beta1, beta2=beta2)
    return Loss(value, count, found.flops + reference_flops(reference, rows_BT))


def _advantage(worth_BK: Tensor, group: int) -> Tensor:
    """Each turn's worth against that turn's mean over the other episodes of the problem, axes BK."""
    columns = [group_advantage(worth_B.view(-1, group), leave_one_out=True).view(-1) for worth_B in worth_BK.unbind(1)]
    return torch.stack(columns, 1)
