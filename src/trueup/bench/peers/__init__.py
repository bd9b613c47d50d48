"""Peers beside ours: an endpoint that knows the truth, and drivers of packages in their own environments."""

from trueup.bench.peers.install import ITS_HUB, OPTILLM, Peer, install
from trueup.bench.peers.its_hub import HubRequest, ask_its_hub
from trueup.bench.peers.optillm import ask_optillm, optillm_serving
from trueup.bench.peers.told import Told
from trueup.bench.peers.truth import Served, Truth
from trueup.bench.peers.words import Recorded, Scenario

__all__ = [
    "ITS_HUB",
    "OPTILLM",
    "HubRequest",
    "Peer",
    "Recorded",
    "Scenario",
    "Served",
    "Told",
    "Truth",
    "ask_its_hub",
    "ask_optillm",
    "install",
    "optillm_serving",
]
