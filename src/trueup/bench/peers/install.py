"""Peers' packages, pinned, each in an environment of its own.

They live in the folder that $TRUEUP_PEERS names, by default ~/.cache/trueup/peers, and are made by pip on first use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from trueup.core.errors import Unavailable

FOLDER_VARIABLE = "TRUEUP_PEERS"
INSTALL_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Peer:
    """A package with its version; `alone` is installed without what it asks for, `beside` is what it truly needs."""

    name: str
    version: str
    requirement: str
    alone: bool = False
    beside: tuple[str, ...] = ()


ITS_HUB = Peer("its_hub", "1.2.0", "its_hub[iaas]==1.2.0")
OPTILLM = Peer(
    "optillm",
    "0.4.0",
    "optillm==0.4.0",
    alone=True,
    beside=(
        "flask==3.1.3", "openai==3.57.0", "numpy==2.4.6", "networkx==3.6.1", "z3-solver==4.15.4.0", "sympy==1.14.0",
        "aiohttp==3.14.5", "requests==2.34.2", "cerebras_cloud_sdk==1.91.0", "math-verify==0.9.0", "PyYAML==6.0.4",
        "azure-identity==1.27.0",
    ),
)  # fmt: skip
"""As a proxy it needs none of the other two dozen packages that it asks for, torch among them."""


def peers_folder() -> Path:
    """Where the environments live."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path.home() / ".cache" / "trueup" / "peers")


def install(peer: Peer) -> Path:
    """The folder with the peer's programs; it is installed where that has not been done, by one process at a time.

    Raises Unavailable, with the end of what pip said, where it cannot be.
    """
    folder = peers_folder() / f"{peer.name}-{peer.version}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "finished").exists():
                _install(peer, folder)
    except OSError as error:
        raise _cannot(peer, error) from error
    return folder / "bin"


def _install(peer: Peer, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run(peer, [sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run(peer, [*pip, *(["--no-deps"] if peer.alone else []), peer.requirement])
    if peer.beside:
        _run(peer, [*pip, *peer.beside])
    (folder / "finished").write_text(peer.requirement + "\n")


def _run(peer: Peer, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _cannot(peer, error) from error
    if done.returncode:
        raise _cannot(peer, " ".join(done.stderr.split())[-300:])


def _cannot(peer: Peer, why: object) -> Unavailable:
    return Unavailable(f"{peer.name} {peer.version} cannot be installed: {why}; see ${FOLDER_VARIABLE}")
