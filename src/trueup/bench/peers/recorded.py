"""Peers on recorded attempts: their own code in their own Python, billed as a provider would.

Every peer is set up as its documentation says for answers that a pattern finds, and with a range of its own settings
besides those it comes with. What cannot be set up (optillm's reading of answers) is as shipped. Its functions are
called without HTTP in between. Words that a peer puts around a question are not billed, which is in its favour.
What goes by log-probabilities is run where they are on record: bestofn's `self_certainty` and zen-router's gate. Those
of optillm (`cot_decoding`, `entropy_decoding`, `deepconf`) need its own engine; its_hub and crucible-ttc have none.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trueup.bench.peers.install import ITS_HUB, OPTILLM, Peer, install
from trueup.bench.recorded import Recording
from trueup.bench.spent import VERIFIED, Spent
from trueup.core.errors import Unavailable
from trueup.core.types import Json

CHILD = Path(__file__).with_name("recorded_child.py")
FIXED, ADAPTIVE = "fixed", "adaptive"
BESTOFN = Peer("bestofn", "1.1.7", "bestofn[math]==1.1.7")
ZEN = Peer("zen-router", "0.2.0", "zen-router==0.2.0")
CRUCIBLE = Peer("crucible-ttc", "0.1.1", "crucible-ttc==0.1.1")
VOTES = (2, 4, 8, 16, 24, 32, 40)
BUDGETS = (4, 8, 16, 40)
GATES = (-0.08, -0.02)
"""zen-router's own example of a tail log-probability that suffices, and one for texts of few surprises."""


@dataclass(frozen=True, slots=True)
class Run:
    """A method of a peer with its budget and settings; those of the family `verified` see a verifier's grades.

    One that `is_told` goes by the log-probabilities of texts.
    """

    family: str
    method: str
    n: int = 0
    settings: Mapping[str, Json] = field(default_factory=dict)
    is_told: bool = False

    @property
    def label(self) -> str:
        """As a row names it."""
        words = [self.method, *([str(self.n)] if self.n else []), *(f"{k}={v}" for k, v in self.settings.items())]
        return " ".join(words)


RUNS: Mapping[Peer, Sequence[Run]] = {
    ITS_HUB: (
        *(Run(FIXED, "SelfConsistency", n) for n in VOTES),
        *(Run(ADAPTIVE, "AdaptiveSelfConsistency", n, {"threshold": t}) for t in (0.6, 0.75, 0.9) for n in BUDGETS),
        *(Run(ADAPTIVE, "BetaSelfConsistency", n, {"confidence_threshold": c}) for c in (0.8, 0.95) for n in BUDGETS),
        *(Run(VERIFIED, "BestOfN", n) for n in (4, 16)),
    ),
    OPTILLM: (
        *(Run(FIXED, "majority_voting", n) for n in VOTES),
        Run(FIXED, "self_consistency", 5),
        *(Run(VERIFIED, "bon", n) for n in (4, 16)),
    ),
    BESTOFN: (
        *(Run(FIXED, "majority", n) for n in VOTES),
        *(Run(FIXED, "self_certainty", n, is_told=True) for n in VOTES),
    ),
    ZEN: (
        *(Run(ADAPTIVE, variant) for variant in ("vote", "hybrid", "eager")),
        *(Run(ADAPTIVE, "vote", settings={"gate_tail_logprob": gate}, is_told=True) for gate in GATES),
    ),
    CRUCIBLE: tuple(Run(FIXED, "majority", n) for n in VOTES),
}


def run_peer(peer: Peer, recording: Recording, runs: Sequence[Run] = ()) -> list[Spent]:
    """A peer's runs, by default all that the recording has the figures for, on every case.

    Raises Unavailable where it is neither installed nor to be had, or does not run.
    """
    runs = runs or [run for run in RUNS[peer] if recording.tells or not run.is_told]
    python = install(peer) / "python"
    try:
        done = subprocess.run([python, "-P", CHILD], input=_job(peer, runs, recording), capture_output=True, text=True)
    except OSError as error:
        raise Unavailable(f"{peer.name} {peer.version} does not run: {error}") from error
    if done.returncode:
        raise Unavailable(f"{peer.name} {peer.version} does not run: {' '.join(done.stderr.split())[-300:]}")
    return [_spent(peer, run, rows, recording) for run, rows in zip(runs, json.loads(done.stdout), strict=True)]


def _job(peer: Peer, runs: Sequence[Run], recording: Recording) -> str:
    items = [
        {
            "id": case.problem.id,
            "prompt_tokens": case.prompt_tokens,
            "texts": [attempt.text for attempt in case.attempts],
            "tokens": [attempt.usage.completion_tokens for attempt in case.attempts],
            "logprobs": [attempt.logprob for attempt in case.attempts],
            "right": case.right,
        }
        for case in recording.cases
    ]
    told = [{"method": run.method, "n": run.n, "settings": run.settings} for run in runs]
    return json.dumps({"peer": peer.name, "pattern": recording.pattern, "runs": told, "items": items})


def _spent(peer: Peer, run: Run, rows: Sequence[Sequence[int]], recording: Recording) -> Spent:
    figures = [
        (float(chosen >= 0 and case.right[chosen]), *used)
        for (chosen, *used), case in zip(rows, recording.cases, strict=True)
    ]
    return Spent.of(f"{peer.name} {run.label}", run.family, figures)
