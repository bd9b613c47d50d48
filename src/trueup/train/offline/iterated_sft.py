"""On-policy fine-tuning in rounds: sample anew, keep what came right, go on.

The control that Kumar et al. 2024, arXiv:2409.12917 (SCoRe), has no arm of: supervised as STaR is, on the policy's own
traces as RL is. Each round goes on from the last one's weights. Cost a round: 2 n samples and checks an item, then
steps x batch texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trueup.train.ask import demand_asked
from trueup.train.job import Job, Trained
from trueup.train.offline.loop import Course
from trueup.train.offline.own import corrections, demand, right_ones, traces, with_replay
from trueup.train.offline.supervised import Plan, train_rounds
from trueup.train.texts import Example


def iterated_sft(
    job: Job, *, rounds: int = 5, n: int = 4, plus: bool = True, anchor: bool = True, steps: int = 20, batch: int = 8,
    lr: float = 1e-4, lora_rank: int = 16, kl: float = 0.0, replay: float = 0.0, save_every: int = 10,
) -> Trained:  # fmt: skip
    """Second turns of the current policy that end right, and with `anchor` its right first attempts."""
    course = Course(steps, batch, lr, lora_rank, kl, replay, save_every)
    demand_asked(job.ask, ())
    demand(n=n)

    def gather(folder: Path, number: int) -> Sequence[Example]:
        found = traces(job, folder, n, number * n)
        first = right_ones([[trace.first] for trace in found]) if anchor else []
        return with_replay(job, [*corrections(found, plus=plus), *first], replay)

    return train_rounds(job, gather, Plan(course, rounds))
