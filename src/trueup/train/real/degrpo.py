"""DeGRPO: learn when to think, the choice apart from the answer.

Fang, Ma and Wang 2025 (Thinkless), arXiv:2505.13379. Cost a step: batch samples, and a reference and a training pass
over each; before the first step probe samples an item.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import inf

from trueup.core.errors import BadInput
from trueup.train.job import Job, Trained

AVERAGES = ("paper", "reference_code", "grpo")
ALPHA = 0.001


def degrpo(
    job: Job, *, steps: int = 100, alpha: float = ALPHA, average: str = "paper", think: str = "", short: str = "",
    think_reward: float = 0.5, wrong_reward: float = -1.0, n: int = 8, batch: int = 32, lr: float = 1e-6,
    beta: float = 0.001, lora_rank: int = 16, temperature: float = 1.0, divide_by_std: bool = False, updates: int = 1,
    clip: float = 0.2, unbiased_kl: bool = True, random_reward: bool = False, probe: int = 4, replay: float = 0.0,
    save_every: int = 10,
) -> Trained:  # fmt: skip
    """Train a model that begins an answer with one of two tokens, `think` or `short`, as `warm_up` has taught it.

    Without names the tokens are those on the card of that training. A right short answer earns 1, a right one with
    thinking `think_reward`, any other `wrong_reward`. The first token's loss counts `alpha` times, the rest as
    `average` says: `paper` 1/T_i in each attempt, `reference_code` all tokens of the step alike; `grpo` is the control
    that takes the first token for one like any other, 1/(T_i + 1), without `alpha`. The paper's `alpha` fits answers of
    about a thousand tokens; the figure `alpha_even` is the one that would weigh both modes' choices as GRPO does at the
    lengths seen. `probe` attempts an item before the training say how hard it is, and the log how often each third of
    the items is thought about; 0 leaves that out. With `random_reward` a coin says who earns 1 and who `wrong_reward`,
    whatever the mode. Answers that are replayed stand behind the token that chose their mode. The other settings are
    those of `grpo`.
    """
    settings = {name: value for name, value in locals().items() if name != "job"}
    _check(alpha, average, probe)
    _check_rewards(think_reward, wrong_reward)
    from trueup.train.control_tokens import find_modes, taught_unless_named
    from trueup.train.real.difficulty import probed
    from trueup.train.real.modes import by_mode
    from trueup.train.real.objective import Recipe
    from trueup.train.real.run import run

    prompt = job.stratum.items[0].problem.prompt if job.stratum.items else ()
    taught = taught_unless_named(job.model, think, short)
    make = by_mode(
        partial(find_modes, prompt=prompt, think=think, short=short, taught=taught),
        think_reward=think_reward,
        wrong_reward=wrong_reward,
        alpha=alpha,
        average=average,
        divide_by_std=divide_by_std,
        thirds=partial(probed, job, probe, batch // job.profile.processes),
        by_coin=random_reward,
    )
    trained = run(job, "degrpo", Recipe.of(settings | {"norm": "sequence"}), make, settings, has_modes=True)
    return replace(trained, figures={**trained.figures, **taught})


def _check(alpha: float, average: str, probe: int) -> None:
    if average not in AVERAGES:
        raise BadInput(f"average is {average!r}; it takes {', '.join(AVERAGES)}")
    if not 0 <= alpha < inf or probe < 0:
        raise BadInput(f"alpha {alpha} and probe {probe} must not be below 0")
    if average == "grpo" and alpha != ALPHA:
        raise BadInput(f"alpha is {alpha}, and average=grpo weighs no token apart; leave alpha out")


def _check_rewards(think_reward: float, wrong_reward: float) -> None:
    if not -inf < wrong_reward < 1:
        raise BadInput(f"wrong_reward is {wrong_reward}; a right short answer earns 1, so give less")
    if not wrong_reward < think_reward < inf:
        raise BadInput(
            f"think_reward is {think_reward}, for a right answer; give more than wrong_reward {wrong_reward}"
        )
