"""The benchmarks by name, each imported only when it is run: some bring solvers and peers that are slow to load."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from trueup.core.errors import UnknownName
from trueup.core.types import Json

BENCHMARKS = ("driver", "engine", "prompts", "ledger", "ledger-truth", "equal-budget", "retraction", "solve", "train")
"""Each is the function of its name, with `_` for `-`, in the module of that name."""


def benchmark(name: str) -> Callable[..., list[dict[str, Json]]]:
    """The benchmark of that name: its rows, by its settings.

    Raises UnknownName.
    """
    if name not in BENCHMARKS:
        raise UnknownName("benchmark", name, BENCHMARKS)
    module = name.replace("-", "_")
    found: Callable[..., list[dict[str, Json]]] = getattr(import_module(f"trueup.bench.{module}"), module)
    return found
