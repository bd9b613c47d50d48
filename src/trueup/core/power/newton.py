"""AC power flow by Newton's method in polar form, the whole Jacobian written out.

Tinney and Hart 1967, IEEE Transactions on Power Apparatus and Systems 86(11).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


def newton(case: Case, *, tolerance: float = SETTLED, most: int = 30, start: State | None = None) -> Flowing:
    """The state whose largest mismatch is within the tolerance, from a flat start unless told otherwise.

    Raises BadInput where it is not reached, or the Jacobian has no inverse.
    """
    Y, wanted, at = admittance(case), scheduled(case), places(case)
    state = flat(case) if start is None else start
    gap = _gap(Y, wanted, at, state)
    errors, path = [_largest(gap)], [state]
    while not errors[-1] <= tolerance:
        if len(errors) > most or not errors[-1] < DIVERGED:
            raise BadInput(
                f"{case.name}: Newton's method has a mismatch of {errors[-1]:.2g} after {len(errors) - 1} iterations; "
                f"lower the loads, or start nearer"
            )
        state = _moved(state, at, _step(case, jacobian(Y, state, at), gap))
        gap = _gap(Y, wanted, at, state)
        errors.append(_largest(gap))
        path.append(state)
    return Flowing(state, tuple(errors), tuple(path))


def jacobian(Y: Matrix, state: State, at: Places) -> Vector:
    """Slopes of P and Q by the angles of all buses but the slack's, then by the voltages of the pq buses.

    With a = angle_i - angle_j, off the diagonal:
    dP_i/da_j = v_i v_j (G sin a - B cos a), dP_i/dv_j = v_i (G cos a + B sin a),
    dQ_i/da_j = -v_i v_j (G cos a + B sin a), dQ_i/dv_j = v_i (G sin a - B cos a).
    """
    v, G, B = state.v, Y.real, Y.imag
    a = state.angle[:, None] - state.angle[None, :]
    along, across = G * np.cos(a) + B * np.sin(a), G * np.sin(a) - B * np.cos(a)
    p, q = v * (along @ v), v * (across @ v)
    p_angle, q_angle = np.outer(v, v) * across, -np.outer(v, v) * along
    p_v, q_v = v[:, None] * along, v[:, None] * across
    np.fill_diagonal(p_angle, -q - np.diag(B) * v**2)
    np.fill_diagonal(q_angle, p - np.diag(G) * v**2)
    np.fill_diagonal(p_v, p / v + np.diag(G) * v)
    np.fill_diagonal(q_v, q / v - np.diag(B) * v)
    rows, columns = (at.others, at.pq), (at.others, at.pq)
    return np.block(
        [
            [p_angle[np.ix_(rows[0], columns[0])], p_v[np.ix_(rows[0], columns[1])]],
            [q_angle[np.ix_(rows[1], columns[0])], q_v[np.ix_(rows[1], columns[1])]],
        ]
    )


def _gap(Y: Matrix, wanted: Matrix, at: Places, state: State) -> Vector:
    gap = state.phasors * np.conj(Y @ state.phasors) - wanted
    return np.concatenate([gap.real[at.others], gap.imag[at.pq]])


def _largest(gap: NDArray[np.float64]) -> float:
    return float(np.abs(gap).max())


def _step(case: Case, slopes: Vector, gap: Vector) -> Vector:
    try:
        return np.asarray(np.linalg.solve(slopes, -gap), np.float64)
    except np.linalg.LinAlgError:
        raise BadInput(f"{case.name}: the Jacobian has no inverse here; lower the loads, or start nearer") from None


def _moved(state: State, at: Places, step: Vector) -> State:
    v, angle, most = state.v.copy(), state.angle.copy(), len(at.others)
    angle[at.others] += step[:most]
    v[at.pq] += step[most:]
    return State(v, angle)
