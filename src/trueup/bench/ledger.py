"""Committed rows a second with synchronous=FULL, by how many share a commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from trueup.core.charge import Charge
from trueup.core.ledger import Ledger, verify
from trueup.core.types import Json

GROUPS = (1, 64, 1024)
SECONDS = 2.0
REPLY = "The answer is 42. " * 20


def ledger(*, seconds: float = SECONDS) -> list[dict[str, Json]]:
    """One row per group size: 360-byte replies, one commit a group; ratio to single commits."""
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        rows = [_fill(Path(folder) / f"{group}.sqlite", group, seconds) for group in GROUPS]
    single = rows[0]["rows_per_second"]
    return [row | {"ratio": row["rows_per_second"] / single} for row in rows]


def _fill(path: Path, group: int, seconds: float) -> dict[str, Json]:
    done, elapsed = asyncio.run(_write(path, group, seconds))
    return {
        "system": f"groups of {group}",
        "rows_per_second": done / elapsed,
        "rows": done,
        "seconds": elapsed,
        "discrepancies": len(verify(path).discrepancies),
    }


async def _write(path: Path, group: int, seconds: float) -> tuple[int, float]:
    done, started = 0, time.perf_counter()
    with Ledger(path) as book:
        while time.perf_counter() - started < seconds:
            await book.commit(_charges(done, group))
            done += group
        return done, time.perf_counter() - started


def _charges(first: int, n: int) -> Sequence[Charge]:
    return [
        Charge(
            number.to_bytes(16, "little"), "sampled", "toy", "toy", number == first, 100, 0, 8, 0.1, 0.2,
            1_000_000, Decimal("0.00001"), "stop", REPLY,
        )
        for number in range(first, first + n)
    ]  # fmt: skip
