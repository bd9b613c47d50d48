"""What a claim came to: its criterion, fixed before the run, and the numbers."""

from __future__ import annotations

import datetime
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar

from trueup.claims.pieces import Pieces
from trueup.claims.published import beside
from trueup.core.errors import BadInput
from trueup.core.files import make_writable, write_bytes_whole, write_whole
from trueup.core.types import Json
from trueup.core.versions import machine, versions

SCALES = ("smoke", "cpu", "gpu")
S = TypeVar("S")
MEND = "choose another folder for --save"
REPRODUCED, REFUTED, INCONCLUSIVE = "reproduced", "refuted", "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`verdict` is reproduced, refuted or inconclusive by `criterion`; `arms` hold the figures, each with its n.

    `seconds` and `cpu_seconds` are what it took in all sittings, None where nobody looked; with `untimed_parts`, whose
    time is not known, that and more. `size` is how large the laboratory was, `jobs` how many processes shared the work.
    """

    claim: str
    scale: str
    verdict: str
    criterion: str
    n: int
    seeds: Sequence[int]
    arms: Sequence[Mapping[str, Json]]
    notes: Sequence[str] = ()
    date: str = field(default_factory=lambda: datetime.date.today().isoformat())
    machine: Mapping[str, Json] = field(default_factory=machine)
    versions: Mapping[str, str] = field(default_factory=versions)
    seconds: float | None = None
    cpu_seconds: float | None = None
    untimed_parts: int = 0
    size: str = ""
    jobs: int = 1

    @classmethod
    def of_json(cls, table: Mapping[str, Json]) -> Verdict:
        """A verdict of what `text` made of it, also by an older version."""
        return cls(**{one.name: table[one.name] for one in fields(cls) if one.name in table})

    def text(self) -> str:
        """This verdict as JSON, with what the papers report."""
        first = f" --seed {self.seeds[0]}" if self.seeds and self.seeds[0] else ""
        shared = f" --jobs {self.jobs}" if self.jobs > 1 else ""
        command = f"trueup claims run {self.claim} --scale {self.scale}{first}{shared}"
        table = {**asdict(self), "published": beside(self.claim, self.arms), "command": command}
        return json.dumps(table, indent=1) + "\n"

    def timed(self, pieces: Pieces) -> Verdict:
        """The same verdict with the time that its parts took, and of how many processes."""
        took = pieces.took()
        return replace(
            self, seconds=round(took.seconds, 1), cpu_seconds=round(took.cpu_seconds, 1), jobs=took.jobs,
            untimed_parts=pieces.untimed,
        )  # fmt: skip

    def save(self, folder: Path) -> Path:
        """Write it to NAME/SCALE.json in a folder, whole or not at all.

        Raises BadInput where it cannot be written.
        """
        path = place_in(folder, self.claim) / f"{self.scale}.json"
        write_whole(path, self.text(), MEND)
        return path


def save_rows(folder: Path, verdict: Verdict, pieces: Pieces) -> Path:
    """Write what a verdict was reached by, part by part, to NAME/SCALE.rows.json.gz; the same parts, the same bytes.

    Raises BadInput where it cannot be written.
    """
    path = place_in(folder, verdict.claim) / f"{verdict.scale}.rows.json.gz"
    write_bytes_whole(path, gzip.compress(json.dumps(pieces.rows()).encode(), mtime=0), MEND)
    return path


def place_in(folder: Path, claim: str) -> Path:
    """Where in a folder a claim's verdicts are kept, made if need be.

    Raises BadInput where nothing can be written there.
    """
    place = folder / claim
    make_writable(place, MEND)
    return place


def size_of(claim: str, scale: str, sizes: Mapping[str, S]) -> S:
    """How large a claim is at a scale.

    Raises BadInput for a scale that the claim has none of.
    """
    if scale not in sizes:
        raise BadInput(f"claim {claim!r} has no scale {scale!r}; it has {', '.join(sizes)}")
    return sizes[scale]
