"""The fewest clues that contradict each other.

QuickXplain (Junker 2004, AAAI): halves what is suspected, and keeps of each half what the other cannot do without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Contradicts = Callable[[Sequence[str]], bool]


def smallest_conflict(names: Sequence[str], contradicts: Contradicts, has_time: Callable[[], bool]) -> list[str]:
    """Of names that contradict each other together, some that do and of which none can be left out.

    Where time runs out, more than that are left.
    """

    def needed(known: list[str], added: bool, suspects: list[str]) -> list[str]:
        if added and has_time() and contradicts(known):
            return []
        if len(suspects) <= 1 or not has_time():
            return suspects
        half = len(suspects) // 2
        first, second = suspects[:half], suspects[half:]
        of_second = needed([*known, *first], True, second)
        of_first = needed([*known, *of_second], bool(of_second), first)
        return [*of_first, *of_second]

    return [] if contradicts([]) else needed([], False, list(names))
