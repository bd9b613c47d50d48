"""The balance of power at each bus, as lines of the constraint language.

With Y = G + jB: P_i = sum_j v_i v_j (G cos a + B sin a), Q_i = sum_j v_i v_j (G sin a - B cos a), a = a_i - a_j.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trueup.core.power import SLACK, Case
from trueup.core.power.dc import dc_scheduled, dc_susceptance
from trueup.core.power.flow import admittance


def ac_lines(case: Case) -> Iterator[str]:
    """P and Q of every bus."""
    Y, fed = admittance(case), case.generator_at
    G, B = Y.real.tolist(), Y.imag.tolist()
    for i, bus in enumerate(case.buses):
        real = _flow(case, i, G[i], B[i])
        reactive = _flow(case, i, [-b for b in B[i]], G[i])
        own = fed[bus.number].p if bus.number in fed else 0.0
        p = f"p{bus.number} - {bus.load_p!r}" if bus.kind == SLACK else repr(own - bus.load_p)
        q = f"q{bus.number} - {bus.load_q!r}" if bus.number in fed else repr(0.0 - bus.load_q)
        yield f"con {real} == {p} #P at bus {bus.number}"
        yield f"con {reactive} == {q} #Q at bus {bus.number}"


def dc_lines(case: Case) -> Iterator[str]:
    """P of every bus."""
    B, wanted, slack = dc_susceptance(case).tolist(), dc_scheduled(case).tolist(), case.generator_at[case.slack]
    for i, bus in enumerate(case.buses):
        drawn = [(b, other) for b, other in zip(B[i], case.buses, strict=True) if b and other.kind != SLACK]
        real = " + ".join(f"{b!r}*a{other.number}" for b, other in drawn) or "0"
        p = f"p{bus.number} - {slack.p - wanted[i]!r}" if bus.kind == SLACK else repr(wanted[i])
        yield f"con {real} == {p} #P at bus {bus.number}"


def _flow(case: Case, i: int, by_cos: Sequence[float], by_sin: Sequence[float]) -> str:
    """v_i times the sum over the neighbours and the bus itself, which has no angle to itself."""
    here, inner = _angle(case, i), []
    for j, (even, odd) in enumerate(zip(by_cos, by_sin, strict=True)):
        if j == i:
            inner.append(f"{_voltage(case, j)}*{even!r}")
        elif even or odd:
            apart = f"{here} - {_angle(case, j)}"
            inner.append(f"{_voltage(case, j)}*({even!r}*cos({apart}) + {odd!r}*sin({apart}))")
    return f"{_voltage(case, i)}*({' + '.join(inner)})"


def _voltage(case: Case, i: int) -> str:
    """The voltage of a bus as it is written: a given one as its number."""
    bus, fed = case.buses[i], case.generator_at
    return repr(fed[bus.number].v) if bus.number in fed else f"v{bus.number}"


def _angle(case: Case, i: int) -> str:
    return "0" if case.buses[i].kind == SLACK else f"a{case.buses[i].number}"
