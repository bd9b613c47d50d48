"""SCoRe: self-correction by RL over two turns, in two stages.

Kumar et al. 2024, arXiv:2409.12917, eq. 3 and 4. Cost a step: batch samples of two turns, and a reference and a
training pass over each.
"""

from __future__ import annotations

from math import inf

from trueup.core.errors import BadInput
from trueup.train.job import Job, Trained


def score(
    job: Job,
    *,
    steps: int = 100,
    stage_one: bool = True,
    stage_one_share: float = 0.5,
    alpha: float = 10.0,
    beta: float = 0.01,
    beta2: float = 0.1,
    n: int = 8,
    batch: int = 32,
    lr: float = 1e-5,
    lora_rank: int = 16,
    temperature: float = 1.0,
    norm: str = "constant",
    divide_by_std: bool = False,
    leave_one_out: bool = False,
    updates: int = 1,
    clip: float = 0.2,
    unbiased_kl: bool = True,
    random_reward: bool = False,
    replay: float = 0.0,
    save_every: int = 10,
) -> Trained:
    """Train the second turn with the first held to the base (Stage I), then both with a bonus on progress (Stage II).

    Stage I takes `stage_one_share` of the steps and leaves at least one batch to Stage II: the second turn's reward,
    `beta2` on the KL of the first turn beside `beta` on both. Stage II rewards the first turn by r1, the second by
    r2 + `alpha` (r2 - r1). Both stages are steps of one run, so the reference is the base in both, and the optimiser
    goes on. `stage_one=false` and `alpha=0` are the paper's ablations. The paper's REINFORCE is this with the mean of
    the group as its baseline, or, with `leave_one_out`, that of the other n - 1, which is n / (n - 1) times the same;
    its KL is estimated from the sampled tokens. The other settings are those of `multi_turn`.
    """
    settings = {name: value for name, value in locals().items() if name != "job"}
    if stage_one and not 0 < stage_one_share < 1:
        raise BadInput(
            f"stage_one_share is {stage_one_share}; it takes a share between 0 and 1, or set stage_one=false"
        )
    if stage_one and beta <= 0:
        raise BadInput(f"beta is {beta}; Stage I holds the first turn to the base, which needs beta above 0")
    if stage_one and steps < 2 * updates:
        raise BadInput(f"steps is {steps}; two stages take at least {2 * updates}, or set stage_one=false")
    for name, value in (("alpha", alpha), ("beta2", beta2)):
        if not 0 <= value < inf:
            raise BadInput(f"{name} is {value}; give a weight of 0 or more")
    from trueup.train.real.objective import Recipe
    from trueup.train.real.objectives import in_stages
    from trueup.train.real.run import run

    first_steps = min(max(1, round(steps * stage_one_share)), steps - updates) if stage_one else 0
    objective = in_stages(
        first_steps, alpha=alpha, beta2=beta2, divide_by_std=divide_by_std, leave_one_out=leave_one_out
    )
    return run(job, "score", Recipe.of(settings), lambda vocabulary: objective, settings)
