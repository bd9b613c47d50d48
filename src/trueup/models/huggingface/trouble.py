"""What torch says where it gives up, and what helps."""

from __future__ import annotations

SHOWN = 200
SMALLER = "take a smaller model, another dtype or another device"
FEWER = "set rows lower, or give shorter prompts"
AGAIN = "run it again, with another dtype or device if it stays"


def line_of(error: object) -> str:
    """An error's words on one line, or its name where it has none."""
    return " ".join(str(error).split())[:SHOWN] or type(error).__name__


def is_full(error: Exception) -> bool:
    """Whether memory ran out, on whatever device."""
    told = line_of(error)
    return "out of memory" in told or "allocate memory" in told


def gave_up(error: RuntimeError) -> str:
    """What to say of an ask that torch gave up on."""
    return f"torch gave up ({line_of(error)}); {FEWER if is_full(error) else AGAIN}"
