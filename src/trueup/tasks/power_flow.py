"""Power flow of the standard cases: `power_flow:14 model=ac lines=4 iterations=200..300`.

Cases of 3, 5, 9, 14 and 30 buses with loads, set points and impedances drawn around the published ones, so that all
limits can be kept. The dial that matters is `iterations`: how many sweeps Gauss-Seidel takes at the same size of the
text. Loads hardly move it; with `lines=4` it runs from 8 to 60 on 3 buses, and from 60 to 600 on 9.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from trueup.core.errors import BadInput
from trueup.core.numerical import AC, DC, PowerFlow
from trueup.core.power import PV, SLACK, Branch, Bus, Case, Generator, gauss_seidel, read_case
from trueup.core.types import Item
from trueup.tasks.csp.dials import Band, band, one_of, tried, within
from trueup.tasks.numerical import numerical_items, split_size

TRIES = 400
TOLERANCE, MOST_SWEEPS = 1e-6, 5_000
"""What counts as settled for the dial `iterations`, and the most that it takes."""
DROP, APART, MARGIN = 0.03, 0.01, 1e-3
"""How far below the published voltages set points are drawn at most, the slack's and those of all others; how much
further each by itself; how far from its limits a solution stays."""


def power_flow(argument: str, *, stratum: str, limit: int | None = None, seed: int = 0) -> tuple[Item, ...]:
    """The first `limit` questions (100 unless said) of a case; question i depends on the seed, the dials and i alone.

    Raises BadInput for a number of buses that has no case, or dials that no draw meets.
    """
    buses, dials = split_size("power_flow", argument, drawn_power_flow)
    return numerical_items(
        f"power_flow-{buses}", stratum, limit, seed, lambda rng: drawn_power_flow(rng, buses, **dials)
    )


def drawn_power_flow(
    rng: random.Random,
    buses: int,
    *,
    model: str = AC,
    load: float = 1.0,
    spread: float = 0.2,
    lines: float = 1.0,
    iterations: str = "",
) -> PowerFlow:
    """A case with every load `load` times the published one, give or take the share `spread`; all limits are kept.

    Every impedance is up to `lines` times larger or smaller than the published one. `iterations` is how many
    Gauss-Seidel sweeps reach a mismatch of 1e-6, as 40 or 40..80 (AC alone).
    """
    name = f"power_flow:{buses}"
    one_of(name, "model", model, (AC, DC))
    within(name, "load", load, 0.1, 2.0)
    within(name, "spread", spread, 0.0, 1.0)
    within(name, "lines", lines, 1.0, 10.0)
    wanted, case = band(name, iterations, "iterations", MOST_SWEEPS), read_case(buses)
    if iterations and model == DC:
        raise BadInput(
            f"{name} iterations is {iterations!r}, but dc is one linear system; leave it out or take model=ac"
        )
    dials = f"model={model} load={load:g} spread={spread:g} lines={lines:g}"
    dials += f" iterations={iterations}" * bool(iterations)
    return tried(name, dials, lambda: _made(PowerFlow(_drawn(rng, case, load, spread, lines), model), wanted), TRIES)


def sweeps(question: PowerFlow, most: int = MOST_SWEEPS) -> int:
    """How many Gauss-Seidel sweeps an AC question takes.

    Raises BadInput where it does not settle.
    """
    return gauss_seidel(question.case, tolerance=TOLERANCE, most=most).iterations


def _made(question: PowerFlow, wanted: Band) -> PowerFlow | None:
    """The question, if its solution keeps all limits and takes as many sweeps as are wanted."""
    try:
        values = question.solution()
        keeps = all(one.low + MARGIN <= values[one.name] <= one.high - MARGIN for one in question.unknowns)
        fits = keeps and (wanted.is_open or wanted.holds(sweeps(question, wanted.high + 1)))
    except BadInput:
        return None
    return question if fits else None


def _drawn(rng: random.Random, case: Case, load: float, spread: float, lines: float) -> Case:
    """Loads, each its own; the generators share what the loads are more or less; set voltages within their limits."""
    buses = tuple(
        replace(bus, load_p=_around(rng, bus.load_p, load, spread), load_q=_around(rng, bus.load_q, load, spread))
        for bus in case.buses
    )
    drawn = sum(bus.load_p for bus in buses) / sum(bus.load_p for bus in case.buses)
    below = {SLACK: rng.uniform(0, DROP), PV: rng.uniform(0, DROP)}
    place = case.place
    fed = tuple(_set(rng, one, buses[place[one.bus]], drawn, below) for one in case.generators)
    return replace(case, buses=buses, generators=fed, branches=tuple(_stretched(rng, b, lines) for b in case.branches))


def _around(rng: random.Random, value: float, load: float, spread: float) -> float:
    return round(value * load * rng.uniform(1 - spread, 1 + spread), 4) + 0.0


def _stretched(rng: random.Random, branch: Branch, lines: float) -> Branch:
    factor = lines ** rng.uniform(-1, 1)
    return replace(branch, r=round(branch.r * factor, 5), x=round(branch.x * factor, 5))


def _set(rng: random.Random, one: Generator, bus: Bus, drawn: float, below: Mapping[str, float]) -> Generator:
    p = one.p if bus.kind == SLACK else min(max(one.p * drawn, one.p_low), one.p_high)
    v = min(one.v, bus.v_high) - below[bus.kind] - rng.uniform(0, APART)
    return replace(one, p=round(p, 4), v=round(v, 3))
