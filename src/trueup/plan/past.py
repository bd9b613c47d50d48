"""What a training's card says to a study: what it cost, and on which items it was trained.

A model must not be judged on what it was trained on, so those items are left out of a study that asks it. A model that
was trained twice has both trainings on its card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.training import BEGUN, CARD, MADE
from trueup.core.types import Item, Json, Prompt

QUESTION = "{question}"
"""Where a stratum's template puts the question."""
NO_RECIPE: Mapping[str, Json] = {}


@dataclass(frozen=True, slots=True)
class Past:
    """All trainings behind a model: their dollars without the evaluations (None is unknown), the marks of their items.

    `stratum` is the last one's; `strata` are all that were trained on, `trainings` the cards' own rows, oldest first.
    """

    usd: Decimal | None
    prompts: frozenset[str]
    stratum: str
    strata: tuple[str, ...] = ()
    trainings: tuple[Mapping[str, Json], ...] = ()

    def without(self, items: Sequence[Item], recipe: Mapping[str, Json] = NO_RECIPE) -> tuple[Item, ...]:
        """The items that were not trained on, whatever they are called and whatever shots stand before them.

        With their stratum's recipe they are known behind another template too.
        """
        return without(items, self.prompts, recipe)


def read_past(spec: str) -> Past | None:
    """What the cards of a model's trainings say, of all that its words name; None where no part of it was trained.

    A card lies in the training's folder, above its `adapter`, its `model` and its .gguf. Raises BadInput where one is
    malformed, or its training has not come to its end.
    """
    cards = {card for part in [*spec.partition(":")[2].split(","), spec] if part and (card := _card_of(Path(part)))}
    trainings = {json.dumps(row, sort_keys=True): row for card in sorted(cards) for row in _read(card)}
    return past_of(list(trainings.values())) if trainings else None


def past_of(trainings: Sequence[Mapping[str, Any]]) -> Past:
    """The rows of trainings, oldest first, taken together."""
    amounts = [row["usd"] for row in trainings]
    usd = None if None in amounts else sum((Decimal(amount) for amount in amounts), Decimal(0))
    prompts = frozenset(mark for row in trainings for mark in row["prompts"])
    strata = tuple(dict.fromkeys(row["stratum"] for row in trainings))
    return Past(usd, prompts, trainings[-1]["stratum"], strata, tuple(trainings))


def without(items: Sequence[Item], learned: Set[str], recipe: Mapping[str, Json]) -> tuple[Item, ...]:
    """The items that have none of these marks, behind whatever shots they stand."""
    return tuple(one for one in items if learned.isdisjoint({*_endings(one.problem.prompt), *marks(one, recipe)}))


def marks(item: Item, recipe: Mapping[str, Json]) -> list[str]:
    """What tells an item from all others: the messages of its own, without the system and the shots of its recipe.

    One mark as it is asked, and another without the template, where there is one.
    """
    turns = item.problem.prompt
    system = turns[:1] if turns[0].role == "system" else ()
    asked = turns[len(system) + 2 * len(recipe.get("shots", ())) :]
    own = (*system, *asked) if system and system[0].content != recipe.get("system") else asked
    before, _, behind = str(recipe.get("template", "")).partition(QUESTION)
    bare = replace(own[-1], content=own[-1].content.removeprefix(before).removesuffix(behind))
    return list(dict.fromkeys([_digest(own), _digest((*own[:-1], bare))]))


def _endings(prompt: Prompt) -> Iterator[str]:
    """The marks that an item may have been given when other shots, or none, stood before it."""
    for place in range(len(prompt)):
        yield _digest(prompt[place:])
        if place > 1 and prompt[0].role == "system":
            yield _digest((prompt[0], *prompt[place:]))


def _digest(turns: Prompt) -> str:
    """A question that is asked alone goes by its content, as on the cards of the first version."""
    text = turns[0].content if len(turns) == 1 else json.dumps([[turn.role, turn.content] for turn in turns])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _card_of(path: Path) -> Path | None:
    try:
        place = path.expanduser()
        if not place.exists():
            return None
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"{str(path)[:80]!r} is no path ({str(error)[:80]}); check the model's words") from None
    is_made = place.name in MADE or place.is_file()
    for folder in (place, place.parent) if is_made else (place,):
        if (folder / CARD).is_file():
            return folder / CARD
        if (folder / BEGUN).is_file() and any((folder / made).exists() for made in MADE):
            raise BadInput(f"the training in {str(folder)!r} has no card yet; run its command again to end it")
    return None


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of all trainings on a card; one of the first version tells of its own alone.

    Raises BadInput where it is malformed.
    """
    try:
        table = json.loads(path.read_bytes())
        own = {"stratum": table["stratum"], "usd": table["training_usd"], "prompts": table["data"]["prompts"]}
        rows: list[dict[str, Any]] = table.get("trainings", [own])
        past_of(rows)
        return rows
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError) as error:
        raise BadInput(f"{path} is no card of this version ({error}); train again") from None
