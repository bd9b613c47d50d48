"""The roles of the house, one verb each; what implements one is final, wrap it to change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trueup.core.types import Attempt, Grade, Item, Json, Problem, Prompt, Sampling, Solution


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the ledger must know of a model.

    `fingerprint` changes whenever the same ask could bring other bytes (weights, engine, its settings).
    `billing` is the name that the price file knows it by, `cpu` where its core-seconds are paid, `gpu` where its
    GPU's seconds are.
    `parameters`, `layers` and `width` (heads x head size) feed the FLOP formula; None is unknown.
    `per_call` is how many attempts one call takes at most, None where it takes any number: each call has a prompt to
    pay. `prompts` is how many asks are answered together at most, which wants as many that wait. Neither tells one
    model from another.
    """

    name: str
    fingerprint: str
    billing: str
    parameters: int | None = None
    layers: int | None = None
    width: int | None = None
    per_call: int | None = field(default=None, compare=False)
    prompts: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Waste:
    """A call that was paid for, or may have been, and brought no attempt.

    `kind` is `failed`, `retried`, `cancelled`, `discarded`, or `refused`: the request itself is at fault (a prompt
    that does not fit), so that the same ask would be refused again and is not asked again in that run. `engine` is what
    the reply, if any came, calls the engine behind the address.
    """

    kind: str
    reason: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float = 0.0
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """A model's reply: the attempts that came back, and what was wasted on the way."""

    attempts: tuple[Attempt, ...]
    waste: tuple[Waste, ...] = field(default=())


class Model(Protocol):
    """Something that samples text."""

    @property
    def card(self) -> ModelCard: ...

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """n attempts numbered from `start`; attempt i depends on the prompt, the settings and i alone.

        Some may be missing if they failed; none at all comes with the reasons as waste.
        """
        ...

    async def close(self) -> None: ...


class Verifier(Protocol):
    """Reads an answer out of a text, and grades it.

    With `needs_reference` a grade takes the reference answer: an oracle, which no deployed method may ask.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_reference(self) -> bool: ...

    def read(self, text: str) -> str | None:
        """The canonical answer in a text: equal for equivalent answers, None if there is none."""
        ...

    def check(self, answer: str, problem: Problem, reference: Json) -> Grade:
        """The grade of a canonical answer; `reference` is None for a verifier that needs none."""
        ...


class Rater(Protocol):
    """A reward model: how good a text looks as an answer, or as the beginning of one, without the reference.

    `fingerprint` changes whenever the same text could get another rating. What `rate` does on the event loop is timed
    there. A rater that works elsewhere, in threads or other processes, has `seconds`: how many core-seconds it has
    spent so since it was made, as far as it knows. One with `billing` `gpu` counts there the seconds that it held a
    GPU for, and all its seconds are paid as a GPU's.
    """

    @property
    def fingerprint(self) -> str: ...

    async def rate(self, problem: Problem, texts: Sequence[str]) -> Sequence[float]:
        """A rating in [0, 1] per text: of a whole text an outcome reward, of a beginning a process reward."""
        ...

    async def close(self) -> None: ...


class Solver(Protocol):
    """Something that solves a problem from its statement alone.

    One with a true `has_limit` sees to a limit of time by itself; any other has half an hour from an ask on.
    """

    @property
    def fingerprint(self) -> str: ...

    async def solve(self, problem: Problem) -> Solution: ...

    async def close(self) -> None: ...


class Task(Protocol):
    """A source of items; the same limit and seed give the same items in the same order."""

    def items(self, stratum: str, limit: int | None, seed: int) -> Sequence[Item]: ...
