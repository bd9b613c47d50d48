"""The map of self-correction: every regime, and the arms whose reward knows nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from trueup.claims.self_correction_arms import Regime
from trueup.claims.self_correction_base import Size
from trueup.claims.self_correction_parts import Base
from trueup.claims.self_correction_rows import row_of, said
from trueup.claims.self_correction_seen import Seen
from trueup.core.types import Json
from trueup.plan import Resampler
from trueup.plan.paired import paired

RIVAL = "iterated SFT+"
"""The arm that SCoRe is set against in every regime: it learns from the same own attempts, by imitation."""


def map_rows(
    drawn: Sequence[Mapping[str, Seen]],
    bases: Sequence[Mapping[float, Seen]],
    cells: Sequence[Mapping[Regime, Seen]],
    seed: int,
) -> list[dict[str, Json]]:
    """A row per arm with a random reward, per base, per cell, over the seeds; an item's seeds are one cluster."""
    items = len(next(iter(cells[0].values())).first_M)
    draws = Resampler.of([str(i) for i in range(items)] * len(cells), seed=seed, name="map")
    rows = [row_of(name, draws, [of[name] for of in drawn]) for name in drawn[0]]
    rows += [row_of(f"map: base, copies {copies:.0%}", draws, [of[copies] for of in bases]) for copies in bases[0]]
    return rows + [row_of(f"map: {cell.name}, {cell.where}", draws, [of[cell] for of in cells]) for cell in cells[0]]


def random_note(drawn: Mapping[str, Seen], base: Base, seed: int) -> str:
    """What reinforcement by a reward that knows nothing comes to."""
    figures = (
        f"{name} {_turns(arm)} after {arm.taught.updates} updates{'' if arm.taught.is_flat else ', not flat'}"
        for name, arm in drawn.items()
    )
    return f"seed {seed}, both turns: base {_turns(base.seen)}; " + "; ".join(figures)


def map_notes(cells: Mapping[Regime, Seen], size: Size, seed: int, *, settled: bool = False) -> list[str]:
    """Where reinforcement ends with more right second attempts than imitation does, and what an anchor does.

    Cells are seen after their first updates, which are equally many, or settled: flat, or at the cap.
    """
    taken = f"each arm until it is flat, {size.cap} at most" if settled else f"each arm's first {size.updates} updates"
    about = f"map, seed {seed}, {taken}"
    against = {
        cell.where: paired(seen.second_M, cells[_of(cell, RIVAL)].second_M)
        for cell, seen in cells.items()
        if cell.name == "SCoRe"
    }
    leads = [where for where, over in against.items() if over.ci95[0] > 0]
    trails = [where for where, over in against.items() if over.ci95[1] < 0]
    held = [
        f"{cell.name} {_turns(cells[_free(cell)])} to {_turns(seen)}"
        for cell, seen in cells.items()
        if cell.anchored and cell.copies == size.copies[0] and not cell.few
    ]
    return [
        f"{about}: SCoRe's Acc@t2 minus {RIVAL}'s: "
        + "; ".join(f"{where} {said(over)}" for where, over in against.items())
        + f". It leads in {len(leads)}, trails in {len(trails)} of {len(against)}"
        + f" ({len(against) - len(leads) - len(trails)} cannot be told)"
        + (_unsettled(cells) if settled else ""),
        f"{about}, both turns, free to anchored: " + "; ".join(held),
    ]


def _unsettled(cells: Mapping[Regime, Seen]) -> str:
    """How many cells of either side of that comparison met the cap before they were flat."""
    rising = Counter(cell.name for cell, seen in cells.items() if not seen.taught.is_flat)
    return "; not flat at the cap: " + "; ".join(f"{name} in {rising[name]}" for name in ("SCoRe", RIVAL))


def _of(cell: Regime, name: str) -> Regime:
    return Regime(name, cell.copies, cell.few, cell.anchored)


def _free(cell: Regime) -> Regime:
    return Regime(cell.name, cell.copies, cell.few)


def _turns(seen: Seen) -> str:
    return f"{seen.first_M.mean():.1%} and {seen.second_M.mean():.1%}"
