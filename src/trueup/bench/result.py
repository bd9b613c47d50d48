"""The shape of a benchmark's result, and where it is kept."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trueup.core.files import write_whole
from trueup.core.types import Json
from trueup.core.versions import machine, versions

MEND = "choose another --save"


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a benchmark: rows of raw figures with units in their names, and ratios of the same run."""

    name: str
    command: str
    date: str
    machine: Mapping[str, Json]
    versions: Mapping[str, str]
    results: Sequence[Mapping[str, Json]]

    @classmethod
    def now(cls, name: str, results: Sequence[Mapping[str, Json]], options: Sequence[str] = ()) -> Result:
        """A result of today, on this machine, by the command with these options."""
        today = datetime.date.today().isoformat()
        return cls(name, shlex.join(["trueup", "bench", name, *options]), today, machine(), versions(), results)

    def text(self) -> str:
        """This result as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def save(self, folder: Path) -> Path:
        """Write it to NAME.json in a folder, whole or not at all; BadInput where it cannot be written."""
        path = folder / f"{self.name}.json"
        write_whole(path, self.text(), MEND)
        return path
