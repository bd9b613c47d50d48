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
    """What the cards of a model's trainings say, of all that its words name; None where no part of it was trained.

    A card lies in the training's folder, above its `adapter`, its `model` and its .gguf. Raises BadInput where one is
    malformed.
    """
    cards = {card for part in [*spec.partition(":")[2].split(","), spec] if part and (card := _card_of(Path(part)))}
    pasts = [_read(card) for card in sorted(cards)]
    if not pasts:
        return None
    known = [past.usd for past in pasts if past.usd is not None]
    prompts = frozenset[str]().union(*(past.prompts for past in pasts))
    return Past(sum(known, Decimal(0)) if len(known) == len(pasts) else None, prompts, pasts[0].stratum)


def _card_of(path: Path) -> Path | None:
    place = path.expanduser()
    if not place.exists():
        return None
    return next((folder / CARD for folder in (place, place.parent) if (folder / CARD).is_file()), None)


def _read(path: Path) -> Past:
    try:
        table = json.loads(path.read_bytes())
        usd = table["training_usd"]
        return Past(None if usd is None else Decimal(usd), frozenset(table["data"]["prompts"]), table["stratum"])
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise BadInput(f"{path} is no card of this version ({error}); train again") from None


def mark(item: Item) -> str:
    """What tells an item's question from all others, whatever the item is called and whatever shots stand before it."""
    return blake2b(item.problem.prompt[-1].content.encode(), digest_size=16).hexdigest()
