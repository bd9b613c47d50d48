"""What a training's card says to a study: what it cost, and on which items it was trained.

A model must not be judged on what it was trained on, so those items are left out of a study that asks it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

from trueup.core.errors import BadInput
from trueup.core.types import Item

CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Past:
    """A training: its dollars without the evaluation (None is unknown), the marks of its items, its stratum."""

    usd: Decimal | None
    prompts: frozenset[str]
    stratum: str

    def without(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """The items that were not trained on."""
        return tuple(item for item in items if mark(item) not in self.prompts)


def read_past(spec: str) -> Past | None:
    """What a model's card says; None where the model is no training's folder.

    Raises BadInput where the card is malformed.
    """
    path = Path(spec.removeprefix("hf:")).expanduser() / CARD
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_bytes())
        usd = table["training_usd"]
        return Past(None if usd is None else Decimal(usd), frozenset(table["data"]["prompts"]), table["stratum"])
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise BadInput(f"{path} is no card of this version ({error}); train again") from None


def mark(item: Item) -> str:
    """What tells an item's question from all others, whatever the item is called and whatever shots stand before it."""
    return blake2b(item.problem.prompt[-1].content.encode(), digest_size=16).hexdigest()
