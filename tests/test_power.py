"""Power flow: closed forms, textbook values, two references that agree, faults told in one line."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from trueup.core.errors import BadInput
from trueup.core.power import (
    CASES,
    State,
    case_of,
    dc_flow,
    gauss_seidel,
    injections,
    mismatches,
    newton,
    read_case,
    table_of,
)
from trueup.core.power.flow import admittance, places
from trueup.core.power.newton import jacobian

EVERY_CASE = pytest.mark.parametrize("buses", CASES)
REFERENCES = pytest.mark.parametrize("reference", [newton, gauss_seidel])


def two_buses(*, x=0.2, load=0.5, kind="pv"):
    """A slack bus and one that draws `load` over a reactance, its voltage held at 1."""
    return {
        "name": "two",
        "buses": [[1, "slack", 0.0, 0.0, 0.0, 0.0, 0.9, 1.1], [2, kind, load, 0.0, 0.0, 0.0, 0.9, 1.1]],
        "generators": [[1, 0.0, 1.0, -9.0, 9.0, -9.0, 9.0]] + [[2, 0.0, 1.0, -9.0, 9.0, -9.0, 9.0]] * (kind == "pv"),
        "branches": [[1, 2, 0.0, x, 0.0, 1.0]],
    }


def saadat():
    """Saadat 1999, example 6.7, whose solution is exact: V2 = 0.98 - 0.06j, V3 = 1 - 0.05j."""
    case = read_case(3)
    loads = {1: (0.0, 0.0), 2: (2.566, 1.102), 3: (1.386, 0.452)}
    buses = tuple(
        replace(
            bus, kind="slack" if bus.number == 1 else "pq", load_p=loads[bus.number][0], load_q=loads[bus.number][1]
        )
        for bus in case.buses
    )
    return replace(case, buses=buses, generators=case.generators[:1])


# closed forms


@REFERENCES
def test_a_lossless_line_carries_the_sine_of_its_angle(reference):
    state = reference(case_of(two_buses(x=0.2, load=0.5))).state
    assert state.angle[1] == pytest.approx(-np.arcsin(0.1), abs=1e-10)


@REFERENCES
def test_a_load_over_a_reactance_takes_the_upper_root_of_its_voltage(reference):
    state = reference(case_of(two_buses(x=0.2, load=0.5, kind="pq"))).state
    assert state.v[1] ** 2 == pytest.approx((1 + np.sqrt(1 - 4 * 0.1**2)) / 2, abs=1e-9)


def test_dc_angles_are_power_times_reactance():
    assert dc_flow(case_of(two_buses(x=0.2, load=0.5))).angle == pytest.approx([0.0, -0.1])


@REFERENCES
def test_the_textbook_example_comes_out_exactly(reference):
    state = reference(saadat()).state
    np.testing.assert_allclose(state.phasors, [1.05, 0.98 - 0.06j, 1.0 - 0.05j], atol=1e-9)
    assert injections(saadat(), state)[0] == pytest.approx(4.095 + 1.89j, abs=1e-8)


def test_the_three_bus_case_has_its_textbook_solution():
    state = newton(read_case(3)).state
    assert state.v[1] == pytest.approx(0.97168, abs=1e-5)
    assert np.degrees(state.angle[2]) == pytest.approx(-0.4988, abs=1e-4)
    assert injections(read_case(3), state)[[0, 2]] == pytest.approx([2.1842 + 1.4085j, 2.0 + 1.4618j], abs=1e-4)


def test_a_tap_stands_at_the_beginning_of_its_branch():
    table = two_buses(x=0.5)
    table["branches"] = [[1, 2, 0.0, 0.5, 0.2, 0.8]]
    y = 1 / 0.5j
    expected = [[(y + 0.1j) / 0.64, -y / 0.8], [-y / 0.8, y + 0.1j]]
    np.testing.assert_allclose(admittance(case_of(table)), expected, atol=1e-12)


# the references


@EVERY_CASE
def test_both_references_agree(buses):
    case = read_case(buses)
    np.testing.assert_allclose(newton(case).state.phasors, gauss_seidel(case).state.phasors, atol=1e-8)


@EVERY_CASE
def test_newton_converges_quadratically(buses):
    errors = [error for error in newton(read_case(buses), tolerance=1e-7).errors if error < 0.5]
    first, second, third = np.log(errors[-3:])
    assert (third - second) / (second - first) > 1.8


@EVERY_CASE
def test_gauss_seidel_converges_linearly(buses):
    way = gauss_seidel(read_case(buses), tolerance=1e-9)
    rates = np.diff(np.log(way.errors[-8:]))
    assert (rates < 0).all()
    assert np.ptp(rates) < 0.05 * abs(rates.mean())


def test_more_buses_take_more_sweeps_but_no_more_newton_steps():
    ways = [gauss_seidel(read_case(buses), tolerance=1e-6).iterations for buses in CASES]
    assert ways == sorted(ways) == [15, 48, 136, 179, 458]
    assert max(newton(read_case(buses)).iterations for buses in CASES) <= 4


def test_acceleration_saves_sweeps():
    assert gauss_seidel(read_case(14), acceleration=1.6).iterations < gauss_seidel(read_case(14)).iterations / 2


def test_a_way_holds_every_state_and_its_mismatch():
    case = read_case(9)
    for way in (newton(case), gauss_seidel(case, tolerance=1e-3)):
        assert len(way.path) == len(way.errors) == way.iterations + 1
        found = [float(np.abs(mismatches(case, state)).max()) for state in way.path]
        np.testing.assert_allclose(way.errors, found, rtol=1e-9, atol=1e-12)


def test_the_jacobian_is_what_differences_say():
    case = read_case(14)
    at, state, step = places(case), newton(case, tolerance=0.5).state, 1e-6
    slopes = jacobian(admittance(case), state, at)
    for column, (part, bus) in enumerate([("angle", i) for i in at.others] + [("v", i) for i in at.pq]):
        sides = []
        for sign in (1, -1):
            moved = {"v": state.v.copy(), "angle": state.angle.copy()}
            moved[part][bus] += sign * step
            sides.append(mismatches(case, State(moved["v"], moved["angle"])))
        np.testing.assert_allclose(slopes[:, column], (sides[0] - sides[1]) / (2 * step), atol=1e-7)


# the cases


@EVERY_CASE
def test_a_case_names_its_source_and_survives_a_trip_through_rows(buses):
    text = (files("trueup.core.power") / "data" / f"{buses}.toml").read_text(encoding="utf-8")
    case = read_case(buses)
    assert len(tomllib.loads(text)["source"]) > 40
    assert len(case.buses) == buses
    assert case_of(table_of(case)) == case


def changed(key, place, row):
    table = two_buses()
    table[key][place] = row
    return table


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], "is an object with buses"),
        ({"buses": []}, "two: buses must be a list of 1"),
        (changed("buses", 1, [2, "pq"]), "is no bus; write"),
        (changed("buses", 1, [2, "load", 0, 0, 0, 0, 0.9, 1.1]), "it takes slack, pv or pq"),
        (changed("buses", 1, [2.5, "pq", 0, 0, 0, 0, 0.9, 1.1]), "it takes a whole number"),
        (changed("buses", 1, [2, "pv", float("nan"), 0, 0, 0, 0.9, 1.1]), "load_p is 'nan'; it takes a number"),
        (changed("buses", 1, [2, "pv", True, 0, 0, 0, 0.9, 1.1]), "load_p is 'True'"),
        (changed("buses", 1, [1, "pv", 0, 0, 0, 0, 0.9, 1.1]), "bus 1 is there twice"),
        (changed("buses", 1, [2, "slack", 0, 0, 0, 0, 0.9, 1.1]), "there are 2 slack buses"),
        (changed("buses", 1, [2, "pq", 0, 0, 0, 0, 0.9, 1.1]), "bus 2: slack and pv buses have one generator each"),
        (changed("buses", 1, [2, "pv", 0, 0, 0, 0, 1.1, 0.9]), "give 0 < lowest < highest"),
        (changed("generators", 1, [2, 0, 1, 5, -5, -9, 9]), "needs lowest below highest limits"),
        (changed("branches", 0, [1, 3, 0, 0.2, 0, 1]), "branch 1-3 does not join two buses"),
        (changed("branches", 0, [1, 2, 0, 0, 0, 1]), "branch 1-2 needs an impedance"),
        (changed("branches", 0, [1, 2, 0, 0.1, 0, 0]), "and a tap above 0"),
        (
            two_buses() | {"buses": [*two_buses()["buses"], [3, "pq", 0, 0, 0, 0, 0.9, 1.1]]},
            "bus 3 has no path to the slack",
        ),
    ],
)
def test_a_system_that_makes_no_sense_is_refused_in_one_line(table, words):
    with pytest.raises(BadInput) as caught:
        case_of(table, "two" if isinstance(table, dict) else "")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@REFERENCES
def test_a_load_beyond_what_the_line_carries_does_not_converge(reference):
    with pytest.raises(BadInput, match=r"two: .* mismatch of .*; lower the loads"):
        reference(case_of(two_buses(load=6.0)), most=25)


def test_reactances_that_cancel_have_no_angles():
    table = two_buses()
    table["branches"] = [[1, 2, 0.0, 0.2, 0.0, 1.0], [1, 2, 0.0, -0.2, 0.0, 1.0]]
    with pytest.raises(BadInput, match="the reactances cancel"):
        dc_flow(case_of(table))


def test_a_branch_without_reactance_has_no_dc_flow():
    with pytest.raises(BadInput, match="branch 1-2 has no reactance, which dc needs; use ac"):
        dc_flow(case_of(changed("branches", 0, [1, 2, 0.1, 0.0, 0.0, 1.0])))


def test_a_case_that_there_is_not_is_named():
    with pytest.raises(BadInput, match="no power system of 7 buses; known: 3, 5, 9, 14, 30"):
        read_case(7)
