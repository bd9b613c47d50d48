"""Checkpoints of an online training: whole ones only, and of this run only."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trueup.core.errors import BadInput
from trueup.models.huggingface.folder import digest
from trueup.train.job import Job
from trueup.train.origin import items_digest

WHOLE, RUN = "whole", "run.json"
ARCHIVES = ("*.pt", "*.pth")
"""What torch writes: zip files, whose table stands at the end."""


class Marker(TrainerCallback):
    """Marks a checkpoint as whole once everything in it is written."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **ignored: Any) -> None:
        if args.should_save:
            (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / WHOLE).touch()


def begin(job: Job, name: str, settings: dict[str, Any], *, is_main: bool) -> Path | None:
    """The checkpoint to go on from, None at the beginning; what is half written or cannot be read is deleted.

    Raises BadInput where the checkpoints are of a run with another trainer, settings, seed, model or items.
    """
    folder = job.checkpoints / "online"
    told = {
        "trainer": name,
        "seed": job.seed,
        "settings": settings,
        "model": digest(job.model),
        "items": items_digest(job.stratum),
    }
    file = folder / RUN
    if file.exists():
        _compare(json.loads(file.read_text()), told, job.out)
    elif is_main:
        folder.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(told, indent=1))
        os.replace(draft, file)
    if is_main:
        for path in folder.glob("checkpoint-*"):
            if not is_sound(path):
                if (path / WHOLE).exists():
                    job.tell(f"{str(path)!r} is damaged and left out; the training goes on before it")
                shutil.rmtree(path)
    return last_whole(job)


def is_sound(checkpoint: Path) -> bool:
    """Whether a checkpoint is marked as whole and none of its files ends too early."""
    try:
        for path in checkpoint.rglob("*.safetensors"):
            with safe_open(path, "pt"):
                pass
        archives = (path for pattern in ARCHIVES for path in checkpoint.rglob(pattern))
        return (checkpoint / WHOLE).exists() and all(map(is_zipfile, archives))
    except (OSError, SafetensorError):
        return False


def last_whole(job: Job) -> Path | None:
    """The last checkpoint that is whole."""
    whole = filter(is_sound, (job.checkpoints / "online").glob("checkpoint-*"))
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def goes_on(job: Job) -> str:
    """What a further run begins with, in words."""
    last = last_whole(job)
    return "no checkpoint was kept yet" if last is None else f"{last.name} is kept"


def _compare(there: dict[str, Any], here: dict[str, Any], out: Path) -> None:
    for name, value in here.items():
        before: Any = there.get(name)
        if before != value:
            what = f"with {name} {before!r}, not {value!r}" if name in ("trainer", "seed") else f"with another {name}"
            if name == "settings":
                differ = sorted(key for key in {*before, *value} if before.get(key) != value.get(key))
                what = "with " + ", ".join(f"{key}={before.get(key)}" for key in differ)
            raise BadInput(f"{str(out)!r} holds checkpoints of a run {what}; choose another --out")
