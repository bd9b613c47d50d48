"""What a model wrote itself, as texts to train on: right attempts, traces of two turns, answers to other strata."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import cycle, islice, zip_longest
from pathlib import Path
from typing import TypeVar

from trueup.core.asks import Sample
from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Item
from trueup.methods.revise import ask_again
from trueup.run import Clerk, Tab
from trueup.train.ask import Asker, Graded, NothingSampled, graded
from trueup.train.job import Job
from trueup.train.texts import CUT, Example

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trace:
    """An attempt, and what the model made of it when `revise` asked again."""

    first: Graded
    second: Graded

    @property
    def example(self) -> Example:
        """The second turn, to be said behind the first."""
        return as_said(self.second)


def as_said(one: Graded) -> Example:
    """An attempt as a text to train on, which ends as it did."""
    return Example(one.prompt, one.attempt.text, one.attempt.finish)


def asker_of(job: Job) -> Asker:
    """What the job samples with; trainers that sample are always given one."""
    assert job.ask is not None
    return job.ask


def attempts(job: Job, folder: Path, n: int, start: int, stratum: Stratum | None = None) -> list[list[Graded]]:
    """n attempts at every item that could be sampled, numbered from `start`."""

    async def work(clerk: Clerk, tab: Tab) -> list[Graded]:
        return await graded(clerk, tab, Sample(tab.item.problem.prompt, n, start))

    return _there(asker_of(job).each(folder, stratum or job.stratum, work, "sampling"))


def traces(job: Job, folder: Path, n: int, start: int) -> list[Trace]:
    """n traces of two turns for every item, all of them the model's own."""

    async def work(clerk: Clerk, tab: Tab) -> list[Trace]:
        found = []
        for first in await graded(clerk, tab, Sample(tab.item.problem.prompt, n, start)):
            again = ask_again(first.prompt, first.attempt.text)
            (second,) = await graded(clerk, tab, Sample(again, 1, first.attempt.index))
            found.append(Trace(first, second))
        return found

    return [trace for item in _there(asker_of(job).each(folder, job.stratum, work, "two turns")) for trace in item]


def corrections(found: Sequence[Trace], *, plus: bool) -> list[Example]:
    """D: the traces that turn wrong into right; with `plus` (D+) those that stay right too."""
    return [t.example for t in found if t.second.grade.is_right and (plus or not t.first.grade.is_right)]


def pairs(found: Sequence[Sequence[Graded]], *, plus: bool) -> list[Example]:
    """D: every wrong attempt with a right one at the same item behind it; with `plus` (D+) every right one too.

    The right ones are taken in turn.
    """
    examples = []
    for item in found:
        right = [one for one in item if one.grade.is_right]
        wrong = [one for one in item if not one.grade.is_right]
        firsts = [*zip(wrong, right * len(wrong), strict=False)]
        firsts += zip(right, right[1:] + right[:1], strict=True) if plus else []
        examples += [replace(as_said(b), prompt=ask_again(a.prompt, a.attempt.text)) for a, b in firsts]
    return examples


def right_ones(found: Sequence[Sequence[Graded]], most: int | None = None) -> list[Example]:
    """Right attempts, each text of an item once, at most so many an item."""
    examples = []
    for item in found:
        right = each_text([one for one in item if one.grade.is_right])
        examples += [as_said(one) for one in right[:most]]
    return examples


def each_text(found: Sequence[Graded]) -> list[Graded]:
    """Each text once, in its first place: as one that ended there rather than was cut."""
    kept: dict[str, Graded] = {}
    for one in found:
        if kept.setdefault(one.attempt.text, one).attempt.finish == CUT:
            kept[one.attempt.text] = one
    return list(kept.values())


def with_replay(job: Job, examples: Sequence[Example], share: float) -> list[Example]:
    """The examples, and as many of the base's own answers to other strata as make up that share of all.

    Where there are fewer items than that, answers come again. Raises BadInput where there is no other stratum to
    replay, NothingSampled where none of its items could be sampled.
    """
    wanted = replayed_beside(len(examples), share)
    if not wanted:
        return list(examples)
    return [*examples, *map(as_said, islice(cycle(own_answers(job, share, wanted)), wanted))]


def own_answers(job: Job, share: float, wanted: int) -> list[Graded]:
    """What the base says itself to so many items of the other strata, or to all there are, be it right or wrong.

    The strata are taken in turn, the items of each in an order by the seed; where none of those that are wanted could
    be sampled, all others are. Raises as `with_replay` does.
    """
    others = others_of(job, share)
    order = _in_turn([[(stratum.name, item) for item in _shuffled(stratum.items, job.seed)] for stratum in others])
    found = _said(job, others, order[:wanted]) or _said(job, others, order[wanted:])[:wanted]
    if not found:
        raise NothingSampled(f"replay is {share}, and no item of another stratum could be sampled; set replay=0")
    return found


def _shuffled(items: Sequence[Item], seed: int) -> list[Item]:
    return random.Random(f"replay:{seed}").sample(items, len(items))


def _said(job: Job, others: Sequence[Stratum], chosen: Sequence[tuple[str, Item]]) -> list[Graded]:
    """The base's answers to items of some strata, as far as these can be sampled, the strata in turn."""
    found = list[list[Graded]]()
    for stratum in others:
        items = tuple(item for name, item in chosen if name == stratum.name)
        with suppress(NothingSampled):
            told = attempts(job, job.model, 1, 0, replace(stratum, items=items)) if items else []
            found.append([one for item in told for one in item])
    return _in_turn(found)


def _in_turn(rows: Sequence[Sequence[T]]) -> list[T]:
    """The first of every row, then the second of each that has one, and so on."""
    return [one for column in zip_longest(*rows) for one in column if one is not None]


def others_of(job: Job, share: float) -> list[Stratum]:
    """The strata that a share of what is read may be replayed of.

    Raises BadInput where there is none.
    """
    others = [stratum for stratum in job.others if stratum.items]
    if not others:
        raise BadInput(f"replay is {share}, and the task has no stratum beside {job.stratum.name!r}; set replay=0")
    return others


def replayed_beside(count: int, share: float) -> int:
    """How many texts beside so many others make up a share of all."""
    return round(share / (1 - share) * count)


def demand_share(replay: float) -> None:
    """Raise BadInput where what is replayed is no share of all, or would be all."""
    if not 0 <= replay < 1:
        raise BadInput(f"replay is {replay}; give a share from 0 to below 1")


def demand(**counts: int) -> None:
    """Raise BadInput where a count is below 1."""
    for name, value in counts.items():
        if value < 1:
            raise BadInput(f"{name} is {value}; give at least 1")


def _there(found: Sequence[list[T] | None]) -> list[list[T]]:
    return [item for item in found if item]
