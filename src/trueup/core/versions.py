"""Which versions of what produced a result."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "trueup", "xllamacpp", "ortools", "math-verify", "httpx", "scipy", "reasoning-gym", "torch", "transformers",
    "llguidance", "trl", "peft", "gguf", "z3-solver", "wordfreq", "symspellpy",
)  # fmt: skip
WAL_FIXED = ((3, 51, 3), (3, 44, 6), (3, 50, 7))


def versions() -> dict[str, str]:
    """Python, SQLite and the packages that results depend on, as far as they are installed."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def has_wal_reset_bug(linked: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite can lose commits when two connections write or checkpoint at once.

    3.7.0 to 3.51.2, mended in 3.51.3 and in the backports 3.50.7 and 3.44.6 (sqlite.org/wal.html).
    """
    if linked >= (3, 51, 3):
        return False
    return not any(linked[:2] == fixed[:2] and linked >= fixed for fixed in WAL_FIXED)


def machine() -> dict[str, str | int]:
    """The machine, as far as a reader of a figure needs it."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        lines = []
    return lines[0] if lines else platform.processor() or "unknown"
