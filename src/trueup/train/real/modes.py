"""Two ways to answer, told apart by the first token: rewards, weights, figures.

Axes: B row, T token; n_i tokens of row i, the choice included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.models.huggingface.vocabulary import Vocabulary
from trueup.train.control_tokens import Modes
from trueup.train.losses.degrpo import balanced_alpha, chosen_first
from trueup.train.real.difficulty import Thirds
from trueup.train.real.episodes import Episode, Record
from trueup.train.real.objective import Objective, Rewards
from trueup.train.real.objectives import within_groups


def by_mode(
    find: Callable[[Vocabulary], Modes],
    *,
    think_reward: float,
    wrong_reward: float,
    alpha: float,
    average: str,
    divide_by_std: bool,
    thirds: Callable[[], Thirds] = Thirds.none,
    by_coin: bool = False,
) -> Callable[[Vocabulary], Objective]:
    """DeGRPO's objective, once the model's tokens are found; what `thirds` makes is told of every attempt.

    With `by_coin` it is a coin that says what is right, and both modes earn alike.
    """

    def credit(reward_PGK: Tensor, step: int) -> Tensor:
        return within_groups(reward_PGK, divide_by_std=divide_by_std)

    def make(vocabulary: Vocabulary) -> Objective:
        modes = find(vocabulary)
        reward: Callable[[Episode, Sequence[bool]], Rewards]
        if by_coin:
            reward = partial(tossed_reward, wrong_reward=wrong_reward)
        else:
            reward = mode_reward(modes, think_reward=think_reward, wrong_reward=wrong_reward)
        by_ease = thirds()

        def noted(episode: Episode, rights: Sequence[bool]) -> Rewards:
            by_ease.note(episode.item, has_thought=episode.turns[0].ids[0] == modes.think)
            return reward(episode, rights)

        def figures(records: Sequence[Record]) -> Mapping[str, float]:
            return {**mode_figures(records, modes, by_coin=by_coin), **by_ease.figures}

        return Objective(1, noted, credit, weigh=token_weights(modes, alpha=alpha, average=average), figures=figures)

    return make


def mode_reward(
    modes: Modes, *, think_reward: float, wrong_reward: float
) -> Callable[[Episode, Sequence[bool]], Rewards]:
    """1 for right and short, `think_reward` for right with thinking, `wrong_reward` for wrong or in no mode at all."""
    by_mode = {modes.think: think_reward, modes.short: 1.0}

    def reward(episode: Episode, rights: Sequence[bool]) -> Rewards:
        right = by_mode.get(episode.turns[0].ids[0], wrong_reward)
        return (right if rights[0] else wrong_reward,)

    return reward


def tossed_reward(episode: Episode, rights: Sequence[bool], *, wrong_reward: float) -> Rewards:
    """1 for heads, `wrong_reward` for tails, whatever the text and its mode."""
    return (1.0 if rights[0] else wrong_reward,)


def token_weights(modes: Modes, *, alpha: float, average: str) -> Callable[[Tensor, Sequence[Record]], Tensor]:
    """Factors on advantages that make GRPO's mean over attempts of 1/n_i sum_t L_it into the average that is asked for.

    A clipped surrogate grows with its advantage, so a token's weight can be put there.
    """
    weigh = partial(AVERAGES[average], alpha=alpha)

    def weights(mask_BT: Tensor, records: Sequence[Record]) -> Tensor:
        if not any(record.first in (modes.think, modes.short) for record in records):
            raise BadInput(
                f"none of {len(records)} attempts began with {modes.names[0]!r} or {modes.names[1]!r}; teach the model "
                "both by warm_up first, and train the folder that it leaves"
            )
        return weigh(mask_BT, [record.lengths[0] for record in records])

    return weights


def paper_weights(mask_BT: Tensor, lengths: Sequence[int], *, alpha: float) -> Tensor:
    """DeGRPO as written: alpha n_i on the choice, n_i/(n_i - 1) on the rest."""
    n_B1 = mask_BT.sum(1, keepdim=True).float()
    return torch.where(chosen_first(mask_BT), alpha * n_B1, n_B1 / (n_B1 - 1).clamp(min=1))


def reference_code_weights(mask_BT: Tensor, lengths: Sequence[int], *, alpha: float) -> Tensor:
    """DeGRPO as released: alpha n_i on the choice, n_i B / sum_j (n_j - 1) on the rest, over all rows of a step."""
    n_B1 = mask_BT.sum(1, keepdim=True).float()
    answers = max(1, sum(length - 1 for length in lengths)) / len(lengths)
    return torch.where(chosen_first(mask_BT), alpha * n_B1, n_B1 / answers)


def grpo_weights(mask_BT: Tensor, lengths: Sequence[int], *, alpha: float) -> Tensor:
    """Vanilla GRPO, the control: the choice is one token of n_i like any other, and the longer mode's counts less."""
    return torch.ones(mask_BT.shape, device=mask_BT.device)


AVERAGES = {"paper": paper_weights, "reference_code": reference_code_weights, "grpo": grpo_weights}


def mode_figures(records: Sequence[Record], modes: Modes, *, by_coin: bool = False) -> Mapping[str, float]:
    """How often each mode is chosen, and how right (unless a coin says so) and long its answers are."""
    by_mode = {
        name: [record for record in records if record.first == token]
        for name, token in (("think", modes.think), ("short", modes.short))
    }
    told = {f"{name}_rate": len(group) / len(records) for name, group in by_mode.items()}
    for name, group in by_mode.items():
        if group and not by_coin:
            told[f"right_{name}"] = fmean(record.rights[0] for record in group)
        if group:
            told[f"length_{name}"] = fmean(record.lengths[0] for record in group)
    if all(by_mode.values()):
        told["alpha_even"] = balanced_alpha(told["length_short"] - 1, told["length_think"] - 1)
    return told
