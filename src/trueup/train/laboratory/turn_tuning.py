"""Supervised learning of second attempts, from traces made once or over and over.

STaR (Zelikman et al. 2022, arXiv:2203.14465) and Pair-SFT (Welleck et al. 2022, arXiv:2211.00053), as Kumar et al.
2024, arXiv:2409.12917, use them: sample episodes, keep some, learn their second attempts. How often one samples anew
is the one setting that takes this from off-line (1 round) to on-policy (a round every few updates). Later rounds go on
from the trained model. It is `turn_loss` with an advantage of 1 on every second attempt.
Axes: P problem, G episode of one problem, B row (P * G of them), T token, K turn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from trueup.train.laboratory.loop import Loss, Recipe, Spent, fit
from trueup.train.laboratory.policy import seed_of
from trueup.train.laboratory.tasks.two_turns import Problems, TwoTurns
from trueup.train.laboratory.transformer import Transformer
from trueup.train.laboratory.turn_policy import GROUP, Watch, turn_loss, watched
from trueup.train.laboratory.turns import Episodes, episodes

Select = Callable[[Episodes, TwoTurns, np.random.Generator], Episodes]
"""Makes the episodes to learn from out of those that were sampled, the groups of a problem next to each other."""


def corrected(found: Episodes, two_turns: TwoTurns, rng: np.random.Generator) -> Episodes:
    """Those that go from wrong to right."""
    return found.only(~found.right_BK[:, 0] & found.right_BK[:, 1])


def ended_right(found: Episodes, two_turns: TwoTurns, rng: np.random.Generator) -> Episodes:
    """Those that end right, wherever they began."""
    return found.only(found.right_BK[:, 1])


def paired_up(found: Episodes, two_turns: TwoTurns, rng: np.random.Generator) -> Episodes:
    """Wrong first attempts, each with some right attempt at the same problem."""
    pairs = _with_partners(found, rng)
    return pairs.only(~pairs.right_BK[:, 0])


def paired_up_and_kept(found: Episodes, two_turns: TwoTurns, rng: np.random.Generator) -> Episodes:
    """All first attempts, each with some right attempt at the same problem."""
    return _with_partners(found, rng)


def told(found: Episodes, two_turns: TwoTurns, rng: np.random.Generator) -> Episodes:
    """All first attempts, each with the reference answer: plain supervision, nothing of the model's own."""
    right_BK = found.right_BK.copy()
    right_BK[:, 1] = True
    return Episodes(found.prompts_BP, found.first_BT, two_turns.targets(found.prompts_BP), right_BK)


def tune_turns(
    model: Transformer,
    two_turns: TwoTurns,
    problems: Problems,
    select: Select,
    recipe: Recipe,
    *,
    rounds: int,
    reference: Transformer,
    anchor: float = 0.0,
    group: int = GROUP,
    watch: Watch = lambda done: None,
) -> Spent:
    """Train a model in place, sampling anew at the start of each round, and say what that cost.

    As many episodes are sampled as `recipe.steps * recipe.rows`; `anchor` weighs the KL of first attempts to the
    reference. A round that selects nothing learns from the last one's; before there is any, it learns nothing.
    """
    each = -(-recipe.steps // rounds)
    kept: list[Episodes] = []
    done = 0

    def loss_of(rng: np.random.Generator) -> Loss:
        nonlocal done
        flops = 0
        if done % each == 0:
            updates = min(each, recipe.steps - done)
            found = episodes(
                model, two_turns, problems(rng, updates * recipe.rows // group), n=group, seed=seed_of(rng)
            )
            chosen, flops = select(found, two_turns, rng), found.flops
            if len(chosen.prompts_BP):
                kept[:] = [chosen]
        done += 1
        if not kept:
            return Loss(0.0 * model.embedding.weight.sum(), 0, flops)
        batch = kept[0].only(rng.integers(0, len(kept[0].prompts_BP), recipe.rows))
        advantage_BK = torch.tensor([[0.0, 1.0]]).expand(recipe.rows, 2)
        loss = turn_loss(model, reference, two_turns, batch, advantage_BK, beta1=0.0, beta2=anchor)
        return Loss(loss.value, loss.tokens, loss.extra_flops + flops)

    return fit(model, watched(loss_of, watch), recipe)


def _with_partners(found: Episodes, rng: np.random.Generator, group: int = GROUP) -> Episodes:
    """Each episode with its second attempt replaced by a right one of its problem's; those without any are left out."""
    attempts_BKT = np.stack([found.first_BT, found.second_BT], 1)
    attempts_PAT = attempts_BKT.reshape(-1, 2 * group, attempts_BKT.shape[2])
    right_PA = found.right_BK.reshape(-1, 2 * group)
    right_BA = right_PA.repeat(group, 0)
    lots_BA = np.where(right_BA, rng.random(right_BA.shape), -1.0)
    picked_B = lots_BA.argmax(1)
    second_BT = attempts_PAT.repeat(group, 0)[np.arange(len(picked_B)), picked_B]
    right_BK = np.stack([found.right_BK[:, 0], np.ones(len(picked_B), bool)], 1)
    return Episodes(found.prompts_BP, found.first_BT, second_BT, right_BK).only(lots_BA.max(1) >= 0)
