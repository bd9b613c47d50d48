"""A claim on the ledger: a row for each kind of work in each of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from trueup.claims.pieces import Pieces
from trueup.core.charge import Charge, Total
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger
from trueup.run.keys import digest

LEDGER_FILE = "ledger.sqlite"


def post(pieces: Pieces, source: str, prices: Prices | None) -> list[Total]:
    """Book what the parts that are done spent, each once, and say what that makes in all.

    Without prices dollars stay unknown. Raises LedgerError where the ledger beside the parts cannot be written.
    """
    with Ledger(pieces.folder / LEDGER_FILE) as ledger:
        rows = {row.key: row for row in _rows(pieces, source, prices)}
        known = ledger.find(list(rows))
        asyncio.run(ledger.commit([row for key, row in rows.items() if key not in known]))
        return ledger.totals()


def _rows(pieces: Pieces, source: str, prices: Prices | None) -> Iterator[Charge]:
    for part, work in pieces.spent().items():
        for kind, done in work.items():
            yield Charge(
                digest("claim", pieces.about, part, kind), kind, source, part, True, done.prompt_tokens, 0,
                done.completion_tokens, 0.0, done.seconds, done.flops,
                None if prices is None else prices.compute(done.seconds),
            )  # fmt: skip
