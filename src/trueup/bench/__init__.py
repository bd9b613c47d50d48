"""Benchmarks that anyone can run: ratios, measured side by side in one run."""

from collections.abc import Callable

from trueup.bench.driver import driver
from trueup.bench.engine import engine
from trueup.bench.equal_budget import equal_budget
from trueup.bench.ledger import ledger
from trueup.bench.ledger_truth import ledger_truth
from trueup.bench.result import Result
from trueup.bench.retraction import retraction
from trueup.bench.solve import solve
from trueup.bench.train import train
from trueup.core.types import Json

BENCHMARKS: dict[str, Callable[..., list[dict[str, Json]]]] = {
    "driver": driver,
    "engine": engine,
    "ledger": ledger,
    "ledger-truth": ledger_truth,
    "equal-budget": equal_budget,
    "retraction": retraction,
    "solve": solve,
    "train": train,
}

__all__ = ["BENCHMARKS", "Result"]
