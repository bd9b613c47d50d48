"""Sudoku as a CP-SAT model: one solution, and whether there is another.

Runs in the child process only. One worker and a fixed seed, so that the same grid takes the same path.
"""

from __future__ import annotations

from collections.abc import Sequence

from ortools.sat.python import cp_model

from trueup.core.grid import BOXES

Cells = list[list[cp_model.IntVar]]


def complete(grid: Sequence[Sequence[int]], limit_seconds: float) -> tuple[str, str]:
    """The status and, where there is exactly one completion, that grid as lines of numbers."""
    model, cells = _model(grid)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_time_in_seconds = limit_seconds
    found = solver.solve(model)
    if found == cp_model.INFEASIBLE:
        return "unsatisfiable", ""
    if found not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return "timeout", ""
    first = [[solver.value(cell) for cell in row] for row in cells]
    _forbid(model, cells, first)
    solver.parameters.max_time_in_seconds = max(0.0, limit_seconds - solver.wall_time)
    again = solver.solve(model)
    if again in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return "not_unique", ""
    if again != cp_model.INFEASIBLE:
        return "timeout", ""
    return "solved", "\n".join(" ".join(map(str, row)) for row in first)


def _model(grid: Sequence[Sequence[int]]) -> tuple[cp_model.CpModel, Cells]:
    size = len(grid)
    height, width = BOXES[size]
    model = cp_model.CpModel()
    cells = [[model.new_int_var(cell or 1, cell or size, f"r{r}c{c}") for c, cell in enumerate(row)]
             for r, row in enumerate(grid)]  # fmt: skip
    for i in range(size):
        model.add_all_different(cells[i])
        model.add_all_different([row[i] for row in cells])
    for top in range(0, size, height):
        for left in range(0, size, width):
            model.add_all_different([cells[top + r][left + c] for r in range(height) for c in range(width)])
    return model, cells


def _forbid(model: cp_model.CpModel, cells: Cells, values: Sequence[Sequence[int]]) -> None:
    """Rule one completion out: some cell has to be below or above its value there."""
    differs = []
    for row, value_row in zip(cells, values, strict=True):
        for cell, value in zip(row, value_row, strict=True):
            other = model.new_bool_var("")
            model.add(cell != value).only_enforce_if(other)
            differs.append(other)
    model.add_at_least_one(differs)
