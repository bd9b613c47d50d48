"""What became of a problem: an arm's answer with its grade and cost, or a pool of graded attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trueup.core.cost import Cost
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer, Attempt, Grade, Item


@dataclass(frozen=True, slots=True)
class Outcome:
    """One arm on one item.

    `cost` is what the arm would have cost alone, whether or not its samples were in the ledger already.
    `failure` says why there is no answer; `is_oracle` that a method's check saw the reference.
    """

    item: Item
    arm: str
    answer: Answer | None
    grade: Grade
    cost: Cost
    failure: str | None = None
    is_oracle: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """Independent attempts at one item under its own settings, each graded against the reference."""

    item: Item
    attempts: tuple[Attempt, ...]
    grades: tuple[Grade, ...]
    cost: Cost
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """All that a study knows of one stratum: a pool per item, and an outcome per arm and item.

    `engines` counts, by the model's fingerprint, the attempts of each engine that its endpoint named.
    """

    stratum: Stratum
    arms: tuple[Arm, ...]
    pools: tuple[Pool, ...]
    outcomes: tuple[Outcome, ...]
    engines: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
