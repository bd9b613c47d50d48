"""Episodes and what they earned, in the forms that TRL asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trueup.train.real.online import OnlineTrainer


def rollout(prompts: list[str], trainer: OnlineTrainer) -> dict[str, Any]:
    """TRL's form of the episodes; a prompt is the number of its item."""
    episodes = trainer.rollout([int(prompt) for prompt in prompts])
    records = trainer.grade(episodes)
    trainer.keep(episodes, records)
    return {
        "prompt_ids": [episode.prompt_ids for episode in episodes],
        "completion_ids": [[token for token, _ in episode.tokens] for episode in episodes],
        "env_mask": [[int(turn > 0) for _, turn in episode.tokens] for episode in episodes],
        "logprobs": [episode.logprobs for episode in episodes] if trainer.use_vllm else None,
        "earned": [list(record.rewards) for record in records],
    }


def reward_of(turn: int) -> Callable[..., list[float]]:
    """What TRL takes for a reward function: a turn's part of what was earned."""

    def reward(*, earned: Sequence[Sequence[float]], **ignored: Any) -> list[float]:
        return [one[turn] for one in earned]

    reward.__name__ = f"turn_{turn + 1}"
    return reward
