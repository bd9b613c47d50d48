"""Two turns, each rewarded for itself: self-correction by plain RL.

The control of Kumar et al. 2024, arXiv:2409.12917 (SCoRe without its first stage and its bonus), which they saw
collapse into repeating the first answer. Cost a step: batch samples of two turns, and a reference and a training pass
over each.
"""

from __future__ import annotations

from trueup.train.job import Job, Trained


def multi_turn(
    job: Job,
    *,
    steps: int = 100,
    n: int = 8,
    batch: int = 32,
    lr: float = 1e-5,
    beta: float = 0.01,
    lora_rank: int = 16,
    temperature: float = 1.0,
    norm: str = "constant",
    divide_by_std: bool = False,
    updates: int = 1,
    clip: float = 0.2,
    unbiased_kl: bool = True,
    random_reward: bool = False,
    replay: float = 0.0,
    save_every: int = 10,
) -> Trained:
    """Train the first turn's tokens by whether it was right, the second's by whether that one was.

    The second turn is asked for in the words of the method `revise`, which do not tell whether the first was right.
    Each turn is compared with the same turn of its group. `norm` is `constant`, as in SCoRe's equations, which
    leaves length to itself; the other settings are those of `grpo`.
    """
    settings = {name: value for name, value in locals().items() if name != "job"}
    from trueup.train.real.objective import Recipe
    from trueup.train.real.objectives import each_turn
    from trueup.train.real.run import run

    objective = each_turn(2, divide_by_std=divide_by_std)
    return run(job, "multi_turn", Recipe.of(settings), lambda vocabulary: objective, settings)
