"""STaR for correction: imitate the own second attempts that mend a first.

Zelikman et al. 2022, arXiv:2203.14465, in the two-turn form that Kumar et al. 2024, arXiv:2409.12917 (SCoRe), table 1,
compare with: each round samples traces from the last round's model, keeps those that end right, and starts again from
the base. Only the second turn is learned. Cost a round: 2 n samples and checks an item, then steps x batch texts.
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


def star(
    job: Job, *, rounds: int = 3, n: int = 8, plus: bool = False, anchor: bool = False, steps: int = 50,
    batch: int = 8, lr: float = 1e-4, lora_rank: int = 16, kl: float = 0.0, replay: float = 0.0, save_every: int = 10,
) -> Trained:  # fmt: skip
    """Own traces from wrong to right (D), with `plus` from right to right too (D+).

    With `anchor` right first attempts are learned as well, so that the first turn does not drift.
    """
    course = Course(steps, batch, lr, lora_rank, kl, replay, save_every)
    demand_asked(job.ask, ())
    demand(n=n)

    def gather(folder: Path, number: int) -> Sequence[Example]:
        found = traces(job, folder, n, number * n)
        first = right_ones([[trace.first] for trace in found]) if anchor else []
        return with_replay(job, [*corrections(found, plus=plus), *first], replay)

    return train_rounds(job, gather, Plan(course, rounds, afresh=True))
