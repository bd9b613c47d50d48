"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trueup.core.errors import BadInput

ROOM = "make room, or choose another folder"
RENAME = "rename it, or set PYTHONUTF8=1 where the names of files are UTF-8"
SHOWN = 40
"""Characters to show in front of one that cannot be written."""


def write_whole(path: Path, text: str, mend: str = ROOM) -> None:
    """Write a file whole or not at all; BadInput, with what to do, where it cannot be written."""
    _write(path, lambda partial: partial.write_text(text, encoding="utf-8"), mend)


def write_bytes_whole(path: Path, content: bytes, mend: str = ROOM) -> None:
    """The same of bytes."""
    _write(path, lambda partial: partial.write_bytes(content), mend)


def make_writable(folder: Path, mend: str = ROOM) -> None:
    """Make a folder where it is missing; BadInput where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise BadInput(f"cannot write {str(folder)!r}: {_why(error, mend)}") from error


def is_writable(text: str) -> bool:
    """Whether a text can be written; the name of a file in another encoding than UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write(path: Path, into: Callable[[Path], int], mend: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        into(partial)
        partial.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise BadInput(f"cannot write {str(path)!r}: {_why(error, mend)}") from error


def _why(error: OSError | UnicodeEncodeError, mend: str) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}; {mend}"
    return f"{error.object[max(0, error.start - SHOWN) : error.end]!r} is not valid UTF-8; {RENAME}"
