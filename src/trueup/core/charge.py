"""A row of the ledger, and the sums that must follow from the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from typing import Any

SCHEMA_VERSION = 5
APPLICATION_ID = 0x74727570  # "trup"
MICRO = 1_000_000
PICO = 1_000_000_000_000

SCHEMA = """
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE charges (
    key BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, source INTEGER NOT NULL REFERENCES sources,
    stratum TEXT NOT NULL, leads INTEGER NOT NULL,
    prompt_tokens INTEGER, cached_tokens INTEGER, completion_tokens INTEGER,
    prefill_micros INTEGER NOT NULL, decode_micros INTEGER NOT NULL,
    megaflops INTEGER, picodollars INTEGER,
    finish TEXT NOT NULL, reply TEXT NOT NULL, logprob REAL, takes_n INTEGER NOT NULL,
    estimated INTEGER NOT NULL, at REAL NOT NULL, engine TEXT, drawn_logprob REAL
) STRICT;
CREATE TABLE totals (
    kind TEXT PRIMARY KEY, charges INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, micros INTEGER NOT NULL,
    megaflops INTEGER NOT NULL, picodollars INTEGER NOT NULL, unknown_tokens INTEGER NOT NULL,
    unpriced INTEGER NOT NULL
) STRICT;
"""
_DRAWN = "ALTER TABLE charges ADD COLUMN drawn_logprob REAL;"
UPGRADES = {3: f"ALTER TABLE charges ADD COLUMN engine TEXT; {_DRAWN}", 4: _DRAWN}
"""What makes a ledger of an older version one of this; what it did not record is unknown in its rows."""

INSERT = f"INSERT INTO charges VALUES ({','.join('?' * 20)})"
COLUMNS = (
    "charges", "prompt_tokens", "cached_tokens", "completion_tokens", "micros", "megaflops",
    "picodollars", "unknown_tokens", "unpriced",
)  # fmt: skip
ADD_TOTAL = (
    f"INSERT INTO totals VALUES (?,{','.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT (kind) DO UPDATE SET {', '.join(f'{c} = {c} + excluded.{c}' for c in COLUMNS)}"
)
SUM_ROWS = """
SELECT kind, count(*), coalesce(sum(leads * prompt_tokens), 0), coalesce(sum(leads * cached_tokens), 0),
    coalesce(sum(completion_tokens), 0), coalesce(sum(leads * prefill_micros + decode_micros), 0),
    coalesce(sum(megaflops), 0), coalesce(sum(picodollars), 0),
    coalesce(sum(prompt_tokens IS NULL OR completion_tokens IS NULL), 0), coalesce(sum(picodollars IS NULL), 0)
FROM charges GROUP BY kind ORDER BY kind
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """One row: what an ask used, and the reply that it bought.

    `prompt_tokens`, `cached_tokens` and `prefill_seconds` describe the call's prompt and are counted in the
    totals once, on the row that `leads`. `flops` and `usd` are what this row pays. None is unknown; where
    `is_estimated` the counts are ours, because nobody could report them. `engine`, which is no part of the key, is what
    the reply called the engine that it came from.
    """

    key: bytes
    kind: str
    source: str
    stratum: str
    leads: bool = True
    prompt_tokens: int | None = 0
    cached_tokens: int | None = 0
    completion_tokens: int | None = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    flops: int | None = None
    usd: Decimal | None = None
    finish: str = ""
    reply: str = ""
    logprob: float | None = None
    takes_n: bool = True
    is_estimated: bool = False
    engine: str | None = None
    drawn_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of one kind of charge; `unknown_tokens` and `unpriced` count the rows that it leaves out."""

    kind: str
    charges: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    micros: int
    megaflops: int
    picodollars: int
    unknown_tokens: int
    unpriced: int


def to_row(charge: Charge, source: int, now: float) -> tuple[object, ...]:
    return (
        charge.key, charge.kind, source, charge.stratum, int(charge.leads),
        charge.prompt_tokens, charge.cached_tokens, charge.completion_tokens,
        round(charge.prefill_seconds * MICRO), round(charge.decode_seconds * MICRO),
        None if charge.flops is None else round(charge.flops / MICRO),
        None if charge.usd is None else round(charge.usd * PICO),
        charge.finish, charge.reply, charge.logprob, int(charge.takes_n), int(charge.is_estimated), now,
        charge.engine, charge.drawn_logprob,
    )  # fmt: skip


def from_row(row: Sequence[Any]) -> Charge:
    """The charge that a row of `charges`, of this version or an older one, followed by its source's name, holds."""
    (
        key, kind, _, stratum, leads, prompt, cached, completion, prefill, decode, flops, usd, finish, reply,
        logprob, takes_n, estimated, _, *later, source,
    ) = row  # fmt: skip
    return Charge(
        key, kind, source, stratum, bool(leads), prompt, cached, completion, prefill / MICRO, decode / MICRO,
        None if flops is None else flops * MICRO, None if usd is None else Decimal(usd) / PICO, finish, reply,
        logprob, bool(takes_n), bool(estimated), *later,
    )  # fmt: skip


def sums(charges: Sequence[Charge]) -> Iterator[tuple[object, ...]]:
    """What a commit adds to the totals, a row a kind; for the rows themselves `SUM_ROWS` must say the same."""
    by_kind: dict[str, list[Charge]] = {}
    for charge in charges:
        by_kind.setdefault(charge.kind, []).append(charge)
    for kind, group in by_kind.items():
        lead = [c for c in group if c.leads]
        yield (
            kind, len(group),
            sum(c.prompt_tokens or 0 for c in lead), sum(c.cached_tokens or 0 for c in lead),
            sum(c.completion_tokens or 0 for c in group),
            sum(round(c.prefill_seconds * MICRO) for c in lead) + sum(round(c.decode_seconds * MICRO) for c in group),
            sum(round(c.flops / MICRO) for c in group if c.flops is not None),
            sum(round(c.usd * PICO) for c in group if c.usd is not None),
            sum(c.prompt_tokens is None or c.completion_tokens is None for c in group),
            sum(c.usd is None for c in group),
        )  # fmt: skip


def discrepancies(kind: str, kept: Total | None, summed: Total | None) -> Iterator[str]:
    if kept is None or summed is None:
        yield f"{kind}: {'no total for its rows' if kept is None else 'a total without rows'}"
        return
    for name, total, rows in zip(("kind", *COLUMNS), astuple(kept), astuple(summed), strict=True):
        if total != rows:
            yield f"{kind}.{name}: the total says {total}, the rows {rows}"
