"""Two ways to answer a question, asked for and paired: at once, and with thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trueup.core.asks import Sample
from trueup.core.errors import BadInput
from trueup.core.types import Json, Prompt
from trueup.methods.reread import put_behind
from trueup.run import Clerk, Tab
from trueup.tasks.jsonl import read_rows
from trueup.tasks.prompting import BLANK, build_chat
from trueup.train.ask import Graded, graded
from trueup.train.job import Job
from trueup.train.offline.own import as_said, asker_of, each_text
from trueup.train.texts import CUT, Example

SHOT = '{"question", "answer"}'


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer: what is asked for behind the question, who is asked, and the examples that are shown to them."""

    request: str
    sources: tuple[str, ...]
    shots: tuple[Mapping[str, Json], ...] = ()

    def asks(self, prompt: Prompt, recipe: Mapping[str, Json], n: int) -> list[Sample]:
        """n samples of each source; without a request the question as it is, without examples behind its recipe's."""
        asked = put_behind(prompt, self.request) if self.request else prompt
        asked = _shown(asked, recipe, self.shots) if self.shots else asked
        return [Sample(asked, n, model=source) for source in self.sources]


@dataclass(frozen=True, slots=True)
class Both:
    """The right texts of either way for a question, behind that question."""

    short: tuple[Example, ...]
    thought: tuple[Example, ...]

    @property
    def pairs(self) -> list[tuple[Example, Example]]:
        """The shortest short text with the longest thought, and so on: a thought must be the longer of a pair."""
        rows = zip(sorted(self.short, key=_length), sorted(self.thought, key=_length, reverse=True), strict=False)
        return [(short, thought) for short, thought in rows if _length(short) < _length(thought)]


def sampled(job: Job, folder: Path, short: Way, thought: Way, n: int) -> list[Both]:
    """n samples an item of each way and source by the model in a folder; items that failed are left out."""

    async def work(clerk: Clerk, tab: Tab) -> Both:
        prompt = tab.item.problem.prompt
        texts = []
        for way in (short, thought):
            asks = way.asks(prompt, job.stratum.recipe, n)
            texts.append(whole_and_right([one for ask in asks for one in await graded(clerk, tab, ask)], prompt))
        return Both(*texts)

    found = asker_of(job).each(folder, job.stratum, work, "both ways to answer")
    return [item for item in found if item is not None]


def whole_and_right(found: Sequence[Graded], prompt: Prompt) -> tuple[Example, ...]:
    """The right texts that were not cut at the limit, each once, behind the prompt that they are to be said behind."""
    kept = each_text([one for one in found if one.grade.is_right and one.attempt.finish != CUT])
    return tuple(replace(as_said(one), prompt=prompt) for one in kept)


def _length(example: Example) -> int:
    return len(example.target)


def read_shots(path: str) -> tuple[Mapping[str, Json], ...]:
    """The examples in a file; none without one.

    Raises BadInput where a row is something else.
    """
    rows = read_rows(path, SHOT) if path else []
    for place, row in rows:
        if not all(isinstance(row.get(key), str) for key in ("question", "answer")):
            raise BadInput(f"{place}: a row is {dict(row)!r}; it takes {SHOT}")
    return tuple(row for _, row in rows)


def _shown(prompt: Prompt, recipe: Mapping[str, Json], shots: Sequence[Mapping[str, Json]]) -> Prompt:
    """The prompt with other examples than its recipe's."""
    system = prompt[: int(prompt[0].role == "system")]
    own = prompt[len(system) + 2 * len(recipe.get("shots", ())) :]
    *shown, _ = build_chat({"template": recipe.get("template", BLANK), "shots": shots}, own[-1:])
    return (*system, *shown, *own)
