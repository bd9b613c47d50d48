"""A stratum: items of one kind with what grades them; an arm: a method with its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueup.core.roles import Rater, Solver, Verifier
from trueup.core.settings import join_words
from trueup.core.types import Item, Json


@dataclass(frozen=True, slots=True)
class Stratum:
    """Items of one kind.

    `verifier` knows the reference and grades what a method returns; `check` needs none and is what a method
    may ask while it runs. Without a `check` a method's Check is answered by the verifier, and its flow is
    marked an oracle: an upper bound, not something to deploy. `recipe` is the task file's own table, which
    the policy file carries on to the server. `left_out` counts its items that are missing here, since a model of the
    study was trained on them.
    """

    name: str
    items: tuple[Item, ...]
    verifier: Verifier
    check: Verifier | None = None
    solver: Solver | None = None
    rater: Rater | None = None
    guess_options: int | None = None
    recipe: Mapping[str, Json] = field(default_factory=dict)
    left_out: int = 0

    async def close(self) -> None:
        """Close its rater and its solver."""
        for worker in (self.rater, self.solver):
            if worker is not None:
                await worker.close()


@dataclass(frozen=True, slots=True)
class Arm:
    """A method with its settings, ready to be started on a problem.

    With `is_batch` it is started on many problems at once, which share one budget: `start` takes them all and makes a
    BatchFlow. No single request can be answered so, hence nothing of it is served. `models` are those that it may ask,
    "" the study's own, each with what it is billed as ("" is unknown); `among` those that it chooses among by a file.
    """

    method: str
    settings: Mapping[str, Json]
    start: Callable[..., Any]
    is_batch: bool = False
    models: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    among: tuple[Arm, ...] = ()

    @property
    def label(self) -> str:
        """The method and its settings as a user would type them: `vote n=8`."""
        return join_words(self.method, self.settings)
