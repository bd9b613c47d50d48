"""What was asked and answered, a JSONL row each, for `trueup audit`.

A row is one of a task file's without its reference: with that it can be graded, and studied anew.
"""

from __future__ import annotations

import json
import logging
import random
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import uuid4

from trueup.core.cost import Cost
from trueup.core.errors import BadInput
from trueup.core.types import Answer, Json
from trueup.tasks.prompting import SYSTEM

if TYPE_CHECKING:
    from trueup.serve.order import Order

LOG = logging.getLogger("trueup.serve")


class Traffic:
    """Appends answers to a file, a random share of them; use it as a context."""

    def __init__(self, path: Path, share: float = 1.0) -> None:
        """Open the file, what it holds is kept.

        Raises BadInput for a share that is none, or a file that cannot be written.
        """
        if not 0 < share <= 1:
            raise BadInput(f"the share of the traffic to keep is {share:g}; give one above 0, at most 1")
        self._share, self._dice = share, random.SystemRandom()
        try:
            self._file = path.open("a", encoding="utf-8", errors="replace")
        except OSError as error:
            raise BadInput(f"cannot keep traffic in {str(path)!r}: {error.strerror}; name another file") from None

    def __enter__(self) -> Traffic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, order: Order, given: Answer, cost: Cost) -> None:
        """Write an answer down, or not, by the share alone; what the disk refuses is logged, for it was answered."""
        if self._dice.random() >= self._share:
            return
        try:
            self._file.write(json.dumps(_row(order, given, cost), ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            LOG.error("an answer could not be kept: %s", error)


def _row(order: Order, given: Answer, cost: Cost) -> dict[str, Json]:
    """Turns in the roles that a task's rows know; a schema where the client brought it."""
    schema = order.item.problem.schema if order.has_own_form else None
    return {
        "id": uuid4().hex,
        "at": round(time.time(), 3),
        "stratum": order.desk.stratum.name,
        "messages": [
            {"role": "system" if turn.role in SYSTEM else turn.role, "content": turn.content}
            for turn in order.turns
            if turn.content
        ],
        "schema": None if schema is None else json.loads(schema),
        "answer": given.text,
        "usd": None if cost.usd is None else float(cost.usd),
    }
