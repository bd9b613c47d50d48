"""Other solvers of constraint puzzles, each driven in its own Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueup.bench.peers.install import Peer
from trueup.bench.peers.puzzle_form import Form
from trueup.core.errors import Unavailable

LIMIT_SECONDS = 10.0
START_SECONDS = 60.0
PATIENCE = 2
"""Problems in a row that may take too long before the rest of a family is left out."""


@dataclass(frozen=True, slots=True)
class PuzzlePeer:
    """A package, the program that drives it, and whether it can be given something to optimise."""

    peer: Peer
    child: str
    optimises: bool


PUZZLE_PEERS = (
    PuzzlePeer(
        Peer("python-constraint2", "2.9.0", "python-constraint2==2.9.0"), "python_constraint_child.py", optimises=False
    ),
    PuzzlePeer(Peer("chuk-mcp-solver", "0.5.2", "chuk-mcp-solver==0.5.2"), "chuk_solver_child.py", optimises=True),
)


@dataclass(frozen=True, slots=True)
class PeerSolution:
    """What a peer found, None where it found nothing in time, and how long it took."""

    values: dict[str, int] | None
    seconds: float


def ask_puzzle_peer(peer: PuzzlePeer, programs: Path, forms: Sequence[Form]) -> list[PeerSolution]:
    """The puzzles one after another, each within the limit; fewer come back where it is too slow for them.

    Raises Unavailable where its Python cannot run them.
    """
    found: list[PeerSolution] = []
    late = 0
    while len(found) < len(forms) and late < PATIENCE:
        told = _run(peer, programs, forms[len(found) :])
        late = late if not told else 0
        found += told
        if len(found) < len(forms):
            found.append(PeerSolution(None, LIMIT_SECONDS))
            late += 1
    return found


def _run(peer: PuzzlePeer, programs: Path, forms: Sequence[Form]) -> list[PeerSolution]:
    command = [str(programs / "python"), "-I", str(Path(__file__).with_name(peer.child))]
    job = json.dumps({"forms": list(forms), "limit_seconds": LIMIT_SECONDS})
    seconds = START_SECONDS + (LIMIT_SECONDS + 1) * len(forms)
    try:
        done = subprocess.run(command, input=job, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{peer.peer.name} does not run: {error}") from error
    if done.returncode > 0:  # below 0 it was killed by its own alarm
        raise Unavailable(f"{peer.peer.name} does not run: {' '.join(done.stderr.split())[-300:]}")
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return [PeerSolution(row["values"], row["seconds"]) for row in rows]
