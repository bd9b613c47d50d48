"""One act a problem, where its attempts have side effects, and one at a time, whoever acts.

An attempt that could not be read ran nothing, so that another may follow it; one whose call failed may have run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from trueup.core.asks import Sample
from trueup.core.errors import AskFailed, BadInput
from trueup.core.types import Attempt, Problem
from trueup.run.keys import Turn, digest


@dataclass(slots=True)
class Act:
    """Whether an attempt at a flow's problem has acted, or may have."""

    is_done: bool = False

    def begin(self, ask: Sample, problem: Problem) -> None:
        """Let an ask go out alone; it counts as an act until what came back is known.

        Raises BadInput for more attempts than one at once, AskFailed for one behind an act. Judges' texts are no acts.
        """
        if not _acts(ask, problem):
            return
        name = f"stratum {problem.stratum!r} has side effects"
        if ask.n > 1:
            raise BadInput(f"{name}, and its method asks for {ask.n} attempts at once; take one that acts once: `once`")
        if self.is_done:
            raise AskFailed(f"{name}: an attempt at {problem.id!r} has acted, or may have, so no other is drawn")
        self.is_done = True

    def end(self, ask: Sample, attempts: Sequence[Attempt]) -> None:
        """Take the act back where nothing could be read out of what came back."""
        if not _judges(ask) and all(attempt.answer is None for attempt in attempts):
            self.is_done = False


def turn_to_act(busy: dict[bytes, asyncio.Event], ask: Sample, problem: Problem) -> AbstractAsyncContextManager[None]:
    """The time in which no other flow acts on the same problem; at once where the ask does not act."""
    return Turn(busy, digest("act", problem.stratum, problem.id)) if _acts(ask, problem) else nullcontext()


def _acts(ask: Sample, problem: Problem) -> bool:
    return problem.side_effects and not _judges(ask)


def _judges(ask: Sample) -> bool:
    return ask.kind == "judge"
