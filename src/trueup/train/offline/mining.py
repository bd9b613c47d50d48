"""Pairs of a right and a wrong answer, mined from a teacher and from the student itself.

The right answer is the reference where its wording is graded right, else a right attempt; the verifier's note is the
wrong one's kind of error. Cost: n samples and checks an item of each source.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trueup.core.asks import Sample
from trueup.core.errors import BadInput
from trueup.core.types import Message, Prompt
from trueup.run import Clerk, Tab
from trueup.train.ask import Graded, graded
from trueup.train.form import error_of
from trueup.train.job import Job
from trueup.train.offline.own import as_said, asker_of, each_text, right_ones
from trueup.train.offline.references import all_written
from trueup.train.offline.supervised import ROUNDS
from trueup.train.texts import ENDED, Example

OWN, TEACHER, BOTH = "own", "teacher", "both"


@dataclass(frozen=True, slots=True)
class Preference:
    """A right answer, a wrong one, and what is wrong with it; `item` is the id of what both answer.

    How their texts ended is said as an attempt says it.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    error: str
    item: str = ""
    chosen_finish: str = ENDED
    rejected_finish: str = ENDED

    @property
    def right(self) -> Example:
        """The right answer as a text to train on."""
        return Example(self.prompt, self.chosen, self.chosen_finish)

    @property
    def wrong(self) -> Example:
        """The wrong one."""
        return Example(self.prompt, self.rejected, self.rejected_finish)


def mined(job: Job, n: int, negatives: str) -> list[Preference]:
    """The pairs, mined or as they were kept."""
    path = job.out / ROUNDS / "pairs.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = preferences(job, _sampled(job, n, negatives))
        draft = path.with_suffix(".draft")
        draft.write_text("".join(json.dumps(_row(pair)) + "\n" for pair in found), encoding="utf-8")
        draft.replace(path)
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not rows:
        raise BadInput(
            f"no pair: of {len(job.stratum.items)} items of {job.stratum.name!r} none has a right and a wrong answer; "
            f"take more samples an item or another source of negatives"
        )
    return [
        Preference(
            tuple(Message(*turn) for turn in row["messages"]),
            row["chosen"],
            row["rejected"],
            row["error"],
            row.get("item", json.dumps(row["messages"])),
            row.get("chosen_finish", ENDED),
            row.get("rejected_finish", ENDED),
        )
        for row in rows
    ]


def preferences(job: Job, found: Sequence[tuple[int, Sequence[Graded]]]) -> list[Preference]:
    """Every distinct wrong text of an item against a right answer, the right ones taken in turn."""
    pairs = []
    references = all_written(job.stratum, job.failed)
    for place, attempts in found:
        item, reference = job.stratum.items[place], references[place]
        prompt = item.problem.prompt
        right = [Example(prompt, reference)] if reference else right_ones([attempts])
        wrong = each_text([one for one in attempts if not one.grade.is_right])
        for row, one in enumerate(wrong if right else ()):
            better, worse = right[row % len(right)], as_said(one)
            texts, ends = (better.target, worse.target), (better.finish, worse.finish)
            pairs.append(Preference(prompt, *texts, error_of(one.grade), item.problem.id, *ends))
    return pairs


def _sampled(job: Job, n: int, negatives: str) -> list[tuple[int, list[Graded]]]:
    """Attempts of the sources by the item's place."""
    asker = asker_of(job)
    if negatives == TEACHER and TEACHER not in asker.others:
        raise BadInput("negatives=teacher needs a teacher; give --with teacher=MODEL")
    if negatives == BOTH and TEACHER not in asker.others:
        job.tell(f"negatives={BOTH} without --with {TEACHER}=MODEL: all negatives are the model's own")
    sources = [""] * (negatives != TEACHER) + [TEACHER] * (negatives != OWN and TEACHER in asker.others)

    async def work(clerk: Clerk, tab: Tab) -> list[Graded]:
        asks = [Sample(tab.item.problem.prompt, n, model=source) for source in sources]
        return [one for ask in asks for one in await graded(clerk, tab, ask)]

    found = asker.each(job.model, job.stratum, work, "mining negatives")
    return [(place, attempts) for place, attempts in enumerate(found) if attempts]


def _row(pair: Preference) -> dict[str, object]:
    turns = [[message.role, message.content] for message in pair.prompt]
    return {
        "messages": turns, "chosen": pair.chosen, "rejected": pair.rejected, "error": pair.error, "item": pair.item,
        "chosen_finish": pair.chosen_finish, "rejected_finish": pair.rejected_finish,
    }  # fmt: skip
