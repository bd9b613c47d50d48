"""The constraint program in a text: its last block, closed or cut, or all of it; lines of the language, or JSON."""

from __future__ import annotations

import json

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.parse import parse
from trueup.core.csp.program import Program
from trueup.core.csp.wire import from_json
from trueup.core.errors import BadInput

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
        value = json.loads(stated)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the program is not valid JSON: {error}") from None
    return from_json(value, limits)


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
