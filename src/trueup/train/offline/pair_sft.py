"""Pair-SFT: imitate a right attempt behind any wrong one.

Kumar et al. 2024, arXiv:2409.12917 (SCoRe), section 4, after Welleck et al. 2022, arXiv:2211.00053: the pairs are
made up of independent attempts of the base, so the correction is not its own. Cost: n samples and checks an item, then
steps x batch texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trueup.train.ask import demand_asked
from trueup.train.job import Job, Trained
from trueup.train.offline.loop import Course
from trueup.train.offline.own import attempts, demand, pairs, with_replay
from trueup.train.offline.supervised import Plan, train_rounds
from trueup.train.texts import Example


def pair_sft(
    job: Job, *, n: int = 8, plus: bool = False, steps: int = 100, batch: int = 8, lr: float = 1e-4,
    lora_rank: int = 16, kl: float = 0.0, replay: float = 0.0, save_every: int = 10,
) -> Trained:  # fmt: skip
    """Wrong attempts paired with right ones of the same item (D), with `plus` right ones with right ones too (D+)."""
    course = Course(steps, batch, lr, lora_rank, kl, replay, save_every)
    demand_asked(job.ask, ())
    demand(n=n)

    def gather(folder: Path, number: int) -> Sequence[Example]:
        return with_replay(job, pairs(attempts(job, folder, n, 0), plus=plus), replay)

    return train_rounds(job, gather, Plan(course))
