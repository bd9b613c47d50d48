"""Fine-tuning on the reference answers.

The references are somebody else's words: what this teaches is the task and its form, and it is the usual baseline
(Chung et al. 2022, arXiv:2210.11416). Cost: steps x batch texts, forward and backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.train.ask import demand_asked
from trueup.train.job import Job, Trained
from trueup.train.offline.loop import Course
from trueup.train.offline.own import with_replay
from trueup.train.offline.references import all_written
from trueup.train.offline.supervised import Plan, train_rounds
from trueup.train.texts import Example


def sft(
    job: Job, *, steps: int = 100, batch: int = 8, lr: float = 1e-4, lora_rank: int = 16, kl: float = 0.0,
    replay: float = 0.0, save_every: int = 10, target: str = "{reference}",
) -> Trained:  # fmt: skip
    """Imitate the references; `target` says how one is worded, and only what the verifier takes is trained on."""
    course = Course(steps, batch, lr, lora_rank, kl, replay, save_every)
    demand_asked(job.ask, ())
    if "{reference}" not in target:
        raise BadInput(f"target is {target!r}; say where the answer goes, such as 'The answer is {{reference}}.'")

    def gather(folder: Path, number: int) -> Sequence[Example]:
        texts = all_written(job.stratum, job.failed, target, are_needed=True)
        worded = zip(job.stratum.items, texts, strict=True)
        return with_replay(job, [Example(item.problem.prompt, text) for item, text in worded if text], replay)

    return train_rounds(job, gather, Plan(course))
