"""Several processes at one offline training: the main one runs it, the others read their share of every step.

Each process has all of the weights and adds up its gradients with the others', or a part of every layer's where the
profile shards them, so a step is what it is in one process, but for rounding. The others know nothing of a trainer:
they are told each lesson, and are dismissed at the end.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, distributed

from trueup.train.job import Job, Trained
from trueup.train.network import Trainee, load
from trueup.train.offline.loop import Course, Objective, fit
from trueup.train.offline.sharded import is_sharded, sharded, whole_file
from trueup.train.profiles import Profile, is_main, launched_processes, require_processes

T = TypeVar("T")
PATIENCE = timedelta(days=30)
"""How long the others wait, while the main process samples and grades."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a lesson leaves: the last figures, and what a file needs of a network that is cut, of any other None."""

    figures: dict[str, float]
    weights: dict[str, Tensor] | None


@dataclass(frozen=True, slots=True)
class Lesson(Generic[T]):
    """A training of a folder's weights on texts, as every process is told of it; `first` and `last` are `fit`'s.

    `prepare` makes of the texts what is trained on, with all processes and the weights as they are before.
    """

    start: Path
    texts: Sequence[T]
    objective: Callable[[Trainee], Objective[T]]
    course: Course
    state: Path
    first: int
    last: int
    prepare: Callable[[Job, Trainee, Sequence[T]], Sequence[T]] | None = None

    def learn(self, job: Job, trainee: Trainee) -> Learned:
        """Train the weights, with the other processes where there are any."""
        texts = self.prepare(job, trainee, self.texts) if self.prepare else self.texts
        figures = fit(
            job, trainee, texts, self.objective(trainee), self.course, state=self.state, first=self.first,
            last=self.last,
        )  # fmt: skip
        return Learned(figures, whole_file(trainee.network) if is_sharded(trainee.network) else None)


def open_trainee(job: Job, folder: Path, course: Course) -> Trainee:
    """The weights of a folder, to be trained as the course and the profile say; those to be sharded are on the CPU."""
    torch.set_num_threads(job.threads_each)
    return load(
        folder, device="cpu" if job.profile.sharding else job.profile.device, dtype=job.profile.dtype,
        lora_rank=course.lora_rank, template=job.template, seed=job.seed,
    )  # fmt: skip


def taught(job: Job, trainee: Trainee, lesson: Lesson[T]) -> Learned:
    """Train in every process of the profile; only the main one asks for that, with the weights freshly opened."""
    if distributed.is_initialized():
        _told(lesson)
    return lesson.learn(job, _placed(job, trainee))


def _placed(job: Job, trainee: Trainee) -> Trainee:
    """The weights where they are trained, cut over the processes if the profile says so."""
    if not job.profile.sharding:
        return trainee
    device = torch.device(job.profile.device)
    return replace(trainee, network=sharded(trainee.network, device, trainee.dtype), device=device)


def in_company(trainer: Callable[[Job], Trained], job: Job) -> Trained:
    """Run a trainer in the main process of the job's profile; any other learns what that one teaches, and leaves.

    Raises BadInput where another number of processes runs than the profile says.
    """
    require_processes(job.profile, launched_processes())
    if job.profile.processes == 1:
        return trainer(job)
    with _meeting(job.profile):
        if not is_main():
            return _assist(job)
        trained = trainer(job)
        _told(None)
        return trained


@contextmanager
def _meeting(profile: Profile) -> Iterator[None]:
    """Bring the launched processes together, each with a GPU of its own where they have any."""
    backend = "gloo"
    if profile.device == "cuda":
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", os.environ["RANK"])))
    distributed.init_process_group(backend)
    _patient()
    yield
    distributed.destroy_process_group()


@cache
def _patient() -> Any:
    """The same processes, as those of a group who wait long for one another; made by all of them at once."""
    return distributed.new_group(backend="gloo", timeout=PATIENCE)


def _assist(job: Job) -> Trained:
    """Learn every lesson of the main process's beside it, until there is none."""
    while (lesson := _told(None)) is not None:
        lesson.learn(job, _placed(job, open_trainee(job, lesson.start, lesson.course)))
        gc.collect()  # a network that is cut refers to itself
    return Trained(0, {}, adapter=False)


def _told(lesson: Lesson[Any] | None) -> Lesson[Any] | None:
    """What the main process says, in all of them, however long it has sampled before."""
    said = [lesson]
    distributed.broadcast_object_list(said, group=_patient())
    return said[0]
