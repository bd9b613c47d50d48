"""AC power flow by Gauss-Seidel sweeps over the buses.

Glimn and Stagg 1957, Transactions of the AIEE 76(3):

    V_i <- ((P_i - j Q_i) / conj(V_i) - sum_{j != i} Y_ij V_j) / Y_ii

At a pv bus Q_i is what flows at that moment, and the new voltage keeps its set magnitude.
"""

from __future__ import annotations

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.power.case import Case
from trueup.core.power.flow import (
    DIVERGED,
    SETTLED,
    Flowing,
    Matrix,
    Places,
    State,
    Vector,
    admittance,
    flat,
    places,
    scheduled,
)


def gauss_seidel(
    case: Case, *, tolerance: float = SETTLED, most: int = 20_000, acceleration: float = 1.0, start: State | None = None
) -> Flowing:
    """The state whose largest mismatch is within the tolerance; `acceleration` stretches each step of a pq bus.

    Raises BadInput where it is not reached.
    """
    Y, wanted, at = admittance(case), scheduled(case), places(case)
    first = flat(case) if start is None else start
    V, held = first.phasors.copy(), first.v
    errors, path = [_largest(Y, V, wanted, at)], [first]
    while not errors[-1] <= tolerance:
        if len(errors) > most or not errors[-1] < DIVERGED:
            raise BadInput(
                f"{case.name}: Gauss-Seidel has a mismatch of {errors[-1]:.2g} after {len(errors) - 1} iterations; "
                f"lower the loads, or allow more"
            )
        _sweep(Y, V, wanted, at, held, acceleration)
        errors.append(_largest(Y, V, wanted, at))
        path.append(State(np.abs(V), np.angle(V)))
    return Flowing(path[-1], tuple(errors), tuple(path))


def _sweep(Y: Matrix, V: Matrix, wanted: Matrix, at: Places, held: Vector, acceleration: float) -> None:
    """One new voltage for each bus but the slack's, each used by the next."""
    is_held = set(at.held.tolist())
    for i in at.others.tolist():
        current = Y[i] @ V
        power = wanted[i]
        if i in is_held:
            power = complex(power.real, (V[i] * np.conj(current)).imag)
        found = (np.conj(power / V[i]) - current + Y[i, i] * V[i]) / Y[i, i]
        V[i] = held[i] * found / abs(found) if i in is_held else V[i] + acceleration * (found - V[i])


def _largest(Y: Matrix, V: Matrix, wanted: Matrix, at: Places) -> float:
    gap = V * np.conj(Y @ V) - wanted
    return float(max(np.abs(gap.real[at.others]).max(), np.abs(gap.imag[at.pq]).max(initial=0.0)))
