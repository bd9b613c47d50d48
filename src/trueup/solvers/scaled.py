"""A linear program as HiGHS takes it: what is small in it made larger, since 1e-7 of anything passes there.

Small fractions are counted in powers of two, which lose nothing; rows are multiplied by others so that the largest
coefficient is no less than a half, and the objective so that its least weight is not. What is small beside something
large in the same row stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    units = _units(program)
    matrix = _matrix(program, rows).multiply(units).tocsr()
    by_row = _enlarged(program, rows)
    low, high = np.array([[row.low for row in rows], [row.high for row in rows]]) * by_row
    constraints = LinearConstraint(matrix.multiply(by_row[:, None]).tocsr(), low, high) if rows else ()
    weights = np.abs(cost * units)
    by_cost = _enlarging(weights[weights > 0].min(initial=np.inf))
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
    spans = {variable.name: variable.high - variable.low for variable in program.variables}
    for row, factor in zip(rows, _enlarged(program, rows), strict=True):
        for name, value in row.coefficients.items():
            if 0 < abs(value) * spans[name] * factor < LEAST_SHARE:
                return TOO_FINE.format(name, row.name)
    weights = np.abs(cost * _units(program))
    lost = (weights > 0) & (weights < LEAST_WEIGHT * weights.max())
    return TOO_FINE.format(program.variables[int(lost.argmax())].name, "the objective") if lost.any() else None


def _enlarged(program: Program, rows: Sequence[Row]) -> Vector:
    """By what each row is multiplied: its largest coefficient comes to a half or more, without one its bound."""
    units = dict(zip([variable.name for variable in program.variables], _units(program)[:-1], strict=True))
    largest = (max((abs(value) * units[name] for name, value in row.coefficients.items()), default=0.0) for row in rows)
    sizes = [most or min(abs(row.low), abs(row.high)) for most, row in zip(largest, rows, strict=True)]
    return np.array(_enlarging(sizes), float)


def _units(program: Program) -> Vector:
    """What each variable is counted in, and the room of strict comparisons."""
    return np.array([1 / _enlarging(size_of(v)) if v.kind == FLOAT else 1.0 for v in program.variables] + [1.0])


def _enlarging(sizes: Any) -> Any:
    """The powers of two that bring sizes to a half or more; 1 for what is as large, and for nothing."""
    return np.ldexp(1.0, np.clip(-np.frexp(sizes)[1], 0, MOST_DOUBLINGS))


def _matrix(program: Program, rows: Sequence[Row]) -> Any:
    """A row of coefficients for each row; in the last column is what it loses to the room of strict comparisons."""
    place = {variable.name: i for i, variable in enumerate(program.variables)}
    cells = [(i, place[name], value) for i, row in enumerate(rows) for name, value in row.coefficients.items()]
    spare = [(i, len(place), -1.0 if np.isinf(row.high) else 1.0) for i, row in enumerate(rows) if row.is_strict]
    at, columns, values = zip(*cells, *spare, strict=True) if cells or spare else ((), (), ())
    return csr_array((values, (at, columns)), shape=(len(rows), len(place) + 1))
