"""Where the attempts of one model come from several engines behind its address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trueup.plan.words import many

SHOWN = 2
MIXED = "its attempts are of several engines"
"""Why nothing is proved of a stratum, in short."""

Engines = Mapping[str, Mapping[str, int]]
"""How many attempts came from each engine that an endpoint named, by the model's fingerprint."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A model whose endpoint named several engines, with how many attempts came from each, and what to do about it."""

    model: str
    attempts: Mapping[str, int]
    note: str


def mixtures(engines: Engines) -> tuple[Mixture, ...]:
    """The models whose attempts disagree on their engine; an attempt that names none disagrees with nothing."""
    return tuple(
        Mixture(model, attempts, _note(model, attempts)) for model, attempts in engines.items() if len(attempts) > 1
    )


def differences(strata: Mapping[str, Engines]) -> tuple[Mixture, ...]:
    """The models of whose engines no stratum saw all: attempts that agree in each of them, and not together."""
    models = dict.fromkeys(model for engines in strata.values() for model in engines)
    return tuple(row for model in models for row in _differences(model, strata))


def tell(strata: Mapping[str, Engines]) -> list[str]:
    """A line for each stratum that a model answered as several engines, and for each model whose strata differ."""
    lines = [f"{name}: {row.note}" for name, engines in strata.items() for row in mixtures(engines)]
    return lines + [row.note for row in differences(strata)]


def noted(rows: Sequence[Mixture], key: str = "engines") -> dict[str, Any]:
    """The entry about them in a table that is written; none where there is nothing to tell."""
    return {key: [asdict(row) for row in rows]} if rows else {}


def _differences(model: str, strata: Mapping[str, Engines]) -> Iterator[Mixture]:
    seen = {name: engines[model] for name, engines in strata.items() if engines.get(model)}
    total: Counter[str] = Counter()
    for attempts in seen.values():
        total.update(attempts)
    if seen and all(len(attempts) < len(total) for attempts in seen.values()):
        *names, last = seen
        together = dict(sorted(total.items()))
        yield Mixture(model, together, f"{', '.join(names)} and {last} together: {_note(model, together)}")


def _note(model: str, attempts: Mapping[str, int]) -> str:
    ranked = sorted(attempts.items(), key=lambda row: -row[1])
    named = [f"{engine} ({many(count)} attempts)" for engine, count in ranked[:SHOWN]]
    rest = len(ranked) - SHOWN
    listed = f"{', '.join(named)} and {rest} other{'s' * (rest > 1)}" if rest else " and ".join(named)
    return (
        f"{model} answered as {len(ranked)} engines that were never seen to agree, {listed}; ask for a dated snapshot "
        f"or one replica, and sample anew into another --out"
    )
