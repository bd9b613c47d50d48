"""Jobs to be scheduled on machines."""

from __future__ import annotations

from random import Random

from trueup.core.puzzles.families import Job, Scheduling
from trueup.core.puzzles.families.scheduling import KINDS
from trueup.tasks.csp.clued import clued, dialled, invented
from trueup.tasks.csp.dials import band, within
from trueup.tasks.csp.made import Made

JOBS = ("cut", "drill", "paint", "pack", "weld", "sand", "wash", "print", "bend", "glue", "press", "label")
LONGEST = 3
PER_JOB = 60


def scheduling(rng: Random, *, jobs: int = 6, machines: int = 2, slack: int = 3, backtracks: str = "") -> Made:
    """Jobs of 1 to 3 hours; `slack` is how many hours the busiest machine stands still; `backtracks` as 4 or 3..6."""
    within("scheduling", "jobs", jobs, 2, len(JOBS))
    within("scheduling", "machines", machines, 1, jobs)
    within("scheduling", "slack", slack, 0, 12)
    wanted = band("scheduling", backtracks)
    dials = f"jobs={jobs} machines={machines} slack={slack}" + f" backtracks={backtracks}" * bool(backtracks)

    def make(steer: Random | None) -> Made | None:
        todo = tuple(Job(name, rng.randint(1, LONGEST), 1 + i % machines) for i, name in enumerate(JOBS[:jobs]))
        by_machine = [[job for job in todo if job.machine == one] for one in range(1, machines + 1)]
        horizon = max(sum(job.hours for job in of) for of in by_machine) + slack
        solution = {name: hour for of in by_machine for name, hour in _placed(of, horizon, rng).items()}
        offered = list(invented(KINDS, JOBS[:jobs], horizon, PER_JOB * jobs, rng))
        return clued(lambda clues: Scheduling(todo, horizon, tuple(clues)), offered, solution, wanted, steer)

    return dialled("scheduling", dials, make, wanted, rng)


def _placed(jobs: list[Job], horizon: int, rng: Random) -> dict[str, int]:
    """Starts of one machine's jobs in random order, its idle hours spread at random."""
    order = rng.sample(jobs, len(jobs))
    idle = horizon - sum(job.hours for job in order)
    pauses = sorted(rng.randint(0, idle) for _ in order)
    starts, busy = {}, 0
    for job, pause in zip(order, pauses, strict=True):
        starts[job.name] = busy + pause
        busy += job.hours
    return {job.name: starts[job.name] for job in jobs}
