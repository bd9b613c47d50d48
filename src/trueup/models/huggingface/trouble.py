"""What torch says where it gives up, and what helps."""

from __future__ import annotations

from trueup.core.errors import one_line

SMALLER = "take a smaller model, another dtype or another device"
FEWER = "set rows lower (and prompts, where it is set), or give shorter prompts"
AGAIN = "run it again, with another dtype or device if it stays"


def is_full(error: Exception) -> bool:
    """Whether memory ran out, on whatever device."""
    told = one_line(error)
    return "out of memory" in told or "allocate memory" in told


def gave_up(error: RuntimeError) -> str:
    """What to say of an ask that torch gave up on."""
    return f"torch gave up ({one_line(error)}); {FEWER if is_full(error) else AGAIN}"
