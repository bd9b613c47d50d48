"""What the plan is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.errors import BadInput, UnknownName

MOST_REQUESTS, MOST_USD = 1e15, 1e12
"""More than anybody will ask, or pay."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Target accuracy, planned requests, the certificate's risk, and prices that only the user knows.

    `training_usd` is all of training's fixed cost, people included. Afterwards a request is taken to cost
    `trained_usd` (None: what one attempt costs) and to be right with `trained_accuracy` (None: as often as
    what it is compared with). `error_usd` is what one wrong answer costs. `shares` of the requests by
    stratum; None is equal shares. `trained` are models that were trained already, with what it cost (the study's own is
    called ""): their arms are measured, and nothing needs to be assumed of them.
    """

    target: float = 0.9
    volume: float = 1e6
    delta: float = 0.05
    seed: int = 0
    training_usd: Decimal | None = None
    error_usd: Decimal | None = None
    shares: Mapping[str, float] | None = None
    trained_usd: Decimal | None = None
    trained_accuracy: float | None = None
    trained: Mapping[str, Decimal | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise BadInput where a number makes no sense."""
        _demand(0 < self.target <= 1, "target", self.target, "an accuracy above 0, at most 1")
        _demand(1 <= self.volume <= MOST_REQUESTS, "volume", self.volume, f"requests from 1 to {MOST_REQUESTS:g}")
        _demand(0 < self.delta < 1, "delta", self.delta, "a risk between 0 and 1")
        for name in ("training_usd", "error_usd", "trained_usd"):
            amount = getattr(self, name)
            is_met = amount is None or (amount.is_finite() and 0 <= amount <= MOST_USD)
            _demand(is_met, name, amount, f"dollars from 0 to {MOST_USD:g}")
        accuracy = self.trained_accuracy
        _demand(accuracy is None or 0 <= accuracy <= 1, "trained_accuracy", accuracy, "an accuracy from 0 to 1")

    def fixed_usd(self, models: Iterable[str]) -> Decimal | None:
        """What it cost to train those of these models that were, each by the user or else by its ledger."""
        own = [self.trained[name] for name in models if name in self.trained]
        costs = own if self.training_usd is None else [self.training_usd] * len(own)
        known = [usd for usd in costs if usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    def shares_of(self, strata: Sequence[str]) -> dict[str, float]:
        """The share of requests of each stratum; they sum to 1.

        Raises BadInput where the shares given are not of these strata or have no sum.
        """
        given = dict.fromkeys(strata, 1.0) if self.shares is None else self.shares
        for name in given:
            if name not in strata:
                raise UnknownName("stratum in shares", name, strata)
        for name in strata:
            _demand(given.get(name, -1.0) >= 0, f"share of {name!r}", given.get(name), "a share, 0 or more")
        total = sum(given.values())
        _demand(0 < total < float("inf"), "sum of shares", total, "shares of which one is above 0")
        return {name: given[name] / total for name in strata}


def _demand(is_met: bool, name: str, value: object, wanted: str) -> None:
    if not is_met:
        raise BadInput(f"{name} is {value}; give {wanted}")
