"""A logic puzzle as it is printed: categories of equally many values, to be matched one to one, and clues in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from trueup.core.types import Json


@dataclass(frozen=True, slots=True)
class LogicPuzzle:
    """`categories` hold their values in the order printed, the key category first; `clues` are in words, by number."""

    categories: Mapping[str, tuple[str, ...]]
    clues: Mapping[str, str]


def read_logic(text: str) -> LogicPuzzle | None:
    """The last logic puzzle in a text; None where there is none."""
    place = text.rfind("logic puzzle:\n{")
    try:
        stated: Json = json.JSONDecoder().raw_decode(text, text.index("{", place))[0] if place >= 0 else None
    except ValueError:
        return None
    if not _is_puzzle(stated):
        return None
    categories = {name: tuple(map(str, values)) for name, values in stated["variables"].items()}
    return LogicPuzzle(categories, {number: str(clue) for number, clue in stated["clues"].items()})


def _is_puzzle(stated: Json) -> bool:
    if not isinstance(stated, dict) or not all(isinstance(stated.get(key), dict) for key in ("variables", "clues")):
        return False
    sizes = {len(values) if isinstance(values, list) else 0 for values in stated["variables"].values()}
    return len(sizes) == 1 and 0 not in sizes
