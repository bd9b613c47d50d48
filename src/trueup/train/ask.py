"""What a trainer asks of a model: attempts and grades, by the house's engines at the training's own ledger.

An interrupted training finds what it has sampled, since the ledger's keys are those of the weights that were asked.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from trueup.core.asks import Sample
from trueup.core.cost import Prices, billing_on
from trueup.core.errors import AskFailed, BadInput
from trueup.core.ledger import Ledger
from trueup.core.roles import Model
from trueup.core.stratum import Arm, Stratum
from trueup.core.together import together
from trueup.core.types import Attempt, Grade, Prompt, Usage
from trueup.models.huggingface import HuggingFace
from trueup.run import Clerk, Tab, answer
from trueup.train.failures import forget_failures, note_failure
from trueup.train.job import Failed

T = TypeVar("T")
Work = Callable[[Clerk, Tab], Awaitable[T]]
Seen = Callable[[str, int, int], None]
"""(what, done, of): how far a sampling is."""
REMOTE_LANES = 64


class NothingSampled(BadInput):
    """A stratum of which no item could be sampled."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How folders are sampled: the settings of the engine `hf`."""

    device: str = "cpu"
    dtype: str = "float32"
    rows: int = 8
    threads: int = 1
    template: str = ""

    def open(self, folder: Path) -> HuggingFace:
        """The model in a folder; its weights are loaded when the first sample is missing on the ledger."""
        return HuggingFace(
            folder, device=self.device, dtype=self.dtype, rows=self.rows, threads=self.threads, template=self.template,
            billing=billing_on(self.device),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Graded:
    """An attempt with its grade against the reference, and the prompt that it answers."""

    prompt: Prompt
    attempt: Attempt
    grade: Grade


@dataclass(frozen=True, slots=True)
class Asker:
    """Samples and grades; `others` opens the models that the user gave with `--with`, `arm` reads `best_of_n n=8`.

    An arm that it reads knows the models that it may ask. `seen` is told how far it is, `missed` of every item that is
    left out; `failures` is the file that names these.
    """

    ledger: Ledger
    prices: Prices
    engine: Engine
    arm: Callable[[str], Arm]
    others: Mapping[str, Callable[[], Model]] = field(default_factory=dict)
    seen: Seen = lambda what, done, of: None
    missed: Failed = lambda what, item, reason: None
    failures: Path | None = None

    def failed(self, what: str, item: str, reason: str, **asked: str) -> None:
        """Say and write down that an item is left out; `asked` is of which stratum, by which weights."""
        if self.failures is not None:
            note_failure(self.failures, what, item, reason, **asked)
        self.missed(what, item, reason)

    def each(self, folder: Path, stratum: Stratum, work: Work[T], what: str) -> list[T | None]:
        """The work done on every item by the model in a folder; None where an ask of its failed.

        Failures of the same work in a run before no longer count. Raises NothingSampled where it failed on all items.
        """
        return asyncio.run(self._each(folder, stratum, work, what))

    async def _each(self, folder: Path, stratum: Stratum, work: Work[T], what: str) -> list[T | None]:
        clerk = Clerk(self.engine.open(folder), self.ledger, self.prices, {n: o() for n, o in self.others.items()})
        lanes = asyncio.Semaphore(REMOTE_LANES if clerk.models else 1)
        failures: list[str] = []
        done, asked = 0, self._begun(folder, stratum, what)

        async def one(tab: Tab) -> T | None:
            nonlocal done
            async with lanes:
                try:
                    result: T | None = await work(clerk, tab)
                except AskFailed as error:
                    failures.append(str(error))
                    self.failed(what, tab.item.problem.id, str(error), **asked)
                    result = None
            done += 1
            self.seen(what, done, len(stratum.items))
            return result

        try:
            results = await together(one(Tab(stratum, item)) for item in stratum.items)
        finally:
            await clerk.close()
        if failures and len(failures) == len(results):
            raise NothingSampled(f"{what}: no item of {stratum.name!r} could be sampled: {failures[0]}")
        return results

    def _begun(self, folder: Path, stratum: Stratum, what: str) -> dict[str, str]:
        """Forget how this work has gone before; of which stratum it is, by which weights."""
        if self.failures is None:
            return {}
        asked = {"stratum": stratum.name, "model": os.path.relpath(folder, self.failures.parent)}
        forget_failures(self.failures, what, {item.problem.id for item in stratum.items}, **asked)
        return asked


def demand_asked(ask: Asker | None, names: Collection[str], told: str = "") -> None:
    """Raise BadInput for a model in `--with` that a trainer does not ask: it asks those of `names`, `told` in words."""
    unasked = [name for name in (ask.others if ask else ()) if name not in names]
    if unasked:
        takes = told or ", ".join(names) or "none"
        raise BadInput(f"--with {unasked[0]}=MODEL is asked by no setting of this training, which takes {takes}")


async def graded(clerk: Clerk, tab: Tab, ask: Sample, *, kind: str = "check") -> list[Graded]:
    """The attempts of an ask with their grades against the reference, which `kind` names on the ledger."""
    attempts: Sequence[Attempt] = await clerk.answer(ask, tab)  # type: ignore[assignment]
    grades = await clerk.evaluate(attempts, tab, kind=kind)
    return [Graded(ask.prompt, attempt, grade) for attempt, grade in zip(attempts, grades, strict=True)]


async def answered(clerk: Clerk, tab: Tab, arm: Arm) -> Graded:
    """What a method answers, with its grade against the reference."""
    found = await answer(arm.start(tab.item.problem), tab, clerk)
    attempt = Attempt(0, found.text, found.finish, Usage(0, 0), found.value)
    (grade,) = await clerk.evaluate([attempt], tab, kind="check")
    return Graded(tab.item.problem.prompt, attempt, grade)
