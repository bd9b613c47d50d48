"""When jobs start, on machines that do one at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations

from trueup.core.puzzles.families.clues import Clue, Forms, Kind, conditions, read_clues, sentences
from trueup.core.puzzles.families.puzzle import Values
from trueup.core.puzzles.families.words import Rows, rows_of, said_rows, table

KINDS = {
    "at": Kind("{a} starts at hour {k}.", "{a} == {k}"),
    "not_before": Kind("{a} does not start before hour {k}.", "{a} >= {k}"),
    "by": Kind("{a} is finished by hour {k}.", "{a} + {hours_a} <= {k}"),
    "before": Kind("{a} is finished before {b} starts, or just then.", "{a} + {hours_a} <= {b}"),
    "right_after": Kind("{b} starts the moment {a} is finished.", "{a} + {hours_a} == {b}"),
    "together": Kind("{a} and {b} start at the same hour.", "{a} == {b}"),
    "later": Kind("{b} starts exactly {k} h after {a} starts.", "{a} + {k} == {b}"),
}
HEAD = re.compile(r"Hours are whole and counted from 0; everything is finished by hour (\d{1,4})\.")
JOB = re.compile(r"^job (\w+): (\d+) hours? on machine (\d+)$", re.MULTILINE)
NAMED = re.compile(r"(?:job )?(\w+)")
HOUR = re.compile(r"(?:starts )?(?:at )?(?:hour )?(\d{1,4})(?: h)?")
ENDING = "Answer with a line per job"
DIGITS = 4
"""What a number of a job may have."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job, how many hours it takes, and where."""

    name: str
    hours: int
    machine: int


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Everything is finished by hour `horizon`."""

    jobs: tuple[Job, ...]
    horizon: int
    clues: tuple[Clue, ...] = ()

    def statement(self) -> str:
        """The jobs, then the clues."""
        return (
            f"Find out when each job starts. Hours are whole and counted from 0; everything is finished by hour "
            f"{self.horizon}. A machine does one job at a time, without a break.\n\n"
            + "\n".join(f"job {j.name}: {j.hours} hour{'s' * (j.hours > 1)} on machine {j.machine}" for j in self.jobs)
            + f"\n\n{sentences(self.clues, KINDS, _forms(self.jobs))}\n\n"
            + f"{ENDING}, its name and the hour at which it starts, as `name: 3`."
        )

    def constraints(self) -> str:
        """The first hour of each job."""
        lines = [f"int {job.name} in 0..{self.horizon - job.hours}" for job in self.jobs]
        lines += [
            f"con {a.name} + {a.hours} <= {b.name} or {b.name} + {b.hours} <= {a.name} #machine {a.machine} does "
            f"{a.name} and {b.name} one after the other"
            for a, b in combinations(self.jobs, 2)
            if a.machine == b.machine
        ]
        hours = {job.name: job.hours for job in self.jobs}
        return "\n".join(lines + conditions(self.clues, KINDS, {"hours": hours}))

    def answer(self, values: Values) -> str:
        """A line per job."""
        return "\n".join(f"{job.name}: {values[job.name]}" for job in self.jobs)

    def values(self, answer: str) -> Values | None:
        """The hour of each job."""
        said = hours_of(rows_of(answer))
        found = {job.name: hour for job in self.jobs if (hour := said.get(job.name.casefold())) is not None}
        return found if len(found) == len(self.jobs) else None

    def optimum(self) -> int | None:
        """There is nothing to optimise."""
        return None


def stated_scheduling(text: str) -> Scheduling | None:
    """The last schedule that a text states."""
    heads = list(HEAD.finditer(text))
    if not heads:
        return None
    body = text[heads[-1].end() :].split(ENDING)[0]
    said = JOB.findall(body)
    if any(max(len(hours), len(machine)) > DIGITS for _, hours, machine in said):
        return None
    jobs = tuple(Job(name, int(hours), int(machine)) for name, hours, machine in said)
    clues = read_clues(body, KINDS, _forms(jobs))
    return None if clues is None or not jobs else Scheduling(jobs, int(heads[-1][1]), clues)


def said_hours(text: str) -> str | None:
    """The hour of each job of the last list of jobs; what is given no hour is no job."""
    found = hours_of(said_rows(text, NAMED, size=lambda rows: len(hours_of(rows))))
    return table({name: (str(hour),) for name, hour in found.items()})


def hours_of(rows: Rows) -> dict[str, int]:
    """The hour behind each name that has one and nothing else."""
    said = {name: HOUR.fullmatch(row[0]) for name, row in rows.items() if len(row) == 1}
    return {name: int(match[1]) for name, match in said.items() if match}


def _forms(jobs: tuple[Job, ...]) -> Forms:
    plain = {job.name: f"job {job.name}" for job in jobs}
    return {"a": plain, "b": plain}
