"""its_hub as shipped: its library, driven in its own Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trueup.bench.peers.told import Told
from trueup.core.errors import Unavailable

CHILD = Path(__file__).with_name("its_hub_child.py")
SECONDS = 300


@dataclass(frozen=True, slots=True)
class HubRequest:
    """A question for one of its algorithms, by the class's name; `BestOfN` has its own LLMJudge as a judge."""

    algorithm: str
    budget: int
    endpoint: str
    model: str
    question: str


def ask_its_hub(programs: Path, requests: Sequence[HubRequest]) -> list[Told]:
    """The requests one after another; what its GenerationUsage tells of each.

    Raises Unavailable where its Python cannot run them.
    """
    command = [str(programs / "python"), "-I", str(CHILD)]
    job = json.dumps([asdict(request) for request in requests])
    try:
        done = subprocess.run(command, input=job, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"its_hub does not run: {error}") from error
    if done.returncode:
        raise Unavailable(f"its_hub does not run: {' '.join(done.stderr.split())[-300:]}")
    return [Told(**row) for row in json.loads(done.stdout)]
