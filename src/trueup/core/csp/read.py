"""The constraint program in a text: its last block, closed or cut, or all of it; lines of the language, or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.parse import parse
from trueup.core.csp.program import Program
from trueup.core.csp.wire import from_json
from trueup.core.errors import BadInput
from trueup.core.types import Json

FENCE = "```"


def read_program(text: str, limits: Limits = LIMITS) -> Program:
    """The program in a text.

    Raises BadInput, with its place, for the first thing that is not one.
    """
    limits.hold("characters", len(text))
    block = last_block(text)
    stated = (text if block is None else block).strip()
    if not stated.startswith("{"):
        return parse(stated, limits)
    try:
        value = json.loads(stated, object_pairs_hook=_each_once)
    except RecursionError:
        raise BadInput(f"the program's JSON is nested too deep; at most {limits.depth} levels are taken") from None
    except ValueError as error:
        raise BadInput(f"the program is not valid JSON: {error}") from None
    return from_json(value, limits)


def _each_once(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    """An object, of which JSON itself would keep the last of two values under one key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise BadInput(f"the program's JSON has the key {twice!r} twice in one object; leave one out")
    return found


def is_program(text: str, limits: Limits = LIMITS) -> bool:
    """Whether a text holds a program."""
    try:
        read_program(text, limits)
    except BadInput:
        return False
    return True


def last_block(text: str) -> str | None:
    """What stands behind the last fence that opens a block, closed or cut; None in a text without one.

    A fence with nothing behind it opens none.
    """
    parts = text.split(FENCE)
    if len(parts) % 2 == 0 and not parts[-1].strip():
        parts.pop()
    if len(parts) < 2:
        return None
    block = parts[-2] if len(parts) % 2 else parts[-1]
    return block.partition("\n")[2]
