"""The command line, run in the test's own process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trueup.cli import main


def trueup(patch: pytest.MonkeyPatch, *words: object, code: int = 0) -> None:
    """Run the command line to its end, which is of this exit code."""
    patch.setattr(sys, "argv", ["trueup", *map(str, words)])
    if not code:
        main()
        return
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == code


def in_folder(folder: Path, *words: object) -> None:
    """The same in another folder, on one thread; whatever ends it comes through."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        trueup(patch, *words)
