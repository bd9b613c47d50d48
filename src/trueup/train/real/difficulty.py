"""How often a model thinks about hard items and easy ones, in a training.

Thirds are those of the pass rate before the training, by attempts of the model as it begins. Cost: n samples and checks
an item, charged as evaluation. M is items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from trueup.core.asks import Sample
from trueup.plan.bins import bin_edges, bin_of
from trueup.run import Clerk, Tab
from trueup.train.ask import graded
from trueup.train.books import EVALUATION
from trueup.train.job import Job

BINS = 3


@dataclass(frozen=True, slots=True)
class Thirds:
    """Items by how often the model was right on them before the training, and the attempts that were graded last.

    `bins` has the third of each item, 0 the hardest; `rates` the share of right attempts in each.
    """

    bins: Mapping[int, int]
    rates: Sequence[float]
    latest: deque[tuple[int, bool]]

    @classmethod
    def none(cls) -> Thirds:
        """No items, of which nothing is told."""
        return cls({}, (), deque(maxlen=0))

    @classmethod
    def of(cls, rights: Mapping[int, float], rows: int) -> Thirds:
        """By the share of right attempts of each item; fewer bins where many items are equally hard."""
        ease_M = np.array(list(rights.values()))
        bin_M = bin_of(ease_M, bin_edges(ease_M, BINS))
        rates = [float(ease_M[bin_M == place].mean()) for place in range(int(bin_M.max()) + 1)]
        return cls(dict(zip(rights, map(int, bin_M), strict=True)), rates, deque(maxlen=rows))

    def note(self, item: int, *, has_thought: bool) -> None:
        """Keep an attempt in mind until a step's worth of later ones has come; items without a rate are in no third."""
        self.latest.append((self.bins.get(item, -1), has_thought))

    @property
    def figures(self) -> Mapping[str, float]:
        """How often each third is thought about, and how often it was right before; the first is the hardest."""
        told: dict[str, float] = {}
        for place, rate in enumerate(self.rates):
            here = [has_thought for one, has_thought in self.latest if one == place]
            if here and len(self.rates) > 1:
                name = f"{place + 1}_of_{len(self.rates)}"
                told |= {f"think_rate_{name}": fmean(here), f"right_before_{name}": rate}
        return told


def probed(job: Job, n: int, rows: int) -> Thirds:
    """The thirds, by n attempts of the model as it begins; none where n is 0, or in a process that does not sample."""
    if not n or job.ask is None:
        return Thirds.none()

    async def work(clerk: Clerk, tab: Tab) -> float:
        ask = Sample(tab.item.problem.prompt, n, kind=EVALUATION)
        return fmean(one.grade.is_right for one in await graded(clerk, tab, ask, kind=EVALUATION))

    found = job.ask.each(job.model, job.stratum, work, "how hard items are")
    return Thirds.of({place: right for place, right in enumerate(found) if right is not None}, rows)
