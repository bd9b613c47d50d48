"""Parts of a claim that are done, on disk, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from trueup import __version__
from trueup.core.errors import BadInput
from trueup.core.types import Json

Watch = Callable[[str, float], None]
"""Told of every part: its name, and the seconds that it took (0 where it was done before)."""
ABOUT = "about.json"


class Pieces:
    """The parts of one claim at one scale, a JSON file each."""

    def __init__(self, folder: Path, about: Json, watch: Watch = lambda name, seconds: None) -> None:
        """Open or make a folder of parts; `about` is all that their values depend on.

        Raises BadInput where the folder holds parts of something else, or cannot be written.
        """
        self.folder, self._watch = folder, watch
        about = json.loads(json.dumps({"trueup": __version__, "about": about}))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept = folder / ABOUT
            if not kept.exists():
                _write(kept, about)
            elif json.loads(kept.read_text()) != about:
                raise BadInput(f"{str(folder)!r} holds parts of another run; remove it or choose another --out")
        except (OSError, ValueError) as error:
            raise BadInput(f"cannot use {str(folder)!r}: {error}; choose another --out") from error

    def get(self, name: str, make: Callable[[], Json]) -> Json:
        """The part of this name, made unless it was before."""
        path = self.folder / f"{name}.json"
        started = time.perf_counter()
        is_new = not path.exists()
        if is_new:
            _write(path, make())
        self._watch(name, time.perf_counter() - started if is_new else 0.0)
        return json.loads(path.read_text())

    def file(self, name: str) -> Path:
        """Where a part may keep something of its own, such as a checkpoint."""
        return self.folder / name


def _write(path: Path, value: Json) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(value) + "\n")
    partial.replace(path)
