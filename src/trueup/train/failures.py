"""What can go wrong on the way of a training, in one line."""

from __future__ import annotations

import errno
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from trueup.core.errors import BadInput, TrueupError, Unavailable

MEMORY = ("not enough memory", "can't allocate memory", "out of memory")
DISK = (
    "No space left on device",
    "File too large",
    "quota exceeded",
    "PytorchStreamWriter failed writing",
    "iostream error",
    "unexpected pos",
)
"""The last three are what torch says of a file that grows no more."""
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def in_one_line(out: Path, goes_on: Callable[[], str]) -> Iterator[None]:
    """Say of memory or a disk that ran out what to do; `goes_on` says what a further run begins with.

    Raises Unavailable for these two; what is no such failure is raised as it is.
    """
    try:
        yield
    except TrueupError:
        raise
    except Exception as error:
        if _is_memory(error):
            raise Unavailable(
                f"out of memory in training ({_first_line(error)}); set a smaller batch or max_tokens; {goes_on()}"
            ) from error
        if _is_disk(error):
            told = f"cannot write under {str(out)!r} ({_first_line(error)})"
            raise Unavailable(f"{told}; make room on the disk and run again: {goes_on()}") from error
        raise


def require_finite(step: int, figures: Mapping[str, float], goes_on: Callable[[], str]) -> None:
    """Raise BadInput where a step's loss or gradient is no number: no later step would mend the weights."""
    broken = [name for name in ("loss", "grad_norm") if not math.isfinite(figures.get(name, 0.0))]
    if broken:
        told = f"{broken[0]} of step {step} is {figures[broken[0]]}"
        raise BadInput(f"{told}; set a lower lr and another --out, or look for broken weights; {goes_on()}")


def note_failure(path: Path, what: str, item: str, reason: str, **asked: str) -> None:
    """Add a line of JSON for an item that was left out, behind whatever a kill or a full disk has left of another.

    `asked` says of which stratum it is and which weights were asked.
    """
    row = json.dumps({"what": what, "item": item, "reason": reason, **asked})
    with path.open("a+b") as file:
        file.seek(max(0, file.tell() - 1))
        is_cut = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * is_cut + row.encode() + b"\n")


def forget_failures(path: Path, what: str, items: Collection[str], **asked: str) -> None:
    """Take out the lines of items with which the same is done again, by the same weights or by none that are named."""

    def is_done_again(line: bytes) -> bool:
        row = _row(line)
        is_alike = all(row.get(key, value) == value for key, value in asked.items())
        return row.get("what") == what and row.get("item") in items and is_alike

    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    kept = [line for line in lines if not is_done_again(line)]
    if len(kept) < len(lines):
        draft = path.with_suffix(".draft")
        draft.write_bytes(b"".join(kept))
        draft.replace(path)


def count_failures(path: Path) -> dict[str, int]:
    """How many items were left out, by what was done with them; lines that were never finished tell of none."""
    rows = map(_row, path.read_bytes().splitlines() if path.exists() else ())
    return dict(Counter(what for what, _, _ in {(row["what"], row.get("stratum"), row["item"]) for row in rows if row}))


def read_table(path: Path, mend: str) -> dict[str, Any]:
    """The table in a training's file; BadInput with what to do where there is none in it."""
    try:
        table = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInput(f"{str(path)!r} is damaged ({error}); {mend}") from None
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{str(path)!r} is damaged (it holds no table); {mend}")
    return table


def _row(line: bytes) -> dict[str, Any]:
    """What a line says; nothing where it is damaged."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) and {"what", "item"} <= row.keys() else {}


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in MEMORY)


def _is_disk(error: Exception) -> bool:
    return getattr(error, "errno", None) in FULL or any(sign in str(error) for sign in DISK)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
