"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trueup.core.errors import BadInput


def write_whole(path: Path, text: str, mend: str = "make room, or choose another folder") -> None:
    """Write a file whole or not at all; BadInput, with what to do, where it cannot be written."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise BadInput(f"cannot write {str(path)!r}: {error.strerror}; {mend}") from error
