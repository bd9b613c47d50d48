"""Expert iteration: train the first attempt to give what a method finds.

Anthony et al. 2017, arXiv:1705.08439; with `best_of_n` it is the rejection sampling of Yuan et al. 2023,
arXiv:2308.01825. Any method of the house may be the expert; what it spends is on the training's ledger. Cost a round:
n runs of the method an item, a check each, then steps x batch texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.stratum import Arm
from trueup.run import Clerk, Tab
from trueup.train.ask import Graded, answered, demand_asked
from trueup.train.job import Job, Trained
from trueup.train.offline.loop import Course
from trueup.train.offline.own import as_said, asker_of, right_ones, with_replay
from trueup.train.offline.supervised import Plan, train_rounds
from trueup.train.texts import Example


def expert_iteration(
    job: Job, *, teacher: str = "best_of_n n=8", rounds: int = 1, graded: bool = True, steps: int = 100,
    batch: int = 8, lr: float = 1e-4, lora_rank: int = 16, kl: float = 0.0, replay: float = 0.0, save_every: int = 10,
) -> Trained:  # fmt: skip
    """Learn the method's answers that are right; without `graded` all of them."""
    course = Course(steps, batch, lr, lora_rank, kl, replay, save_every)
    arm = asker_of(job).arm(teacher)
    demand_asked(job.ask, [name for name in arm.models if name], f"what teacher {teacher!r} names")
    if arm.is_batch:
        raise BadInput(f"teacher {teacher!r} answers many items at once; take one that answers a single one")

    def gather(folder: Path, number: int) -> Sequence[Example]:
        found = _answers(job, folder, arm)
        kept = right_ones(found) if graded else [as_said(one) for (one,) in found]
        return with_replay(job, kept, replay)

    return train_rounds(job, gather, Plan(course, rounds))


def _answers(job: Job, folder: Path, arm: Arm) -> list[list[Graded]]:
    async def work(clerk: Clerk, tab: Tab) -> Graded:
        return await answered(clerk, tab, arm)

    found = asker_of(job).each(folder, job.stratum, work, f"teacher {arm.label}")
    return [[one] for one in found if one is not None and one.attempt.text]
