"""Group-relative policy optimisation, one turn.

Shao et al. 2024, arXiv:2402.03300: n attempts a prompt, each compared with its group, KL to the base.
Cost a step: batch samples, and a reference and a training pass over each.
"""

from __future__ import annotations

from trueup.train.job import Job, Trained


def grpo(
    job: Job,
    *,
    steps: int = 100,
    n: int = 8,
    batch: int = 32,
    lr: float = 1e-5,
    beta: float = 0.01,
    lora_rank: int = 16,
    temperature: float = 1.0,
    norm: str = "sequence",
    divide_by_std: bool = True,
    updates: int = 1,
    clip: float = 0.2,
    unbiased_kl: bool = True,
    random_reward: bool = False,
    replay: float = 0.0,
    save_every: int = 10,
) -> Trained:
    """Train with a reward of 1 for a right text, 0 for another.

    A step takes `batch` rollouts, `n` for each prompt. `beta` weighs the KL to the base (0 leaves the reference pass
    out), estimated so that its gradient is that of KL(policy || base); without `unbiased_kl` GRPO's own k3 is
    differentiated as it stands. `norm` says what tokens are averaged over: `sequence` (1/T_i, GRPO), `token` (DAPO) or
    `constant` (the limit of tokens, Dr.GRPO). `updates` steps are made on each batch of samples; from the second on the
    policy has moved, and `clip` bounds by how much a token may still count. `lora_rank` 0 trains all weights.
    `random_reward` lets a coin reward, the control that shows what the task's own reward brings. `replay` is the share
    of what a step reads that are the base's own answers to other strata, right or wrong, beside the whole `batch` of
    rollouts and one at least; it is also their weight: a step's loss is 1 - `replay` times that of the rollouts, KL
    included, and `replay` times the mean negative log-likelihood a token of the answers at temperature 1. A checkpoint
    is kept every `save_every` steps.
    """
    settings = {name: value for name, value in locals().items() if name != "job"}
    from trueup.train.real.objective import Recipe
    from trueup.train.real.objectives import each_turn
    from trueup.train.real.run import run

    objective = each_turn(1, divide_by_std=divide_by_std)
    return run(job, "grpo", Recipe.of(settings), lambda vocabulary: objective, settings)
