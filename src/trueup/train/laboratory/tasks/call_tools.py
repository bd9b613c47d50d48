"""Tools that calls can be made of, and what they return.

Four things to do have two functions each, which differ in how many arguments they take and in what order. All count
modulo a prime, so that few wrong calls return the right number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trueup.train.laboratory.grammar import Call

MODULUS = 997
UNIT = "in"
"""What is done last: a number is given in a unit."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What a function does, the types of its parameters, and how its arguments are laid out from the operands.

    In `layout`, 0 and 1 stand for the operands, anything else is written as it is.
    """

    does: str
    signature: str
    layout: tuple[int | str, ...]
    run: Callable[..., int]


def _factor(word: str) -> int:
    return ord(word[1]) - ord("a") + 1


TOOLS: Mapping[str, Tool] = {
    "a": Tool("+", "nn", (0, 1), lambda x, y: x + y),
    "b": Tool("+", "nnn", (0, 1, "0"), lambda x, y, z: x + y + z),
    "s": Tool("-", "nn", (0, 1), lambda x, y: x - y),
    "d": Tool("-", "nn", (1, 0), lambda x, y: y - x),
    "m": Tool("*", "nn", (0, 1), lambda x, y: x * y),
    "t": Tool("*", "nnn", (0, 1, "1"), lambda x, y, z: x * y * z),
    "u": Tool(UNIT, "nw", (0, 1), lambda x, word: x * _factor(word)),
    "v": Tool(UNIT, "wn", (1, 0), lambda word, x: x * _factor(word)),
}


def execute(call: Call) -> int:
    """What the tools return; the call must fit their signatures."""
    values = [execute(a) if isinstance(a, Call) else a for a in call.arguments]
    return TOOLS[call.name].run(*values) % MODULUS
