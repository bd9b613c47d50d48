"""Parts of a claim that are done, on disk, so that a killed run goes on where it was.

Several processes may be at one claim: each begins elsewhere, a part is made by one of them, and whoever needs it
meanwhile waits.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from trueup import __version__
from trueup.core.errors import BadInput
from trueup.core.types import Json
from trueup.train.meter import ByKind, Work, metered

K = TypeVar("K")
T = TypeVar("T")
Watch = Callable[[str, float], None]
"""Told of every part: its name, and the seconds that it took (0 where it was done before)."""
ABOUT, TOOK, SPENT = "about.json", "took", "spent"


@dataclass(frozen=True, slots=True)
class Took:
    """Time of the wall and of the CPUs, child processes that have ended included, and how many shared the work."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    jobs: int = 1

    def __add__(self, other: Took) -> Took:
        most = max(self.jobs, other.jobs)
        return Took(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds, most)

    def __sub__(self, other: Took) -> Took:
        return Took(self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds, self.jobs)


class Pieces:
    """The parts of one claim at one scale, a JSON file each."""

    def __init__(
        self, folder: Path, about: Json, watch: Watch = lambda name, seconds: None, *, turn: int = 0, jobs: int = 1
    ) -> None:
        """Open or make a folder of parts; `about` is all that their values depend on.

        This is process `turn` of so many `jobs`. Raises BadInput where the folder holds parts of something else, or
        cannot be written.
        """
        self.folder, self._watch, self._turn, self._jobs = folder, watch, turn, jobs
        self._began, self._inside, self._untimed = _now(), Took(), set[str]()
        about = json.loads(json.dumps({"trueup": __version__, "about": about}))
        self.about = json.dumps(about, sort_keys=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            kept = folder / ABOUT
            if not kept.exists():
                _write(kept, about)
            elif json.loads(kept.read_text()) != about:
                raise BadInput(
                    f"{str(folder)!r} holds parts of another run; remove it or choose another --out ({ABOUT} in it "
                    f"says of which)"
                )
        except (OSError, ValueError) as error:
            raise BadInput(f"cannot use {str(folder)!r}: {error}; choose another --out") from error

    def get(self, name: str, make: Callable[[], Json]) -> Json:
        """The part of this name, made unless it was before.

        Raises BadInput where its file is damaged.
        """
        path, seconds = self.folder / f"{name}.json", 0.0
        if not path.exists():
            with self._alone(name):
                seconds = self._made(name, path, make)
        elif _read(self._time_of(name)) is None:
            self._untimed.add(name)
        self._watch(name, seconds)
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise BadInput(
                f"{str(path)!r} is damaged ({error}); delete it and run again, which makes it anew"
            ) from None

    def over(self, keys: Sequence[K], one: Callable[[K], T]) -> list[T]:
        """What comes of each key, in their order; every process at this claim begins with another."""
        first = self._turn * len(keys) // self._jobs
        found = {place % len(keys): one(keys[place % len(keys)]) for place in range(first, first + len(keys))}
        return [found[place] for place in range(len(keys))]

    def took(self) -> Took:
        """What the parts took, in all sittings and processes, and what this one took between them."""
        parts = (_read(path) for path in self.folder.glob(f"*.{TOOK}"))
        return sum(filter(None, parts), _now() - self._began - self._inside)

    def spent(self) -> dict[str, ByKind]:
        """What each part that is done spent, by its name and the ledger's kinds, in all tries."""
        done = (path for path in sorted(self.folder.glob(f"*.{SPENT}")) if path.with_suffix(".json").exists())
        return {path.stem: _read_work(path) for path in done}

    def rows(self) -> dict[str, Json]:
        """The parts that are done, by their names."""
        done = (path for path in sorted(self.folder.glob("*.json")) if path.name != ABOUT)
        return {path.stem: json.loads(path.read_text()) for path in done}

    @property
    def untimed(self) -> int:
        """Of the parts that were asked for, how many were made before times were kept."""
        return len(self._untimed)

    def file(self, name: str) -> Path:
        """Where a part may keep something of its own, such as a checkpoint."""
        return self.folder / name

    def _made(self, name: str, path: Path, make: Callable[[], Json]) -> float:
        """Make a part unless another process has, and say how long that took."""
        if path.exists():
            return 0.0
        before = _now()
        path_of_work = self.folder / f"{name}.{SPENT}"
        before_that = _read_work(path_of_work)
        with self._timed(name), metered(lambda found: _write_work(path_of_work, before_that, found)):
            value = make()
        _write(path, value)
        return (_now() - before).seconds

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Wait for whoever else makes this part; that time is not this process's."""
        before = _now()
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._inside += _now() - before
            yield

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Keep what making a part takes beyond the parts made inside it, also where it is broken off."""
        began, outside, self._inside = _now(), self._inside, Took()
        try:
            yield
        finally:
            whole, path = _now() - began, self._time_of(name)
            _write(path, asdict((_read(path) or Took(jobs=self._jobs)) + whole - self._inside))
            self._inside = outside + whole

    def _time_of(self, name: str) -> Path:
        return self.folder / f"{name}.{TOOK}"


def _now() -> Took:
    ended = os.times()
    return Took(time.perf_counter(), time.process_time() + ended.children_user + ended.children_system)


def _read(path: Path) -> Took | None:
    """A part's time; None where it was not kept, or its file is damaged."""
    try:
        return Took(**json.loads(path.read_text())) if path.exists() else None
    except (ValueError, TypeError):
        return None


def _read_work(path: Path) -> ByKind:
    """What a part has spent; nothing is known of it where its file is damaged."""
    try:
        table = json.loads(path.read_text()) if path.exists() else {}
        return {kind: Work(**work) for kind, work in table.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _write_work(path: Path, before: ByKind, now: ByKind) -> None:
    kinds = sorted({*before, *now})
    _write(path, {kind: asdict(before.get(kind, Work()) + now.get(kind, Work())) for kind in kinds})


def _write(path: Path, value: Json) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(value) + "\n")
    partial.replace(path)
