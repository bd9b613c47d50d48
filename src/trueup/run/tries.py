"""What went wrong with an ask, numbered on the ledger so that it is found again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueup.core.asks import Sample
from trueup.core.charge import Charge
from trueup.core.ledger import Ledger
from trueup.core.roles import Waste
from trueup.run.keys import failure_key, refusal_key

MOST = 1 << 32
"""Refusals of a sample, tries of an ask, failures in a try."""


@dataclass(slots=True)
class Tries:
    """One try of an ask for what it lacks, and the try before it, told by its failed calls.

    Failed calls are numbered within their try, tries since the last refusal that stood for all asks of the sample: what
    was before it says nothing any more. A number counts as taken once it is committed, so only one ask for the same
    attempts may be at it at a time, and of a sample that may be refused only one at all.
    """

    ledger: Ledger
    base: bytes
    ask: Sample
    _own: tuple[int, int] | None = None
    _failures: int = 0
    _is_told: bool = False

    def refusal(self) -> bytes:
        """The key of a refusal that stands for all asks of the sample."""
        return refusal_key(self.base, self._refusals())

    def failure(self) -> bytes:
        """The key of the next failed call of this try."""
        if self._own is None:
            refusals = self._refusals()
            self._own = refusals, self._tries(refusals)
        self._failures += 1
        return self._key(*self._own, self._failures - 1)

    def before(self) -> list[Waste]:
        """What failed in the last try, or the refusal since; told once, however many calls would have been made."""
        if self._is_told:
            return []
        self._is_told, refusals = True, self._refusals()
        last = self._tries(refusals) - 1
        if last < 0:
            return self._wastes([refusal_key(self.base, refusals - 1)] if refusals else [])
        failures = self._first_free(lambda number: self._key(refusals, last, number))
        return self._wastes([self._key(refusals, last, number) for number in range(failures)])

    def _refusals(self) -> int:
        return self._first_free(lambda number: refusal_key(self.base, number))

    def _tries(self, refusals: int) -> int:
        return self._first_free(lambda number: self._key(refusals, number, 0))

    def _key(self, refusals: int, number: int, failure: int) -> bytes:
        singly = self.ask.until is not None
        return failure_key(self.base, self.ask.start, self.ask.n, singly, refusals, number, failure)

    def _first_free(self, key: Callable[[int], bytes]) -> int:
        """The first number whose key the ledger lacks; numbers are given away in their order."""
        return bisect_left(range(MOST), 1, key=lambda number: not self.ledger.find([key(number)]))

    def _wastes(self, keys: Sequence[bytes]) -> list[Waste]:
        rows = self.ledger.find(keys)
        return [_waste(rows[key]) for key in keys]


def _waste(row: Charge) -> Waste:
    return Waste(row.kind, row.reply, row.prompt_tokens, row.completion_tokens, row.decode_seconds, row.engine)
