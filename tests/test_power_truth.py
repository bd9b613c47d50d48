"""The standard cases against pandapower, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from trueup.core.power import dc_flow, gauss_seidel, newton, read_case

NAMES = {5: "case5", 9: "case9", 14: "case14", 30: "case_ieee30"}
pytestmark = pytest.mark.filterwarnings("ignore")


def published(buses):
    """Their network, with the set voltages of our case: releases differ in those."""
    networks = pytest.importorskip("pandapower.networks")
    net, fed = getattr(networks, NAMES[buses])(), read_case(buses).generator_at
    for table in (net.gen, net.ext_grid):
        table["vm_pu"] = [fed[bus + 1].v for bus in table.bus]
    return net


def built(case):
    """A network of theirs, bus by bus, from a case of lines alone."""
    pandapower = pytest.importorskip("pandapower")
    net = pandapower.create_empty_network(sn_mva=100)
    at = {bus.number: pandapower.create_bus(net, vn_kv=1.0) for bus in case.buses}
    for bus in case.buses:
        pandapower.create_load(net, at[bus.number], 100 * bus.load_p, 100 * bus.load_q)
    for one in case.generators:
        if one.bus == case.slack:
            pandapower.create_ext_grid(net, at[one.bus], vm_pu=one.v)
        else:
            pandapower.create_gen(net, at[one.bus], 100 * one.p, vm_pu=one.v)
    for line in case.branches:
        pandapower.create_line_from_parameters(
            net, at[line.start], at[line.end], 1.0, line.r / 100, line.x / 100, 0.0, max_i_ka=1e6
        )
    return net


def network(buses):
    return built(read_case(3)) if buses == 3 else published(buses)


@pytest.mark.parametrize("buses", [3, 5, 9, 14, 30])
@pytest.mark.parametrize("reference", [newton, gauss_seidel])
def test_ac_voltages_are_pandapowers(buses, reference):
    pandapower = pytest.importorskip("pandapower")
    net = network(buses)
    pandapower.runpp(net, tolerance_mva=1e-9, init="flat", numba=False)
    state = reference(read_case(buses)).state
    np.testing.assert_allclose(state.v, net.res_bus.vm_pu, atol=1e-6)
    np.testing.assert_allclose(state.angle, np.radians(net.res_bus.va_degree), atol=1e-6)


@pytest.mark.parametrize("buses", [3, 5, 9, 14, 30])
def test_dc_angles_are_pandapowers(buses):
    pandapower = pytest.importorskip("pandapower")
    net = network(buses)
    pandapower.rundcpp(net, numba=False)
    np.testing.assert_allclose(dc_flow(read_case(buses)).angle, np.radians(net.res_bus.va_degree), atol=1e-6)
