"""Several processes at one offline training: the main one runs it, the others read their share of every step.

Each process has all of the weights and adds up its gradients with the others', so a step is what it is in one process,
but for rounding. The others know nothing of a trainer: they are told each lesson, and are dismissed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import distributed

from trueup.train.job import Job, Trained
from trueup.train.network import Trainee, load
from trueup.train.offline.loop import Course, Objective, fit
from trueup.train.real.profiles import Profile, is_main, launched_processes, require_processes

T = TypeVar("T")
PATIENCE = timedelta(days=30)
"""How long the others wait, while the main process samples and grades."""


@dataclass(frozen=True, slots=True)
class Lesson(Generic[T]):
    """A training of a folder's weights on texts, as every process is told of it; `first` and `last` are `fit`'s."""

    start: Path
    texts: Sequence[T]
    objective: Callable[[Trainee], Objective[T]]
    course: Course
    state: Path
    first: int
    last: int

    def learn(self, job: Job, trainee: Trainee) -> dict[str, float]:
        """Train the weights, with the other processes where there are any, and return the last figures."""
        return fit(
            job, trainee, self.texts, self.objective(trainee), self.course, state=self.state, first=self.first,
            last=self.last,
        )  # fmt: skip


def open_trainee(job: Job, folder: Path, course: Course) -> Trainee:
    """The weights of a folder, to be trained as the course and the profile say."""
    torch.set_num_threads(job.threads_each)
    return load(
        folder, device=job.profile.device, dtype=job.profile.dtype, lora_rank=course.lora_rank,
        template=job.template, seed=job.seed,
    )  # fmt: skip


def taught(job: Job, trainee: Trainee, lesson: Lesson[T]) -> dict[str, float]:
    """Train in every process of the profile; only the main one asks for that."""
    if distributed.is_initialized():
        _told(lesson)
    return lesson.learn(job, trainee)


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
        lesson.learn(job, open_trainee(job, lesson.start, lesson.course))
    return Trained(0, {}, adapter=False)


def _told(lesson: Lesson[Any] | None) -> Lesson[Any] | None:
    """What the main process says, in all of them, however long it has sampled before."""
    said = [lesson]
    distributed.broadcast_object_list(said, group=_patient())
    return said[0]
