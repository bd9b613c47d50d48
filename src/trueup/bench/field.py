"""What all systems did on one population or task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trueup.bench.optimum import Least
from trueup.bench.spent import Spent, joined

METHOD = "probability_vote"


@dataclass(frozen=True, slots=True)
class Field:
    """All systems on one population or task; `clusters` says which cases hang together, `skipped` who stayed out.

    `beside` are systems that the bar is not about, on the first of the cases, `left_out` says which of ours cannot be
    replayed, and why. `least` is what no rule for stopping goes below, where the truth is known.
    """

    name: str
    model: str
    clusters: Sequence[str]
    systems: Sequence[Spent]
    skipped: Mapping[str, str]
    beside: Sequence[Spent] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, Least] = field(default_factory=dict)

    @property
    def curve(self) -> list[Spent]:
        """The default adaptive method, as it ships but for its n at the end."""
        return [system for system in self.systems if system.system.startswith(f"trueup {METHOD} ")]

    def since(self, first: int) -> Field:
        """The same without the first clusters."""
        early = set(list(dict.fromkeys(self.clusters))[:first])
        kept = [place for place, cluster in enumerate(self.clusters) if cluster not in early]
        systems, beside = ([one.at(kept) for one in part] for part in (self.systems, self.beside))
        return replace(self, clusters=[self.clusters[place] for place in kept], systems=systems, beside=beside)


def pooled(name: str, fields: Sequence[Field]) -> Field:
    """Several tasks as one, of the systems that ran on them all."""
    clusters = [f"{one.name} {cluster}" for one in fields for cluster in one.clusters]
    skipped = {peer: why for one in fields for peer, why in one.skipped.items()}
    left_out = {arm: why for one in fields for arm, why in one.left_out.items()}
    systems, beside = _joined([one.systems for one in fields]), _joined([one.beside for one in fields])
    return Field(name, fields[0].model, clusters, systems, skipped, beside, left_out)


def _joined(parts: Sequence[Sequence[Spent]]) -> list[Spent]:
    known = [{system.system: system for system in part} for part in parts]
    common = [name for name in known[0] if all(name in one for one in known)]
    return [joined([one[name] for one in known]) for name in common]
