"""The power that voltages drive into each bus, and what of it is asked for.

    S_i = V_i sum_j conj(Y_ij V_j)

Y is the admittance matrix. A mismatch is what flows less what is scheduled, real power at all buses but the slack's,
then reactive power at the pq buses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.power.case import PQ, SLACK, Case

Vector = NDArray[np.float64]
Matrix = NDArray[np.complex128]
SETTLED, DIVERGED = 1e-10, 1e6
"""Up to which mismatch, in per unit, the references go on unless they are told otherwise; beyond which they give up."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The voltage of every bus: magnitude in per unit, angle in radians."""

    v: Vector
    angle: Vector

    @property
    def phasors(self) -> Matrix:
        """The voltages as complex numbers."""
        return np.asarray(self.v * np.exp(1j * self.angle))


@dataclass(frozen=True, slots=True, eq=False)
class Flowing:
    """A state that was found, and the way to it.

    `errors` are the largest mismatch at the start and after each iteration; `path` the states of the same moments.
    """

    state: State
    errors: tuple[float, ...]
    path: tuple[State, ...]

    @property
    def iterations(self) -> int:
        """How many it took."""
        return len(self.errors) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the buses stand: the slack's, all others, the pq buses, and those with a set voltage."""

    slack: int
    others: NDArray[np.intp]
    pq: NDArray[np.intp]
    held: NDArray[np.intp]


def places(case: Case) -> Places:
    """The buses of a case by what is given of them."""
    kinds = np.array([bus.kind for bus in case.buses])
    found = [np.flatnonzero(test) for test in (kinds != SLACK, kinds == PQ, kinds != PQ)]
    return Places(case.place[case.slack], *found)


def admittance(case: Case) -> Matrix:
    """Y: of each branch as a pi with its tap at the beginning, and of the shunts."""
    place, Y = case.place, np.zeros((len(case.buses),) * 2, complex)
    for branch in case.branches:
        i, j, y = place[branch.start], place[branch.end], 1 / complex(branch.r, branch.x)
        Y[i, i] += (y + 0.5j * branch.b) / branch.tap**2
        Y[j, j] += y + 0.5j * branch.b
        Y[i, j] -= y / branch.tap
        Y[j, i] -= y / branch.tap
    for i, bus in enumerate(case.buses):
        Y[i, i] += complex(bus.shunt_g, bus.shunt_b)
    return Y


def scheduled(case: Case) -> Matrix:
    """P + jQ that is fed in at each bus; nothing is said of the slack's, nor of Q at a pv bus."""
    fed = case.generator_at
    powers = [
        complex((fed[bus.number].p if bus.number in fed else 0.0) - bus.load_p, -bus.load_q) for bus in case.buses
    ]
    return np.array(powers)


def flat(case: Case) -> State:
    """Set voltages where there are some, 1 elsewhere, and no angles."""
    fed = case.generator_at
    v = np.array([fed[bus.number].v if bus.number in fed else 1.0 for bus in case.buses])
    return State(v, np.zeros(len(v)))


def injections(case: Case, state: State) -> Matrix:
    """P + jQ that flows from each bus into the network."""
    phasors = state.phasors
    return np.asarray(phasors * np.conj(admittance(case) @ phasors))


def mismatches(case: Case, state: State) -> Vector:
    """What flows less what is scheduled: P at all buses but the slack's, then Q at the pq buses."""
    at, gap = places(case), injections(case, state) - scheduled(case)
    return np.concatenate([gap.real[at.others], gap.imag[at.pq]])
