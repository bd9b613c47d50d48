"""Ask a judge or a check about the graded samples of a study, on its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trueup.cli.half import Half
from trueup.cli.headway import Headway
from trueup.cli.pipeline import LEDGER_FILE, lanes_for
from trueup.core.asks import Flow
from trueup.core.errors import AskFailed, BadInput
from trueup.core.ledger import Ledger
from trueup.core.outcome import Pool
from trueup.core.roles import Model
from trueup.core.together import together
from trueup.methods.hearing import Verdict
from trueup.plan import JudgeRates, measure_judge
from trueup.plan.engines import Engines
from trueup.run import Clerk, Tab, answer

Ask = Callable[[Pool], Flow[list[Verdict]]]


@dataclass(frozen=True, slots=True)
class Witness:
    """Who is asked: the study's own model, and further ones by name, of which `judge` is asked unless it is empty."""

    own: Model
    others: Mapping[str, Model]
    judge: str = ""

    @property
    def lanes(self) -> int:
        """Problems that are asked about at a time."""
        return lanes_for(self.others[self.judge].card if self.judge else self.own.card)


@dataclass(frozen=True, slots=True)
class Heard:
    """The verdicts on each problem that could be asked about; `failed` are the others, by their reasons.

    `engines` are those that the verdicts came from.
    """

    verdicts: Sequence[tuple[Pool, Sequence[Verdict]]]
    failed: Mapping[str, str]
    fresh_calls: int
    engines: Engines

    @property
    def read(self) -> int:
        """Verdicts in all."""
        return sum(len(found) for _, found in self.verdicts) - self.silent

    @property
    def silent(self) -> int:
        """Texts that are no verdict."""
        return sum(verdict.passed is None for _, found in self.verdicts for verdict in found)

    def rates(self) -> JudgeRates:
        """The rates of what could be read.

        Raises BadInput where nothing could, or all of it is right or wrong.
        """
        known = [
            (verdict.passed, verdict.right, pool.item.cluster)
            for pool, found in self.verdicts
            for verdict in found
            if verdict.passed is not None
        ]
        if not known and self.silent:
            raise BadInput(
                f"none of {self.silent:,} texts is a verdict; give a judge more tokens=, or take another one"
            )
        if not known and self.failed:
            raise BadInput(f"nothing could be asked: {next(iter(self.failed.values()))}")
        passed, right, clusters = zip(*known, strict=True) if known else ((), (), ())
        return measure_judge(passed, right, clusters)


def hear(half: Half, folder: Path, witness: Witness, ask: Ask, pools: Sequence[Pool], *, quiet: bool) -> Heard:
    """Ask about each pool; what the ledger has is not asked again."""
    with Ledger(folder / LEDGER_FILE) as ledger, Headway(quiet=quiet) as headway:
        clerk = Clerk(witness.own, ledger, half.findings.prices, witness.others)
        return asyncio.run(_hear(half, clerk, ask, pools, witness.lanes, headway))


async def _hear(half: Half, clerk: Clerk, ask: Ask, pools: Sequence[Pool], lanes: int, headway: Headway) -> Heard:
    found: dict[str, Sequence[Verdict]] = {}
    failed: dict[str, str] = {}
    free, stratum = asyncio.Semaphore(lanes), half.measured.stratum

    async def one(pool: Pool) -> None:
        problem = pool.item.problem.id
        async with free:
            try:
                found[problem] = await answer(ask(pool), Tab(stratum, pool.item), clerk)
            except AskFailed as error:
                failed[problem] = str(error)
                headway.missed(stratum.name, problem, str(error))
        headway.seen(stratum.name, len(found) + len(failed), len(pools))

    try:
        await together(one(pool) for pool in pools)
    finally:
        await clerk.close()
    verdicts = [(pool, found[pool.item.problem.id]) for pool in pools if pool.item.problem.id in found]
    return Heard(verdicts, failed, clerk.fresh_calls, clerk.engines(stratum.name))
