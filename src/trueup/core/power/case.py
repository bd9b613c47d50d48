"""A power system: buses, generators and branches, all in per unit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from trueup.core.errors import BadInput
from trueup.core.types import Json

SLACK, PV, PQ = "slack", "pv", "pq"
MOST_BUSES, MOST_BRANCHES = 118, 400
LEAST_IMPEDANCE, LARGEST = 1e-6, 1e4


@dataclass(frozen=True, slots=True)
class Bus:
    """A node: what is drawn there, what is shunted to earth, and between what its voltage may lie.

    `kind` says what is given: `slack` voltage and angle, `pv` power and voltage, `pq` both powers.
    """

    number: int
    kind: str
    load_p: float
    load_q: float
    shunt_g: float
    shunt_b: float
    v_low: float
    v_high: float


@dataclass(frozen=True, slots=True)
class Generator:
    """What is fed in at a slack or pv bus: `p` and `v` are set points, the slack's `p` counts for nothing."""

    bus: int
    p: float
    v: float
    p_low: float
    p_high: float
    q_low: float
    q_high: float


@dataclass(frozen=True, slots=True)
class Branch:
    """A line or a transformer, as a pi: series impedance, all of the charging, and the tap at its beginning."""

    start: int
    end: int
    r: float
    x: float
    b: float
    tap: float


@dataclass(frozen=True, slots=True)
class Case:
    """A power system of which the flow is asked for; `name` is how errors call it."""

    name: str = field(compare=False)
    buses: tuple[Bus, ...]
    generators: tuple[Generator, ...]
    branches: tuple[Branch, ...]

    @property
    def slack(self) -> int:
        """The number of the slack bus."""
        return next(bus.number for bus in self.buses if bus.kind == SLACK)

    @property
    def place(self) -> Mapping[int, int]:
        """Where each bus stands among the buses."""
        return {bus.number: i for i, bus in enumerate(self.buses)}

    @property
    def generator_at(self) -> Mapping[int, Generator]:
        """The generator of each slack and pv bus."""
        return {generator.bus: generator for generator in self.generators}

    def numbers(self, *kinds: str) -> tuple[int, ...]:
        """The buses of some kinds, in order."""
        return tuple(bus.number for bus in self.buses if bus.kind in kinds)


def case_of(table: Json, name: str = "") -> Case:
    """The case that rows of numbers state: `buses`, `generators` and `branches`, in the order of the fields above.

    Raises BadInput for a row that is none, a bus that is unknown, and buses without a path to the slack bus.
    """
    if not isinstance(table, dict):
        raise BadInput(f"a power system is an object with buses, generators and branches, not {type(table).__name__}")
    title = name or str(table.get("name", "the power system"))
    case = Case(
        title,
        tuple(_row(Bus, row, title) for row in _rows(table, "buses", MOST_BUSES, title)),
        tuple(_row(Generator, row, title) for row in _rows(table, "generators", MOST_BUSES, title)),
        tuple(_row(Branch, row, title) for row in _rows(table, "branches", MOST_BRANCHES, title)),
    )
    fault = next(_faults(case), None)
    if fault:
        raise BadInput(f"{title}: {fault}")
    return case


def table_of(case: Case) -> dict[str, list[list[Any]]]:
    """The rows that `case_of` reads back as the same case."""
    return {
        "buses": [list(astuple(bus)) for bus in case.buses],
        "generators": [list(astuple(generator)) for generator in case.generators],
        "branches": [list(astuple(branch)) for branch in case.branches],
    }


def _rows(table: Mapping[str, Json], key: str, most: int, title: str) -> Sequence[Json]:
    rows = table.get(key)
    if not isinstance(rows, list) or not 0 < len(rows) <= most:
        raise BadInput(f"{title}: {key} must be a list of 1 to {most} rows")
    return rows


def _row(kind: type[Any], row: Json, title: str) -> Any:
    """A row as what it describes: whole numbers and words as they are, everything else a finite number."""
    fields = list(kind.__dataclass_fields__.values())
    if not isinstance(row, list) or len(row) != len(fields):
        wanted = ", ".join(field.name for field in fields)
        raise BadInput(f"{title}: {str(row)[:60]} is no {kind.__name__.lower()}; write [{wanted}]")
    return kind(
        *(_value(field.type, value, f"{title}: {field.name}") for field, value in zip(fields, row, strict=True))
    )


def _value(kind: str, value: Json, where: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
    match kind:
        case "str":
            fits, wanted = value in (SLACK, PV, PQ), f"{SLACK}, {PV} or {PQ}"
        case "int":
            fits, wanted = is_number and isinstance(value, int) and value > 0, f"a whole number from 1 to {LARGEST:g}"
        case _:
            fits, wanted = is_number, f"a number up to {LARGEST:g}"
    if not fits:
        raise BadInput(f"{where} is {str(value)[:40]!r}; it takes {wanted}")
    return float(value) if kind == "float" else value


def _faults(case: Case) -> Iterator[str]:
    twice = [number for number, times in Counter(bus.number for bus in case.buses).items() if times > 1]
    if twice:
        yield f"bus {twice[0]} is there twice; give every bus a number of its own"
    slacks = case.numbers(SLACK)
    if len(slacks) != 1:
        yield f"there are {len(slacks)} slack buses; make it one"
    fed, wanted = [one.bus for one in case.generators], case.numbers(SLACK, PV)
    if sorted(fed) != sorted(wanted):
        wrong = sorted(set(fed) ^ set(wanted)) or [bus for bus, times in Counter(fed).items() if times > 1]
        yield f"bus {wrong[0]}: slack and pv buses have one generator each, and pq buses none"
    known = case.place
    for branch in case.branches:
        label = f"branch {branch.start}-{branch.end}"
        if branch.start not in known or branch.end not in known or branch.start == branch.end:
            yield f"{label} does not join two buses of the system"
        if math.hypot(branch.r, branch.x) < LEAST_IMPEDANCE or branch.tap <= 0:
            yield f"{label} needs an impedance above {LEAST_IMPEDANCE:g} and a tap above 0; merge its buses instead"
    island = sorted(set(known) - _reached(case))
    if island:
        yield f"bus {island[0]} has no path to the slack bus {slacks[0]}; join it by a branch or leave it out"
    yield from _crossed(case)


def _crossed(case: Case) -> Iterator[str]:
    for bus in case.buses:
        if not 0 < bus.v_low < bus.v_high:
            yield f"bus {bus.number} may have voltages from {bus.v_low:g} to {bus.v_high:g}; give 0 < lowest < highest"
    for one in case.generators:
        if not (one.p_low < one.p_high and one.q_low < one.q_high and one.v > 0):
            yield f"the generator at bus {one.bus} needs lowest below highest limits and a voltage above 0"


def _reached(case: Case) -> set[int]:
    """The buses with a path to the slack bus."""
    neighbours: dict[int, list[int]] = {bus.number: [] for bus in case.buses}
    for branch in case.branches:
        neighbours[branch.start].append(branch.end)
        neighbours[branch.end].append(branch.start)
    found, waiting = {case.slack}, [case.slack]
    while waiting:
        for number in neighbours[waiting.pop()]:
            if number not in found:
                found.add(number)
                waiting.append(number)
    return found
