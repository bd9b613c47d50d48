"""DeGRPO: learn when to think, the choice apart from the answer.

Fang, Ma and Wang 2025 (Thinkless), arXiv:2505.13379. Cost a step: batch samples, and a reference and a training pass
over each.
"""

from __future__ import annotations

from trueup.core.errors import BadInput
from trueup.train.job import Job, Trained

AVERAGES = ("paper", "reference_code")


def degrpo(
    job: Job,
    *,
    steps: int = 100,
    alpha: float = 0.001,
    average: str = "paper",
    think: str = "<think>",
    short: str = "<short>",
    think_reward: float = 0.5,
    wrong_reward: float = -1.0,
    n: int = 8,
    batch: int = 32,
    lr: float = 1e-6,
    beta: float = 0.001,
    lora_rank: int = 16,
    temperature: float = 1.0,
    divide_by_std: bool = False,
    updates: int = 1,
    clip: float = 0.2,
    unbiased_kl: bool = True,
    random_reward: bool = False,
    save_every: int = 10,
) -> Trained:
    """Train a model that begins an answer with one of two tokens, `think` or `short`; it must have been taught both.

    A right short answer earns 1, a right one with thinking `think_reward`, any other `wrong_reward`. The first token's
    loss counts `alpha` times, the rest as `average` says: `paper` 1/T_i in each attempt, `reference_code` all tokens of
    the step alike. The paper's `alpha` fits answers of about a thousand tokens; the figure `alpha_even` is the one that
    would weigh both modes' choices as GRPO does at the lengths seen. The other settings are those of `grpo`.
    """
    settings = {name: value for name, value in locals().items() if name != "job"}
    if average not in AVERAGES:
        raise BadInput(f"average is {average!r}; it takes {' or '.join(AVERAGES)}")
    if alpha < 0:
        raise BadInput(f"alpha is {alpha}; it must not be below 0")
    from trueup.train.real.modes import by_mode
    from trueup.train.real.objective import Recipe
    from trueup.train.real.run import run

    prompt = job.stratum.items[0].problem.prompt if job.stratum.items else ()
    make = by_mode(
        prompt,
        think=think,
        short=short,
        think_reward=think_reward,
        wrong_reward=wrong_reward,
        alpha=alpha,
        average=average,
        divide_by_std=divide_by_std,
    )
    return run(job, "degrpo", Recipe.of(settings | {"norm": "sequence"}), make, settings)
