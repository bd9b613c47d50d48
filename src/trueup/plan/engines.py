"""Where the attempts of one model come from several engines behind its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trueup.plan.words import many

SHOWN = 2


@dataclass(frozen=True, slots=True)
class Mixture:
    """A model whose endpoint named several engines, with how many attempts came from each, and what to do about it."""

    model: str
    attempts: Mapping[str, int]
    note: str


def mixtures(engines: Mapping[str, Mapping[str, int]]) -> tuple[Mixture, ...]:
    """The models whose attempts disagree on their engine; an attempt that names none disagrees with nothing."""
    return tuple(
        Mixture(model, attempts, _note(model, attempts)) for model, attempts in engines.items() if len(attempts) > 1
    )


def _note(model: str, attempts: Mapping[str, int]) -> str:
    ranked = sorted(attempts.items(), key=lambda row: -row[1])
    named = [f"{engine} ({many(count)} attempts)" for engine, count in ranked[:SHOWN]]
    rest = len(ranked) - SHOWN
    listed = f"{', '.join(named)} and {rest} other{'s' * (rest > 1)}" if rest else " and ".join(named)
    return (
        f"{model} answered as {len(ranked)} engines that were never seen to agree, {listed}; ask for a dated snapshot "
        f"or one replica, and sample anew into another --out"
    )
