"""One process of a launched training whose other process is slow to read: `python -m tiny_company MODEL OUT`."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

from trueup.core.stratum import Stratum
from trueup.core.types import Message
from trueup.train.job import Job, Trained
from trueup.train.network import Trainee, load
from trueup.train.offline import company
from trueup.train.offline.company import Lesson, in_company, open_trainee, taught
from trueup.train.offline.loop import Course
from trueup.train.offline.supervised import supervised
from trueup.train.profiles import find_profile, is_main, leave
from trueup.train.texts import Example, tokens_of
from trueup.verifiers import exact

COURSE = Course(2, 2, 1e-3, 2, 0.0, 0.0, 1)


def trainer(job: Job) -> Trained:
    """The same lesson twice: the second time all of its steps are done, and its state is cleared at once."""
    for _ in range(2):
        trainee = open_trainee(job, job.model, COURSE)
        texts = [
            tokens_of(Example((Message("user", "problem 1"),), word), trainee.vocabulary, 256) for word in ("a", "b")
        ]
        objective = partial(supervised, course=COURSE, base=job.model)
        taught(job, trainee, Lesson(job.model, texts, objective, COURSE, job.out / "state.pt", 0, 2))
        with (job.out / "told.txt").open("a") as file:
            file.write(f"0:{len(steps)}\n")
        steps.clear()
    (job.out / "state.pt").unlink()
    return Trained(2, {}, adapter=True)


def slowly(job: Job, folder: Path, course: Course) -> Trainee:
    """Weights that take a second to read."""
    time.sleep(1)
    return load(folder, device="cpu", dtype="float32", lora_rank=2, template="", seed=0)


steps: list[int] = []

if __name__ == "__main__":
    model, out = map(Path, sys.argv[1:])
    if not is_main():
        company.open_trainee = slowly
    in_company(trainer, Job(
        model, Stratum("s", (), exact()), out, find_profile("torchrun-2"), 0, lambda passes: None,
        lambda progress: steps.append(progress.step),
    ))  # fmt: skip
    leave()
