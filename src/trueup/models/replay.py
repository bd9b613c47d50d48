"""A model's replies on file, and the model that they make.

A JSON Lines file: a header with the card, then a line per call. A line counts once its end is on disk, so
a recording that was killed replays up to its last whole call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from trueup.core.errors import AskFailed, BadInput
from trueup.core.roles import Model, ModelCard, Sampled, Waste
from trueup.core.types import Attempt, Message, Prompt, Sampling, Usage

VERSION = 1


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model: what was asked, and the reply."""

    prompt: Prompt
    sampling: Sampling
    n: int
    start: int
    reply: Sampled


class Recorder:
    """Implements Model: passes every ask on, and appends each reply to a file before it is returned."""

    def __init__(self, model: Model, path: Path) -> None:
        """Create the file, or go on with one of the same model, less a last line that was cut short.

        Raises BadInput where the file is no recording of this model or cannot be written.
        """
        self._model = model
        self._path = path
        self.card = model.card
        try:
            self._begin()
        except OSError as error:
            raise BadInput(f"cannot write {str(path)!r}: {error.strerror}; choose another file") from error

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """The model's reply, once it is on file."""
        reply = await self._model.sample(prompt, n, start, sampling)
        self._append(asdict(Call(prompt, sampling, n, start, reply)))
        return reply

    async def close(self) -> None:
        """Close the model; the file is closed after every line."""
        await self._model.close()

    def _begin(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole = _whole_lines(self._path.read_bytes()) if self._path.exists() else b""
        if not whole:
            self._path.write_bytes(b"")
            self._append({"trueup_replay": VERSION, "card": asdict(self.card)})
            return
        if (card := _read(self._path, whole)[0]) != self.card:
            raise BadInput(f"{self._path} is a recording of {card.fingerprint!r}; choose another file")
        with self._path.open("r+b") as file:
            file.truncate(len(whole))

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")


@dataclass(slots=True)
class _Page:
    """All that is on file for one prompt and its settings."""

    attempts: dict[int, Attempt] = field(default_factory=dict)
    waste: dict[int, tuple[Waste, ...]] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)


class Replay:
    """Implements Model from a recording: the same ask brings the same bytes, an unknown ask fails."""

    def __init__(self, path: Path) -> None:
        """Read the recording; of a call that is on file twice, the later counts.

        Raises BadInput, naming file and line, where it is missing or a line of it is malformed.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read {str(path)!r}: {error.strerror}; record one first") from error
        self._path = path
        self._pages: dict[tuple[Prompt, Sampling], _Page] = {}
        self.card, calls = _read(path, _whole_lines(data))
        for call in calls:
            page = self._pages.setdefault((call.prompt, call.sampling), _Page())
            page.attempts.update({attempt.index: attempt for attempt in call.reply.attempts})
            page.waste[call.start] = call.reply.waste
            page.asked.update(range(call.start, call.start + call.n))

    async def sample(self, prompt: Prompt, n: int, start: int, sampling: Sampling) -> Sampled:
        """The attempts on file; those that failed then are missing now, with the waste of their calls.

        Raises AskFailed for an ask that is not on file.
        """
        page = self._pages.get((prompt, sampling), _Page())
        indices = range(start, start + n)
        if absent := [index for index in indices if index not in page.asked]:
            raise AskFailed(
                f"{self._path} holds no attempt {absent[0]} of this prompt with these settings; record it again"
            )
        attempts = tuple(page.attempts[index] for index in indices if index in page.attempts)
        return Sampled(attempts, tuple(waste for index in indices for waste in page.waste.get(index, ())))

    async def close(self) -> None:
        """Nothing is open."""


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _read(path: Path, whole: bytes) -> tuple[ModelCard, list[Call]]:
    """The card and the calls in whole lines."""
    header, *lines = whole.split(b"\n")[:-1] or [b""]
    try:
        table = json.loads(header)
        if table["trueup_replay"] != VERSION:
            raise BadInput(f"{path}: recording of version {table['trueup_replay']!r}; this trueup reads {VERSION}")
        card = ModelCard(**table["card"])
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path}:1: no header of a recording; name a file that trueup recorded") from None
    return card, [_call(path, number, line) for number, line in enumerate(lines, 2)]


def _call(path: Path, number: int, line: bytes) -> Call:
    try:
        table = json.loads(line)
        reply = table["reply"]
        return Call(
            tuple(_make(Message, message) for message in table["prompt"]),
            _make(Sampling, table["sampling"] | {"stop": tuple(table["sampling"]["stop"])}),
            int(table["n"]),
            int(table["start"]),
            Sampled(
                tuple(map(_attempt, reply["attempts"])),
                tuple(_make(Waste, {"engine": None, **row}) for row in reply["waste"]),
            ),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}:{number}: not a recorded call ({error}); delete the line or record anew") from None


def _attempt(row: Mapping[str, Any]) -> Any:
    """An attempt; recordings that are older than its `engine` do not say it."""
    return _make(Attempt, {"engine": None, **row, "usage": _make(Usage, row["usage"])})


def _make(kind: Any, row: Mapping[str, Any]) -> Any:
    """A dataclass of exactly these fields."""
    if set(row) != {f.name for f in fields(kind)}:
        raise ValueError(f"fields of {kind.__name__} missing or unknown")
    return kind(**row)
