"""The flow of a power system, as a question: which voltages carry these loads?

The unknowns are as many as the equations: angles at all buses but the slack's, voltages at pq buses, P of the slack's
generator, Q of all generators; the balance of P and of Q at every bus. In the DC model P alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueup.core.errors import BadInput
from trueup.core.numerical.balance import ac_lines, dc_lines
from trueup.core.numerical.question import Residuals, Unknown, Values, declared, rows_in
from trueup.core.power import PQ, PV, SLACK, Case, State, case_of, dc_flow, injections, newton, table_of
from trueup.core.power.dc import dc_scheduled, dc_susceptance
from trueup.core.power.flow import scheduled
from trueup.core.types import Json

MODELS = AC, DC = ("ac", "dc")
MOST_DEGREES = 60
HEAD = re.compile(r"Find the (AC|DC) power flow of this system of \d+ buses\.")
COLUMNS = """Each row reads
- buses: bus, kind, load P, load Q, shunt G, shunt B, lowest v, highest v
- generators: bus, P, v, lowest P, highest P, lowest Q, highest Q
- branches: from, to, r, x, charging b, tap"""
PHYSICS = {
    AC: "The slack bus holds its v at angle 0 and its P is asked for, a pv bus holds its P and v, a pq bus feeds "
    "nothing in. A branch is a pi with half of b at each end and its tap at `from`.",
    DC: "All v are 1, a branch carries (angle at `from` - angle at `to`) / (x tap), angles in radians, and a shunt "
    "draws its G. The slack bus has angle 0 and its P is asked for, a pv bus holds its P.",
}
KEYS = {"a": "angle_deg", "v": "v", "p": "p", "q": "q"}
"""What an answer calls the unknowns of each first letter."""
WORDS = {"a": "angle_deg between -60 and 60", "v": "v", "p": "p", "q": "q"}


@dataclass(frozen=True, slots=True)
class PowerFlow:
    """Asks for the power flow of a case in the AC or the DC model."""

    case: Case
    model: str = AC

    @property
    def unknowns(self) -> Sequence[Unknown]:
        """Angles in radians, voltages, real and reactive power, each of the buses where it is asked for."""
        widest, fed = math.radians(MOST_DEGREES), self.case.generator_at
        slack = fed[self.case.slack]
        angles = [Unknown(f"a{n}", -widest, widest) for n in self.case.numbers(PV, PQ)]
        real = [Unknown(f"p{slack.bus}", slack.p_low, slack.p_high)]
        if self.model == DC:
            return (*angles, *real)
        volts = [Unknown(f"v{bus.number}", bus.v_low, bus.v_high) for bus in self.case.buses if bus.kind == PQ]
        reactive = [Unknown(f"q{n}", fed[n].q_low, fed[n].q_high) for n in self.case.numbers(SLACK, PV)]
        return (*angles, *volts, *real, *reactive)

    def statement(self) -> str:
        """The rows of the case, what they mean, and which numbers are asked for."""
        blocks = [
            f'"{part}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
            for part, rows in table_of(self.case).items()
        ]
        asked = "; ".join(f"{WORDS[letter]} of {', '.join(buses)}" for letter, buses in self._asked().items())
        shape = json.dumps({KEYS[letter]: {buses[0]: 0.0} for letter, buses in self._asked().items()})
        return (
            f"Find the {self.model.upper()} power flow of this system of {len(self.case.buses)} buses. Powers, "
            f"voltages and impedances are in per unit. {PHYSICS[self.model]}\n\n{COLUMNS}\n\n"
            "```json\n{" + ",\n".join(blocks) + "}\n```\n\n"
            f"Find, within the limits of the rows, for these buses: {asked}.\n"
            f"Answer with JSON alone, numbers to six decimals by bus, as {shape}."
        )

    def constraints(self) -> str:
        """The unknowns within their bounds, and the balance of power at each bus."""
        return "\n".join([*declared(self.unknowns), *(dc_lines if self.model == DC else ac_lines)(self.case)])

    def answer(self, values: Values) -> str:
        """The numbers by kind and bus, angles in degrees."""
        said: dict[str, dict[str, float]] = {}
        for one in self.unknowns:
            value = math.degrees(values[one.name]) if one.name[0] == "a" else values[one.name]
            said.setdefault(KEYS[one.name[0]], {})[one.name[1:]] = round(value, 6) + 0.0
        return json.dumps(said)

    def values(self, answer: str) -> Values | None:
        """Each unknown, angles in radians."""
        said, found = json.loads(answer), {}
        for one in self.unknowns:
            of_kind = said.get(KEYS[one.name[0]])
            value = of_kind.get(one.name[1:]) if isinstance(of_kind, dict) else None
            if value is None:
                return None
            found[one.name] = math.radians(value) if one.name[0] == "a" else value
        return found

    def residuals(self, values: Values) -> Residuals:
        """The balance of power at each bus, and how far each number is beyond its bounds."""
        state, case = self._state(values), self._dispatched(values)
        if self.model == DC:
            equations = (dc_susceptance(case) @ state.angle - dc_scheduled(case)).tolist()
        else:
            reactive = np.array([values.get(f"q{bus.number}", 0.0) for bus in case.buses])
            gap = injections(case, state) - scheduled(case) - 1j * reactive
            equations = [*gap.real.tolist(), *gap.imag.tolist()]
        return Residuals(tuple(equations), tuple(one.outside(values[one.name]) for one in self.unknowns))

    def solution(self) -> Values:
        """The unknowns by the reference: one linear system, or Newton's method.

        Raises BadInput where it finds none.
        """
        state = dc_flow(self.case) if self.model == DC else newton(self.case).state
        return self.values_at(state)

    def values_at(self, state: State) -> Values:
        """The unknowns at the voltages of all buses."""
        case, place = self.case, self.case.place
        if self.model == DC:
            idle = replace(case, generators=tuple(replace(one, p=0.0) for one in case.generators))
            out = dc_susceptance(case) @ state.angle - dc_scheduled(idle) + 0j
        else:
            out = injections(case, state) + np.array([complex(bus.load_p, bus.load_q) for bus in case.buses])
        kinds = {"a": state.angle, "v": state.v, "p": out.real, "q": out.imag}
        return {one.name: float(kinds[one.name[0]][place[int(one.name[1:])]]) for one in self.unknowns}

    def schema(self) -> Json:
        """An object of numbers by bus under each key."""
        parts = {
            KEYS[letter]: _strict({bus: {"type": "number"} for bus in buses}) for letter, buses in self._asked().items()
        }
        return _strict(parts)

    def _asked(self) -> dict[str, list[str]]:
        """The buses of the unknowns, by the first letter."""
        found: dict[str, list[str]] = {}
        for one in self.unknowns:
            found.setdefault(one.name[0], []).append(one.name[1:])
        return found

    def _state(self, values: Values) -> State:
        """Voltages as far as they are given, the others as the values say."""
        fed = self.case.generator_at
        held = {number: 1.0 if self.model == DC else generator.v for number, generator in fed.items()}
        numbers = [bus.number for bus in self.case.buses]
        v = [held.get(number, values.get(f"v{number}", 1.0)) for number in numbers]
        return State(np.array(v), np.array([values.get(f"a{number}", 0.0) for number in numbers]))

    def _dispatched(self, values: Values) -> Case:
        """The case with the slack's generator as the values say."""
        slack = self.case.slack
        fed = (replace(one, p=values[f"p{slack}"]) if one.bus == slack else one for one in self.case.generators)
        return replace(self.case, generators=tuple(fed))


def stated_power_flow(text: str) -> PowerFlow | None:
    """The last such question that a text states; None where there is none, or one that makes no sense."""
    heads = list(HEAD.finditer(text))
    rows = rows_in(text[heads[-1].end() :]) if heads else None
    try:
        question = PowerFlow(case_of(rows), heads[-1][1].lower()) if heads else None
        if question is not None and question.model == DC:
            dc_susceptance(question.case)
    except BadInput:
        return None
    return question


def _strict(parts: dict[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
