"""Two ways to answer, told apart by the first token: rewards, weights, figures.

Axes: B row, T token; n_i tokens of row i, the choice included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from trueup.core.errors import BadInput
from trueup.core.types import Prompt
from trueup.models.huggingface.vocabulary import Vocabulary
from trueup.train.losses.degrpo import balanced_alpha, chosen_first
from trueup.train.real.episodes import Episode, Record
from trueup.train.real.objective import Objective, Rewards
from trueup.train.real.objectives import within_groups

ENDING = 4
"""So many tokens at a prompt's end may not hold a mode's: a line break or two may stand behind it."""


@dataclass(frozen=True, slots=True)
class Modes:
    """The tokens that begin an answer with thinking, and one without; with their names."""

    think: int
    short: int
    names: tuple[str, str]


def by_mode(
    prompt: Prompt,
    *,
    think: str,
    short: str,
    think_reward: float,
    wrong_reward: float,
    alpha: float,
    average: str,
    divide_by_std: bool,
) -> Callable[[Vocabulary], Objective]:
    """DeGRPO's objective, once the model's tokens are known; the prompt is one that its template is tried on."""

    def credit(reward_PGK: Tensor, step: int) -> Tensor:
        return within_groups(reward_PGK, divide_by_std=divide_by_std)

    def make(vocabulary: Vocabulary) -> Objective:
        modes = find_modes(vocabulary, prompt, think=think, short=short)
        return Objective(
            1,
            mode_reward(modes, think_reward=think_reward, wrong_reward=wrong_reward),
            credit,
            weigh=token_weights(modes, alpha=alpha, average=average),
            figures=lambda records: mode_figures(records, modes),
        )

    return make


def find_modes(vocabulary: Vocabulary, prompt: Prompt, *, think: str, short: str) -> Modes:
    """The two control tokens of a model.

    Raises BadInput where one of them is no single token, both are one, or the template writes one before the model can.
    """
    found = []
    for name in (think, short):
        ids = vocabulary.tokenizer(name, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise BadInput(f"{name!r} is {len(ids)} tokens of this model; name one of its tokens, and teach it by sft")
        found.append(ids[0])
    if found[0] == found[1]:
        raise BadInput(f"think and short are both {think!r}; name two tokens")
    written = [
        name for name, token in zip((think, short), found, strict=True) if token in vocabulary.ids(prompt)[-ENDING:]
    ]
    if written:
        raise BadInput(
            f"the chat template writes {written[0]!r} itself; name one that leaves it out with template=FILE"
        )
    return Modes(found[0], found[1], (think, short))


def mode_reward(
    modes: Modes, *, think_reward: float, wrong_reward: float
) -> Callable[[Episode, Sequence[bool]], Rewards]:
    """1 for right and short, `think_reward` for right with thinking, `wrong_reward` for wrong or in no mode at all."""
    by_mode = {modes.think: think_reward, modes.short: 1.0}

    def reward(episode: Episode, rights: Sequence[bool]) -> Rewards:
        right = by_mode.get(episode.turns[0].ids[0], wrong_reward)
        return (right if rights[0] else wrong_reward,)

    return reward


def token_weights(modes: Modes, *, alpha: float, average: str) -> Callable[[Tensor, Sequence[Record]], Tensor]:
    """Factors on advantages that make GRPO's mean over attempts of 1/n_i sum_t L_it into DeGRPO's.

    A clipped surrogate grows with its advantage, so a token's weight can be put there: alpha n_i on the choice, and on
    the rest n_i/(n_i - 1) in the paper's form, n_i B / sum_j (n_j - 1) in the released code's, over all rows of a step.
    """

    def weigh(mask_BT: Tensor, records: Sequence[Record]) -> Tensor:
        if not any(record.first in (modes.think, modes.short) for record in records):
            raise BadInput(
                f"none of {len(records)} attempts began with {modes.names[0]!r} or {modes.names[1]!r}; teach the model "
                "both by sft first"
            )
        n_B1 = mask_BT.sum(1, keepdim=True).float()
        answers = max(1, sum(record.lengths[0] - 1 for record in records)) / len(records)
        lengths_B1 = (n_B1 - 1).clamp(min=1) if average == "paper" else torch.full_like(n_B1, answers)
        return torch.where(chosen_first(mask_BT), alpha * n_B1, n_B1 / lengths_B1)

    return weigh


def mode_figures(records: Sequence[Record], modes: Modes) -> Mapping[str, float]:
    """How often each mode is chosen, and how right and long its answers are."""
    by_mode = {
        name: [record for record in records if record.first == token]
        for name, token in (("think", modes.think), ("short", modes.short))
    }
    told = {f"{name}_rate": len(group) / len(records) for name, group in by_mode.items()}
    for name, group in by_mode.items():
        if group:
            told[f"right_{name}"] = fmean(record.rights[0] for record in group)
            told[f"length_{name}"] = fmean(record.lengths[0] for record in group)
    if all(by_mode.values()):
        told["alpha_even"] = balanced_alpha(told["length_short"] - 1, told["length_think"] - 1)
    return told
