"""What trueup needs of this machine, looked at one by one."""

from __future__ import annotations

import importlib.util
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueup.core.cache import cache_folder
from trueup.core.versions import has_wal_reset_bug, machine, versions
from trueup.models import SMOLLM2
from trueup.models.llamacpp import idle_cores

NEEDED_BYTES = 500_000_000


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
