"""Training on the ledger: a row for each kind of passes in each step.

A step that is told again, because a run was killed between two checkpoints, stays booked once under its kind; the work
that was done twice is booked as `retried`, an evaluation done twice as an evaluation again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.charge import PICO, Charge
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger
from trueup.core.types import Json
from trueup.run.keys import digest
from trueup.train.job import Passes

EVALUATION, RETRIED = "evaluation", "retried"


@dataclass(frozen=True, slots=True)
class Books:
    """Books passes under what tells this training from all others.

    `gpus` are those held for each second that is booked, 0 where these are core-seconds.
    """

    ledger: Ledger
    prices: Prices
    fingerprint: str
    trainer: str
    settings: Mapping[str, Json]
    stratum: str
    seed: int
    gpus: float = 0.0

    def charge(self, passes: Passes) -> None:
        """Return when the passes are on disk."""
        key = self._key(passes)
        kind = passes.kind
        if key in self.ledger.find([key]):
            key = digest(RETRIED, key.hex(), str(time.time_ns()))
            kind = EVALUATION if kind == EVALUATION else RETRIED
        asyncio.run(self.ledger.commit([self._row(key, kind, passes)]))

    def _key(self, passes: Passes) -> bytes:
        settings = json.dumps(dict(self.settings), sort_keys=True)
        return digest(
            "training", self.fingerprint, self.trainer, settings, self.stratum, str(self.seed), passes.kind,
            str(passes.step),
        )  # fmt: skip

    def _row(self, key: bytes, kind: str, passes: Passes) -> Charge:
        seconds, prices = passes.seconds, self.prices
        usd = prices.held(seconds * self.gpus) if self.gpus else prices.compute(seconds)
        return Charge(
            key, kind, self.fingerprint, self.stratum, True, passes.prompt_tokens, 0, passes.completion_tokens,
            0.0, passes.seconds, passes.flops, usd, reply=f"{self.trainer} step {passes.step}",
        )  # fmt: skip


def training_usd(ledger: Ledger) -> Decimal | None:
    """Dollars for all that a training took, the evaluation of what came of it left out; None where any is unknown."""
    spent = [total for total in ledger.totals() if total.kind != EVALUATION]
    if any(total.unpriced for total in spent):
        return None
    return Decimal(sum(total.picodollars for total in spent)) / PICO
