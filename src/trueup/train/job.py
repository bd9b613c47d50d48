"""What a trainer is given, what it tells on the way, what it leaves.

A trainer is one public function `name(job, *, settings) -> Trained`; it reads no command line and opens no ledger.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueup.core.stratum import Stratum
from trueup.models.huggingface.load import quiet

if TYPE_CHECKING:
    from trueup.train.ask import Asker
    from trueup.train.profiles import Profile

ADAPTER, MODEL, CHECKPOINTS = "adapter", "model", "checkpoints"
Failed = Callable[[str, str, str], None]
"""(what was done, the item's id, the reason) of an item that could not be sampled or graded."""


@dataclass(frozen=True, slots=True)
class Passes:
    """Tokens that went through a model in one step, of one kind; charged once, however often the step is told.

    Kinds are the ledger's: sampled, prefill, trained, reference, old_policy, teacher, evaluation, discarded. Seconds
    are core-seconds on a CPU, the device's elsewhere.
    """

    kind: str
    step: int
    prompt_tokens: int
    completion_tokens: int
    flops: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, and its latest figures (loss, reward, kl, ...)."""

    step: int
    steps: int
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a trainer leaves: its steps, the last figures, and whether it saved an adapter or full weights."""

    steps: int
    figures: Mapping[str, float]
    adapter: bool


@dataclass(frozen=True, slots=True)
class Job:
    """One training: a model's folder, the training half of a stratum, where to write, how to run.

    `model` is never changed. A trainer may keep checkpoints in `out/checkpoints`, and saves with `save`. `ask` samples
    and grades through the house's own engines at the same ledger; trainers that sample for themselves leave it.
    `others` are the training halves of the task's other strata, which a trainer may replay. `threads` are the cores of
    a CPU, `template` the chat template that is not the model's own. `failed` is told of items that are left out, `tell`
    of what else a person should know on the way. A rehearsal ends where all that was set has been looked at.
    """

    model: Path
    stratum: Stratum
    out: Path
    profile: Profile
    seed: int
    charge: Callable[[Passes], None]
    watch: Callable[[Progress], None]
    ask: Asker | None = None
    others: tuple[Stratum, ...] = ()
    threads: int = 1
    template: str = ""
    failed: Failed = lambda what, item, reason: None
    tell: Callable[[str], None] = lambda line: None
    is_rehearsal: bool = False

    @property
    def threads_each(self) -> int:
        """The cores of each process, where several share the machine's."""
        return max(1, self.threads // self.profile.processes)

    @property
    def checkpoints(self) -> Path:
        """Where a trainer keeps what it needs to go on after a kill."""
        return self.out / CHECKPOINTS


def save(network: Any, tokenizer: Any, folder: Path, weights: Mapping[str, Any] | None = None) -> bool:
    """Write a network and its tokenizer as safetensors, whole or not at all; whether it is an adapter.

    A PEFT model goes to `folder/adapter` without its base, any other to `folder/model`. `weights` are those of a
    network that is not whole here.
    """
    is_adapter = hasattr(network, "peft_config")
    target = folder / (ADAPTER if is_adapter else MODEL)
    draft = target.with_name(f"{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    with quiet():
        network.save_pretrained(draft, safe_serialization=True, **({} if weights is None else {"state_dict": weights}))
    tokenizer.save_pretrained(draft)
    (draft / "README.md").unlink(missing_ok=True)
    if is_adapter:
        _order(draft / "adapter_config.json")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)
    return is_adapter


def _order(config: Path) -> None:
    """Write a configuration's sets in order: peft's differs from process to process, and the bytes name the weights."""
    table = json.loads(config.read_bytes())
    table = {key: sorted(value) if key.endswith("_modules") and value else value for key, value in table.items()}
    config.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def append_log(path: Path, progress: Progress) -> None:
    """One line of JSON for a step."""
    row = {"step": progress.step, "steps": progress.steps, **progress.figures}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
