"""The command line, run in the test's own process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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


def at_problems(
    folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prompts: Sequence[str]
) -> Callable[..., Any]:
    """Be in a folder with these problems in `w.jsonl`; what runs the command line there and tells what it printed."""
    patch.chdir(folder)
    rows = [{"id": f"w{i}", "prompt": prompt, "reference": "right"} for i, prompt in enumerate(prompts)]
    (folder / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def go(*words: object, code: int = 0) -> Any:
        trueup(patch, *words, code=code)
        return capsys.readouterr()

    return go


def in_folder(folder: Path, *words: object) -> None:
    """The same in another folder, on one thread; whatever ends it comes through."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        trueup(patch, *words)
