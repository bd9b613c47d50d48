"""What was asked and answered, a JSONL row each, for `trueup audit`.

A row is one of a task file's without its reference: with that it can be graded, and studied anew.
"""

from __future__ import annotations

import json
import logging
import os
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
OWNERS = 0o600


class Traffic:
    """Appends answers to a file, a random share of them; use it as a context."""

    def __init__(self, path: Path, share: float = 1.0) -> None:
        """Open the file, what it holds is kept; a new one is for its owner alone, since it has what clients asked.

        Raises BadInput for a share that is none, or a file that cannot be written.
        """
        if not 0 < share <= 1:
            raise BadInput(f"the share of the traffic to keep is {share:g}; give one above 0, at most 1")
        self._share, self._dice = share, random.SystemRandom()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, OWNERS)
        except OSError as error:
            raise BadInput(f"cannot keep traffic in {str(path)!r}: {error.strerror}; name another file") from None
        size = os.fstat(self._file).st_size
        self._is_torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"

    def __enter__(self) -> Traffic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def add(self, order: Order, given: Answer, cost: Cost) -> None:
        """Write an answer down, or not, by the share alone; what the disk refuses is logged, for it was answered.

        Where the question is empty there is none to write down: no task's row may be so.
        """
        if not order.turns[-1].content or self._dice.random() >= self._share:
            return
        row = json.dumps(_row(order, given, cost), ensure_ascii=False).encode(errors="replace")
        line = b"\n" * self._is_torn + row + b"\n"
        try:
            self._is_torn = os.write(self._file, line) < len(line)
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
