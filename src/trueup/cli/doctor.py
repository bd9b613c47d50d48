"""What trueup needs of this machine, looked at one by one; and whether two engines agree."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from trueup.catalog import open_model
from trueup.cli.pipeline import split_sets
from trueup.core.cache import cache_folder
from trueup.core.errors import BadInput, UnknownName
from trueup.core.roles import Model, ModelCard
from trueup.core.types import Json
from trueup.core.versions import has_wal_reset_bug, machine, versions
from trueup.models import SMOLLM2, Agreement, agreement, foretelling, require_poolable
from trueup.models.llamacpp import idle_cores

Cards = tuple[ModelCard, ModelCard]
NEEDED_BYTES = 500_000_000
PLACES = ("first", "second")
"""What the two engines that are compared are called by their settings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `state` is fine, warning or broken."""

    what: str
    state: str
    detail: str


def examine() -> Sequence[Finding]:
    """Every finding, in the order in which a study would meet it."""
    looks: Sequence[Callable[[], Finding]] = (_versions, _cores, _sqlite, _engine, _weights, _disk, _extras)
    return [look() for look in looks]


def _versions() -> Finding:
    return Finding("versions", "fine", ", ".join(f"{name} {number}" for name, number in versions().items()))


def _cores() -> Finding:
    allowed, idle = int(machine()["cores"]), idle_cores()
    detail = f"{idle} of {allowed} idle, {machine()['processor']}"
    if idle < allowed:
        return Finding("cores", "warning", f"{detail}; the embedded engine will use the idle ones only")
    return Finding("cores", "fine", detail)


def _sqlite() -> Finding:
    linked = sqlite3.sqlite_version
    if has_wal_reset_bug():
        detail = f"{linked} can lose commits with two writers; the ledger has one, so this is safe here"
        return Finding("sqlite", "warning", detail)
    return Finding("sqlite", "fine", linked)


def _engine() -> Finding:
    if importlib.util.find_spec("xllamacpp") is None:
        return Finding("embedded engine", "broken", "xllamacpp is not installed; pip install xllamacpp")
    return Finding("embedded engine", "fine", f"xllamacpp {versions()['xllamacpp']}")


def _weights() -> Finding:
    path = SMOLLM2.path()
    if not path.exists():
        return Finding("weights", "fine", f"{SMOLLM2.name} is not here yet; the first study fetches 93 MB to {path}")
    SMOLLM2.fetch()
    return Finding("weights", "fine", f"{path}, checksum right")


def _disk() -> Finding:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    state = "fine" if free > NEEDED_BYTES else "warning"
    return Finding("disk", state, f"{free / 1e9:.1f} GB free at {folder}")


def _extras() -> Finding:
    extras = {"gym": "reasoning_gym", "hf": "transformers", "search": "treequest", "serve": "uvicorn"}
    here = [name for name, module in extras.items() if importlib.util.find_spec(module)]
    missing = sorted(extras.keys() - set(here))
    detail = f"installed: {', '.join(here) or 'none'}"
    if missing:
        detail += f"; to add: pip install 'trueup[{','.join(missing)}]'"
    return Finding("extras", "fine", detail)


def compare(specs: tuple[str, str], sets: Sequence[str], tolerance: float) -> tuple[Agreement, Cards]:
    """How far apart the engines of two specifications are, and their cards; `first.rows=1` sets up the first of them.

    Raises BadInput for an engine that tells no log-probabilities.
    """
    own = split_sets(sets)
    for owner in own.keys() - set(PLACES):
        raise UnknownName("--set", owner, PLACES, hint="(write first.key=value or second.key=value)")
    first, second = (open_model(spec, own.get(place)) for spec, place in zip(specs, PLACES, strict=True))
    return asyncio.run(_compared(first, second, tolerance)), (first.card, second.card)


def require_agreement(found: Agreement, cards: Cards) -> None:
    """Raise BadInput where samples of these engines must be kept apart."""
    require_poolable(*cards, found)
    if not found.agrees:
        raise BadInput(f"{found.first!r} is {found.worst:.3f} apart from itself; its samples are not reproducible")


def json_of(found: Agreement) -> dict[str, Json]:
    """An agreement for a machine; what is infinite is null."""
    row = {key: None if value == math.inf else value for key, value in asdict(found).items()}
    return row | {"agrees": found.agrees}


async def _compared(first: Model, second: Model, tolerance: float) -> Agreement:
    try:
        return await agreement(foretelling(first), foretelling(second), tolerance=tolerance)
    finally:
        for model in (first, second):
            await model.close()
