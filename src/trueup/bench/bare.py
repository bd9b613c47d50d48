"""The solver below by itself, and the figures that every row tells of speed and of rightness."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueup.core.csp import Program
from trueup.core.types import Json

LIMIT_SECONDS = 30.0
MILLI = 1000.0


def bare(program: Program, *, unique: bool = True) -> float:
    """Seconds of CP-SAT alone, and of its search for another solution where nothing is optimised."""
    from trueup.solvers.cp_sat import CpSat

    model = CpSat(program)
    for one in program.constraints:
        model.post(one.expr)
    if program.objective is not None:
        model.optimise(program.objective.sense, program.objective.expr)
    seconds, values = _solved(model)
    if program.objective is not None or not values or not unique:
        return seconds
    model.forbid(values)
    return seconds + _solved(model)[0]


def bare_continuous(program: Program) -> float:
    """Seconds of the back-end for fractions alone, HiGHS or SciPy, on a program that is read already."""
    from trueup.solvers.linear import rows_of, solve_linear
    from trueup.solvers.smooth import solve_smooth

    rows = rows_of(program)
    started = time.perf_counter()
    if rows is None:
        solve_smooth(program, LIMIT_SECONDS, unique=False)
    else:
        solve_linear(program, rows, LIMIT_SECONDS, unique=False)
    return time.perf_counter() - started


def figures(exact: ArrayLike, decided: ArrayLike, seconds: ArrayLike) -> dict[str, Json]:
    """How many were right and decided, of how many, and how fast."""
    right, said, times = np.asarray(exact, bool), np.asarray(decided, bool), np.asarray(seconds, float)
    return {
        "n": len(right),
        "exact_match": float(right.mean()),
        "decided": float(said.mean()),
        "wrong_decided": float((said & ~right).mean()),
        **speed(times),
    }


def speed(seconds: ArrayLike) -> dict[str, Json]:
    """Problems a second, one behind the other, and how long one takes."""
    times = np.asarray(seconds, float)
    return {
        "per_second": float(len(times) / times.sum()),
        "median_ms": float(np.median(times) * MILLI),
        "p99_ms": float(np.quantile(times, 0.99) * MILLI),
    }


def beside(seconds: Sequence[float], alone: Sequence[float]) -> dict[str, Json]:
    """What the solver below took alone, how many times that we take, and by how much more, each in the median."""
    ours, below = np.asarray(seconds, float), np.asarray(alone, float)
    return {
        "bare_median_ms": float(np.median(below) * MILLI),
        "ratio": float(np.median(ours) / np.median(below)),
        "overhead_ms": float(np.median(ours - below) * MILLI),
    }


def _solved(model: Any) -> tuple[float, dict[str, int]]:
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.random_seed = 1, 0
    solver.parameters.max_time_in_seconds = LIMIT_SECONDS
    started = time.perf_counter()
    status = solver.solve(model.model)
    seconds = time.perf_counter() - started
    is_found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return seconds, {name: int(solver.value(var)) for name, var in model.vars.items()} if is_found else {}
