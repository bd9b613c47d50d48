"""The tab of a flow: what it has run up so far, priced as if it had run alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trueup.core.cost import Cost
from trueup.core.stratum import Stratum
from trueup.core.types import Item
from trueup.run.act import Act


@dataclass(slots=True)
class Tab:
    """What one flow has run up so far, priced as if it had run alone: each key of the ledger is `paid` for once."""

    stratum: Stratum
    item: Item
    cost: Cost = field(default_factory=Cost)
    asked_oracle: bool = False
    act: Act = field(default_factory=Act)
    paid: set[bytes] = field(default_factory=set)

    def pay(self, keys: Iterable[bytes], cost: Cost) -> None:
        """Add what these keys cost, which were not paid for before."""
        self.paid.update(keys)
        self.cost += cost
