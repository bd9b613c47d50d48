"""Two ways to answer a question, asked for and paired: at once, and with thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from trueup.train.offline.own import asker_of

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
    """A question with its right texts of either way."""

    prompt: Prompt
    short: tuple[str, ...]
    thought: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The shortest short text with the longest thought, and so on: a thought must be the longer of a pair."""
        rows = zip(sorted(self.short, key=len), sorted(self.thought, key=len, reverse=True), strict=False)
        return [(short, thought) for short, thought in rows if len(short) < len(thought)]


def sampled(job: Job, folder: Path, short: Way, thought: Way, n: int) -> list[Both]:
    """n samples an item of each way and source by the model in a folder; items that failed are left out."""

    async def work(clerk: Clerk, tab: Tab) -> Both:
        prompt = tab.item.problem.prompt
        texts = []
        for way in (short, thought):
            asks = way.asks(prompt, job.stratum.recipe, n)
            texts.append(whole_and_right([one for ask in asks for one in await graded(clerk, tab, ask)]))
        return Both(prompt, *texts)

    found = asker_of(job).each(folder, job.stratum, work, "both ways to answer")
    return [item for item in found if item is not None]


def whole_and_right(found: Sequence[Graded]) -> tuple[str, ...]:
    """The right texts that were not cut at the limit, each once."""
    kept = (one.attempt for one in found if one.grade.is_right)
    return tuple(dict.fromkeys(attempt.text for attempt in kept if attempt.finish != "length"))


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
