"""A claim on the ledger: a row for each kind of work in each of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from trueup.claims.pieces import Pieces
from trueup.core.charge import Charge, Total
from trueup.core.cost import Prices
from trueup.core.ledger import Ledger, read_charges
from trueup.run.keys import digest
from trueup.train.meter import Work

LEDGER_FILE = "ledger.sqlite"


def post(pieces: Pieces, source: str, prices: Prices | None) -> list[Total]:
    """Book what the parts that are done spent beyond what is booked of them, and say what that makes in all.

    Without prices dollars stay unknown. Raises LedgerError where the ledger beside the parts cannot be written.
    """
    with Ledger(pieces.folder / LEDGER_FILE) as ledger:
        booked: dict[tuple[str, str], Work] = {}
        for row in read_charges(ledger.path):
            work = Work(row.prompt_tokens or 0, row.completion_tokens or 0, row.flops or 0, row.decode_seconds)
            booked[row.stratum, row.kind] = booked.get((row.stratum, row.kind), Work()) + work
        asyncio.run(ledger.commit(list(_rows(pieces, source, prices, booked))))
        return ledger.totals()


def _rows(
    pieces: Pieces, source: str, prices: Prices | None, booked: Mapping[tuple[str, str], Work]
) -> Iterator[Charge]:
    for part, work in pieces.spent().items():
        for kind, done in work.items():
            before = booked.get((part, kind), Work())
            more = done - before
            if more.prompt_tokens or more.completion_tokens:
                yield Charge(
                    digest("claim", pieces.about, part, kind, repr(before)), kind, source, part, True,
                    more.prompt_tokens, 0, more.completion_tokens, 0.0, more.seconds, more.flops,
                    None if prices is None else prices.compute(more.seconds),
                )  # fmt: skip
