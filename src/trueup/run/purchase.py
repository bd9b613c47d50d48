"""An ask for attempts that the ledger is to have or a model is to answer, with its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from trueup.core.asks import Sample, Until
from trueup.core.cost import HERE
from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger
from trueup.core.roles import Model
from trueup.core.types import Attempt, Sampling
from trueup.run.keys import attempt_key, digest, prompt_text
from trueup.run.tries import Tries

Reader = Callable[[Sequence[str]], list[str | None]]
"""What reads answers out of texts."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """An ask with its model, its keys, and what reads answers out of texts.

    `telling` is the base of the same sample with log-probabilities, whose attempts, by the keys of `twins`, answer an
    ask without; of an ask that wants them they are its own.
    """

    ask: Sample
    model: Model
    sampling: Sampling
    stratum: str
    base: bytes
    telling: bytes
    keys: Mapping[int, bytes]
    twins: Mapping[int, bytes]
    tries: Tries
    read: Reader

    @classmethod
    def of(cls, ask: Sample, model: Model, sampling: Sampling, stratum: str, read: Reader, ledger: Ledger) -> Purchase:
        """An ask for attempts of a stratum that are looked for on a ledger."""
        said = model.card.fingerprint, prompt_text(ask.prompt)
        base, telling = (digest("sample", *said, repr(s)) for s in (sampling, replace(sampling, logprobs=True)))
        numbers = range(ask.start, ask.start + ask.n)
        keys, twins = ({i: attempt_key(one, i) for i in numbers} for one in (base, telling))
        return cls(ask, model, sampling, stratum, base, telling, keys, twins, Tries(ledger, base, ask), read)

    @property
    def is_race(self) -> bool:
        """Whether calls run side by side until it is enough; on this machine they would only wait for each other."""
        return self.ask.until is not None and self.model.card.billing not in HERE

    def beginning(
        self, attempts: Mapping[int, Attempt], failed: Mapping[int, AskFailed | None], until: Until
    ) -> list[Attempt] | None:
        """The shortest beginning that suffices, all attempts where they are complete, None where none can be told yet.

        Raises the error of one that failed, if it has any, where no beginning before it suffices.
        """
        kept: list[Attempt] = []
        for index in self.keys:
            if index in attempts:
                kept.append(attempts[index])
                if until(tuple(kept)):
                    return kept
            elif index not in failed:
                return None
            elif error := failed[index]:
                raise error
        return kept
