"""Collect what a study needs: a pool of attempts per item, and every arm on every item.

Where attempts have side effects the pool is one attempt, and arms that ask alike share that one act.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from trueup.core.asks import Check
from trueup.core.outcome import Measured, Outcome, Pool
from trueup.core.stratum import Arm, Stratum
from trueup.run.clerk import Clerk
from trueup.run.driver import BatchJob, Job, run_jobs
from trueup.run.rehearsal import rehearse

Watch = Callable[[Outcome | Pool], None]


async def collect(
    strata: Sequence[Stratum],
    arms: Mapping[str, Sequence[Arm]],
    samples: int,
    clerk: Clerk,
    *,
    lanes: int,
    watch: Watch = lambda _: None,
) -> tuple[Measured, ...]:
    """Run all of it, telling `watch` of each piece as it is committed.

    An item's pool comes before its arms, so that arms find their samples paid for. Raises BadInput, before anything is
    asked, where an arm does not begin on a stratum's first item; warns of strata whose samples are to be copies.
    """
    _warn_of_copies(strata, samples)
    oracles = {stratum.name: _oracles(stratum, arms[stratum.name]) for stratum in strata}
    results = []
    async for result in run_jobs(_jobs(strata, arms, samples), clerk, lanes=lanes):
        watch(result)
        results.append(result)
    return tuple(
        replace(
            _measured(stratum, tuple(arms[stratum.name]), results, oracles[stratum.name]),
            engines=clerk.engines(stratum.name),
        )
        for stratum in strata
    )


def _warn_of_copies(strata: Sequence[Stratum], samples: int) -> None:
    for stratum in strata:
        problems = [item.problem for item in stratum.items]
        if samples > 1 and problems and not any(one.sampling.temperature or one.side_effects for one in problems):
            told = f"stratum {stratum.name!r}: at temperature 0 the {samples} samples of an item are copies"
            warnings.warn(f"{told}; set a temperature above 0, or --samples 1", stacklevel=3)


def _jobs(strata: Sequence[Stratum], arms: Mapping[str, Sequence[Arm]], samples: int) -> Iterator[Job | BatchJob]:
    for stratum in strata:
        alone = [arm for arm in arms[stratum.name] if not arm.is_batch]
        for item in stratum.items:
            yield Job(stratum, item, 1 if item.problem.side_effects else samples)
            yield from (Job(stratum, item, arm) for arm in alone)
        yield from (BatchJob(stratum, arm) for arm in arms[stratum.name] if arm.is_batch)


def _measured(
    stratum: Stratum, arms: tuple[Arm, ...], results: Sequence[Outcome | Pool], oracles: frozenset[str]
) -> Measured:
    """The results of one stratum, in the order of its items and arms whatever order they ended in."""
    order = {item.problem.id: place for place, item in enumerate(stratum.items)}
    rank = {arm.label: place for place, arm in enumerate(arms)}
    own = [result for result in results if result.item.problem.stratum == stratum.name]
    pools = sorted((r for r in own if isinstance(r, Pool)), key=lambda r: order[r.item.problem.id])
    outcomes = sorted((r for r in own if isinstance(r, Outcome)), key=lambda r: (rank[r.arm], order[r.item.problem.id]))
    outcomes = [replace(outcome, is_oracle=True) if outcome.arm in oracles else outcome for outcome in outcomes]
    return Measured(stratum, arms, tuple(pools), tuple(outcomes))


def _oracles(stratum: Stratum, arms: Sequence[Arm]) -> frozenset[str]:
    """Arms that may come to a check that only the reference can answer, if on none of the items here they did.

    All are rehearsed: one that does not begin raises here what it would raise behind samples that were paid for.
    """
    kinds = {arm.label: rehearse(arm, item.problem) for item in stratum.items[:1] for arm in arms}
    return frozenset(label for label, asked in kinds.items() if Check in asked and stratum.check is None)
