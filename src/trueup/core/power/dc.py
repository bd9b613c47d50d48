"""DC power flow: angles by one linear system.

Stott, Jardim and Alsaç 2009, IEEE Transactions on Power Systems 24(3): all voltages are 1, resistances and charging
nothing, and small angles their own sines.

    P_i = sum_j (angle_i - angle_j) / (x_ij tap_ij)
"""

from __future__ import annotations

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.power.case import Case
from trueup.core.power.flow import State, Vector, places, scheduled

LEAST_REACTANCE = 1e-9


def dc_flow(case: Case) -> State:
    """The angles that carry the scheduled real power, the slack bus taking the rest.

    Raises BadInput where the system has no single solution.
    """
    B, at = dc_susceptance(case), places(case)
    angle = np.zeros(len(case.buses))
    try:
        angle[at.others] = np.linalg.solve(B[np.ix_(at.others, at.others)], dc_scheduled(case)[at.others])
    except np.linalg.LinAlgError:
        raise BadInput(f"{case.name}: the reactances cancel, so no angles follow; change one of them") from None
    return State(np.ones(len(case.buses)), angle)


def dc_susceptance(case: Case) -> Vector:
    """B': how the power into each bus follows from the angles.

    Raises BadInput for a branch without reactance.
    """
    place, B = case.place, np.zeros((len(case.buses),) * 2)
    for branch in case.branches:
        if abs(branch.x) < LEAST_REACTANCE:
            raise BadInput(f"{case.name}: branch {branch.start}-{branch.end} has no reactance, which dc needs; use ac")
        i, j, b = place[branch.start], place[branch.end], 1 / (branch.x * branch.tap)
        B[[i, j], [i, j]] += b
        B[[i, j], [j, i]] -= b
    return B


def dc_scheduled(case: Case) -> Vector:
    """P that is fed in at each bus, less what the shunts draw at a voltage of 1."""
    return np.asarray(scheduled(case).real - [bus.shunt_g for bus in case.buses])
