"""A linear program as HiGHS takes it: what is small in it made larger, since 1e-7 of anything passes there.

Small fractions are counted in powers of two, which lose nothing; rows are multiplied by others so that the largest
coefficient is no less than a half, and the objective so that its least weight is not. What is small beside something
large in the same row stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import frexp, isinf, ldexp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from trueup.core.csp.program import FLOAT, Program, Variable
from trueup.solvers.clock import Clock

LEAST_SECONDS, MOST_ROOM = 0.01, 1.0
MOST_DOUBLINGS = 60
LEAST_SHARE, LEAST_WEIGHT = 1e-6, 1e-9
"""What a variable must be able to change in a row; its weight as a share of the objective's greatest."""
TOO_FINE = "{!r} has so small a part in {} that highs cannot tell it from rounding; scale the program, or use z3"
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """low <= coefficients . variables <= high, and the constraint that it belongs to; strict ones keep off the bound.

    The largest coefficient of a strict one is 1 by the size of its variable, in which its room is counted.
    """

    coefficients: Mapping[str, float]
    low: float
    high: float
    name: str = ""
    is_strict: bool = False


def best_point(program: Program, rows: Sequence[Row], clock: Clock, cost: Vector, *, room: float = 0.0) -> Any:
    """The best point for a cost; its last number is the room of strict comparisons, at least `room`."""
    unit_of = _units(program)
    by_row, units = _enlarged(rows, unit_of), np.array([*unit_of.values(), 1.0])
    low = [row.low * by for row, by in zip(rows, by_row, strict=True)]
    high = [row.high * by for row, by in zip(rows, by_row, strict=True)]
    constraints = LinearConstraint(_matrix(rows, by_row, unit_of), low, high) if rows else ()
    weights = np.abs(cost * units)
    by_cost = _enlarging(float(weights[weights > 0].min(initial=np.inf)))
    result = milp(
        cost * units * by_cost,
        integrality=np.array([*(int(variable.kind != FLOAT) for variable in program.variables), 0]),
        bounds=Bounds(
            np.array([*(v.low for v in program.variables), room]) / units,
            np.array([*(v.high for v in program.variables), MOST_ROOM]) / units,
        ),
        constraints=constraints,
        options={"time_limit": max(clock.left, LEAST_SECONDS), "mip_rel_gap": 0.0},
    )
    if result.x is not None:
        result.x, result.fun = result.x * units, result.fun / by_cost
    return result


def size_of(variable: Variable) -> float:
    """How far from 0 a variable can come, or 1 where that is further or nothing."""
    return min(1.0, max(abs(float(variable.low)), abs(float(variable.high)))) or 1.0


def too_fine(program: Program, rows: Sequence[Row], cost: Vector) -> str | None:
    """Why HiGHS cannot be trusted with a program: what has a part in it that is lost in rounding; None if nothing."""
    spans, unit_of = {variable.name: variable.high - variable.low for variable in program.variables}, _units(program)
    for row, by in zip(rows, _enlarged(rows, unit_of), strict=True):
        for name, value in row.coefficients.items():
            if 0 < abs(value) * spans[name] * by < LEAST_SHARE:
                return TOO_FINE.format(name, row.name)
    weights = np.abs(cost[:-1] * np.array([*unit_of.values()]))
    lost = (weights > 0) & (weights < LEAST_WEIGHT * weights.max(initial=0.0))
    return TOO_FINE.format(program.variables[int(lost.argmax())].name, "the objective") if lost.any() else None


def _units(program: Program) -> dict[str, float]:
    """What each variable is counted in."""
    return {v.name: 1 / _enlarging(size_of(v)) if v.kind == FLOAT else 1.0 for v in program.variables}


def _enlarged(rows: Sequence[Row], unit_of: Mapping[str, float]) -> list[float]:
    """By what each row is multiplied: its largest coefficient comes to a half or more, without one its bound."""
    largest = (max((abs(value) * unit_of[name] for name, value in row.coefficients.items()), default=0) for row in rows)
    return [_enlarging(most or min(map(abs, (row.low, row.high)))) for most, row in zip(largest, rows, strict=True)]


def _enlarging(size: float) -> float:
    """The power of two that brings a size to a half or more; 1 for what is as large, and for nothing."""
    return ldexp(1.0, min(max(-frexp(size)[1], 0), MOST_DOUBLINGS))


def _matrix(rows: Sequence[Row], by_row: Sequence[float], unit_of: Mapping[str, float]) -> Any:
    """A row of coefficients for each row; in the last column is what it loses to the room of strict comparisons."""
    place, enlarged = {name: i for i, name in enumerate(unit_of)}, [*enumerate(zip(rows, by_row, strict=True))]
    cells = [
        (i, place[name], value * unit_of[name] * by)
        for i, (row, by) in enlarged
        for name, value in row.coefficients.items()
    ]
    spare = [(i, len(place), -by if isinf(row.high) else by) for i, (row, by) in enlarged if row.is_strict]
    at, columns, values = zip(*cells, *spare, strict=True) if cells or spare else ((), (), ())
    return csr_array((values, (at, columns)), shape=(len(rows), len(place) + 1))
