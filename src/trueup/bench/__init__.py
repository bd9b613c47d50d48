"""Benchmarks that anyone can run: ratios, measured side by side in one run."""

from trueup.bench.named import BENCHMARKS, benchmark
from trueup.bench.result import Result

__all__ = ["BENCHMARKS", "Result", "benchmark"]
