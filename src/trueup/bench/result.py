"""The shape of a benchmark's result, and where it is kept."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trueup.core.types import Json
from trueup.core.versions import machine, versions


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
    def now(cls, name: str, results: Sequence[Mapping[str, Json]]) -> Result:
        """A result of today, on this machine."""
        today = datetime.date.today().isoformat()
        return cls(name, f"trueup bench {name}", today, machine(), versions(), results)

    def text(self) -> str:
        """This result as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def save(self, folder: Path) -> Path:
        """Write it to NAME.json in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(self.text())
        return path
